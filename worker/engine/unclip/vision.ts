/** CLIP's vision tower with its preprocessing as transformers' CLIPImageProcessor does it on 8 bits. */

import type { Session } from '../onnx/session.ts';
import type { ImageEncoderSettings } from '../parts/imageEncoder.ts';
import { type Bytes, cropBytes, resizeBytes } from '../parts/pillowResize.ts';
import { normalise } from '../parts/resize.ts';
import type { Picture } from '../types.ts';
import { makeNetwork } from './batchedSession.ts';

/** @returns the picture's embedding, projected and not normalised */
export function makeVision(
  session: Session,
  { size, mean, std }: ImageEncoderSettings,
): (picture: Picture) => Promise<Float32Array> {
  const network = makeNetwork(session, ['pixel_values'], ['image_embeds']);
  return async (picture) => {
    const { data } = fitToSquare(toBytes(picture), size);
    const seen = { width: size, height: size, data: Float32Array.from(data, (value) => value / 255) };
    const value = { data: normalise(seen, mean, std), dims: [3, size, size] };
    const [said] = await network.run([{ inputs: { pixel_values: value }, only: true }]);
    return said!['image_embeds']!;
  };
}

/** The shortest edge to `size`, then the middle square. */
function fitToSquare(picture: Bytes, size: number): Bytes {
  const { width, height } = picture;
  const long = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  const fitted =
    width <= height
      ? resizeBytes(picture, size, long, 'bicubic')
      : resizeBytes(picture, long, size, 'bicubic');
  const left = Math.floor((fitted.width - size) / 2);
  const top = Math.floor((fitted.height - size) / 2);
  return cropBytes(fitted, left, top, size, size);
}

/** A picture's 0..1 as 8 bits, rounded. */
export const toBytes = ({ width, height, data }: Picture): Bytes => ({
  width,
  height,
  data: Uint8Array.from(data, (value) => Math.round(Math.min(Math.max(value, 0), 1) * 255)),
});
