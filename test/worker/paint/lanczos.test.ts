import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { resizeLanczos } from '../../../worker/paint/lanczos.ts';

describe('resizing as Pillow does', () => {
  const width = 37;
  const height = 23;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++)
        data[3 * (y * width + x) + c] = (x * x * 7 + y * 13 + c * 50 + ((x * y) % 17) * 11) % 256;
    }
  }

  // sha256 of numpy.asarray(image.resize(size, Image.LANCZOS)) with Pillow 12.3 on the same picture, 32 digits of it.
  for (const [to, expected] of [
    [[64, 48], 'ae3a41696efa8597161c70756237bd26'],
    [[16, 16], '223ddd492ec8ac2273de1adeb72e5d96'],
    [[37, 8], '1d2a130ff82bfe112b35c9f8bf08df80'],
  ] as const) {
    it(`gives the same bytes at ${to.join('×')}`, () => {
      const resized = resizeLanczos({ width, height, data }, to[0], to[1]);
      expect(createHash('sha256').update(resized.data).digest('hex').slice(0, 32)).toBe(expected);
    });
  }

  it('leaves a picture of the right size as it is', () => {
    expect(resizeLanczos({ width, height, data }, width, height).data).toEqual(data);
  });
});
