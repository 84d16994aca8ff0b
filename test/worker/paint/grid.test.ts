import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readRecipe } from '../../../shared/picture/png.ts';
import {
  composeGrid,
  decodePng,
  encodePng,
  encodePreview,
  fitImage,
  fitUnder,
} from '../../../worker/paint/grid.ts';
import { isBlack, type Pixels, toFloats, toPixels } from '../../../worker/paint/pixels.ts';
import { makeRecipe } from '../../support/jobs.ts';

const colours = ['#ff0000', '#00ff00', '#0000ff', '#ffff00'];
const plain = async (background: string, width = 32, height = 24): Promise<Pixels> => ({
  width,
  height,
  data: await sharp({ create: { width, height, channels: 3, background } })
    .raw()
    .toBuffer(),
});
const noise = (width: number, height: number): Pixels => {
  let x = 1;
  const next = (): number => {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    return x >>> 24;
  };
  const data = Uint8Array.from({ length: width * height * 3 }, next);
  return { width, height, data };
};
const at = ({ width, data }: Pixels, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

describe('the grid', () => {
  it('puts the first two on top and the others below', async () => {
    const grid = await composeGrid(await Promise.all(colours.map((colour) => plain(colour))));
    expect([grid.width, grid.height]).toEqual([64, 48]);
    expect(at(grid, 5, 5)).toEqual([255, 0, 0]);
    expect(at(grid, 40, 5)).toEqual([0, 255, 0]);
    expect(at(grid, 5, 30)).toEqual([0, 0, 255]);
    expect(at(grid, 63, 47)).toEqual([255, 255, 0]);
  });

  it('is the picture itself for one, side by side for two, dark where a fourth is missing', async () => {
    const all = await Promise.all(colours.map((colour) => plain(colour)));
    expect(await composeGrid(all.slice(0, 1))).toBe(all[0]);
    expect((await composeGrid(all.slice(0, 2))).height).toBe(24);
    expect(at(await composeGrid(all.slice(0, 3)), 40, 30)).toEqual([0x11, 0x11, 0x11]);
  });
});

describe('files', () => {
  it('PNG bytes are the same for the same pixels, and give the pixels back', async () => {
    const picture = noise(40, 30);
    const [a, b] = await Promise.all([
      encodePng(picture, makeRecipe(), 1),
      encodePng(picture, makeRecipe(), 1),
    ]);
    expect(a.equals(b)).toBe(true);
    expect(readRecipe(a)).toEqual(makeRecipe());
    expect(Buffer.from((await decodePng(a)).data).equals(Buffer.from(picture.data))).toBe(true);
  });

  it('a file over the limit becomes WebP below it, with the recipe inside', async () => {
    const recipe = makeRecipe();
    const png = await encodePng(noise(256, 256), recipe, 0);
    expect(await fitUnder(png, png.length, recipe)).toEqual({ bytes: png, extension: 'png' });
    for (const limit of [150_000, 60_000, 15_000]) {
      const { bytes, extension } = await fitUnder(png, limit, recipe);
      expect(extension).toBe('webp');
      expect(bytes.length).toBeLessThanOrEqual(limit);
      expect(readRecipe(bytes)).toEqual(recipe);
    }
    expect((await fitUnder(png, 1500, recipe)).bytes.length).toBeLessThanOrEqual(1500);
  });

  it('a preview of a few pixels is a soft picture of the grid, at least 256 pixels', async () => {
    const tiny = await Promise.all(colours.map((colour) => plain(colour, 8, 6)));
    const meta = await sharp(await encodePreview(tiny, { width: 128, height: 96 })).metadata();
    expect([meta.format, meta.width, meta.height]).toEqual(['webp', 341, 256]);
    const large = await sharp(await encodePreview(tiny, { width: 2048, height: 1536 })).metadata();
    expect([large.width, large.height]).toEqual([512, 384]);
  });

  it('an image prompt is turned upright, put on white and cropped around its centre', async () => {
    const half = await sharp({ create: { width: 60, height: 20, channels: 4, background: '#00000000' } })
      .png()
      .toBuffer();
    const fitted = await fitImage(half, 16, 16);
    expect([fitted.width, fitted.height, fitted.data.length]).toEqual([16, 16, 768]);
    expect(at(fitted, 8, 8)).toEqual([255, 255, 255]);
    await expect(fitImage(Buffer.from('GIF89a nothing'), 16, 16)).rejects.toThrow();
  });
});

describe('pixels', () => {
  it('rounds to the nearest level and clamps', () => {
    const data = Float32Array.of(-1, 0, 0.0019, 0.002, 0.5, 1, 2, Number.NaN, 1);
    expect([...toPixels({ width: 3, height: 1, data }).data]).toEqual([0, 0, 0, 1, 128, 255, 255, 0, 255]);
  });

  it('8 bits survive the way to floats and back', () => {
    const picture = noise(16, 16);
    expect(toPixels(toFloats(picture)).data).toEqual(picture.data);
  });

  it('knows a picture of nothing', async () => {
    expect(isBlack(await plain('#000000'))).toBe(true);
    expect(isBlack(await plain('#000001'))).toBe(false);
  });
});
