import sharp from 'sharp';
import type { Pixels } from '../../worker/paint/pixels.ts';

/** Pixels of a picture's shorter side on a page. */
const SIDE = 192;
const GAP = 8;

/** Side by side on nothing, as tall as each other. */
export async function strip(pictures: readonly Pixels[], side = SIDE): Promise<Buffer> {
  const tiles = await Promise.all(
    pictures.map(async ({ data, width, height }) => {
      const scaled = { width: Math.round((width / height) * side), height: side };
      const input = await sharp(data, { raw: { width, height, channels: 3 } })
        .resize(scaled.width, scaled.height, { kernel: 'lanczos3' })
        .png()
        .toBuffer();
      return { input, ...scaled };
    }),
  );
  const width = tiles.reduce((sum, tile) => sum + tile.width + GAP, -GAP);
  let left = 0;
  const composite = tiles.map(({ input, width: own }) => {
    const placed = { input, left, top: 0 };
    left += own + GAP;
    return placed;
  });
  return sharp({ create: { width, height: side, channels: 4, background: '#0000' } })
    .composite(composite)
    .webp({ quality: 82, effort: 5 })
    .toBuffer();
}
