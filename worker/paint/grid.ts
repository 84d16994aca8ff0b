import sharp from 'sharp';
import { paintedXmp, recipeXmp, withRecipe } from '../../shared/picture/png.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import type { Pixels } from './pixels.ts';

/** Everything that turns pixels into files and back. sharp works in its own threads; nothing here blocks. */
const raw = ({ width, height, data }: Pixels) =>
  sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: 4096 * 4096 * 4 });

/** The same pixels and recipe give the same bytes: no dates, fixed filters. */
const PNG = { compressionLevel: 6, adaptiveFiltering: true, palette: false } as const;

/** @param index which picture of the recipe; its seed goes into the file */
export const encodePng = async (pixels: Pixels, recipe: Recipe, index: number): Promise<Buffer> =>
  withRecipe(await raw(pixels).png(PNG).toBuffer(), recipe, index);

/** 8-bit RGB of a picture of ours. */
export async function decodePng(bytes: Uint8Array): Promise<Pixels> {
  const { data, info } = await sharp(bytes, { failOn: 'error', limitInputPixels: 4096 * 4096 * 4 })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

/** An image prompt in the size of the picture: turned upright, on white, cropped around its centre. */
export async function fitImage(bytes: Uint8Array, width: number, height: number): Promise<Pixels> {
  const { data } = await sharp(bytes, { failOn: 'error', limitInputPixels: 64e6 })
    .autoOrient()
    .flatten({ background: '#fff' })
    .resize(width, height, { fit: 'cover', kernel: 'lanczos3' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width, height, data };
}

export const resizePixels = async (pixels: Pixels, width: number, height: number): Promise<Pixels> =>
  pixels.width === width && pixels.height === height
    ? pixels
    : {
        width,
        height,
        data: await raw(pixels).resize(width, height, { fit: 'fill', kernel: 'lanczos3' }).raw().toBuffer(),
      };

/** 1 picture as it is, 2 side by side, 3 and 4 in two rows; a missing fourth stays dark. */
export async function composeGrid(pictures: readonly Pixels[]): Promise<Pixels> {
  const [first] = pictures;
  if (!first) throw new Error('a grid of nothing');
  if (pictures.length === 1) return first;
  const { width, height } = first;
  const rows = pictures.length > 2 ? 2 : 1;
  const data = await sharp({
    create: { width: width * 2, height: height * rows, channels: 3, background: '#111' },
    limitInputPixels: false,
  })
    .composite(
      pictures.map((picture, i) => ({
        input: Buffer.from(picture.data.buffer, picture.data.byteOffset, picture.data.byteLength),
        raw: { width, height, channels: 3 as const },
        left: (i % 2) * width,
        top: Math.floor(i / 2) * height,
      })),
    )
    .removeAlpha()
    .raw()
    .toBuffer();
  return { width: width * 2, height: height * rows, data };
}

/** The pictures predicted at a step, as a small grid; smoothed where each is a few pixels wide. */
export async function encodePreview(
  previews: readonly Pixels[],
  size: { width: number; height: number },
): Promise<Buffer> {
  const grid = await composeGrid(previews);
  const scale = Math.max(
    256 / Math.min(size.width, size.height),
    Math.min(1, 512 / Math.max(size.width, size.height)),
  );
  const width = Math.round(size.width * scale);
  const height = Math.round(size.height * scale);
  return raw(grid)
    .resize(width, height, { fit: 'fill', kernel: 'cubic' })
    .blur(Math.max(0.5, width / grid.width / 3))
    .webp({ quality: 70, effort: 2 })
    .withXmp(paintedXmp())
    .toBuffer();
}

export interface Attachment {
  bytes: Buffer;
  extension: 'png' | 'webp';
}

/** The PNG where it is under the limit, else WebP of falling quality and then size, with the recipe inside. */
export async function fitUnder(png: Buffer, limit: number, recipe: Recipe): Promise<Attachment> {
  if (png.length <= limit) return { bytes: png, extension: 'png' };
  const { width = 1 } = await sharp(png).metadata();
  for (const [quality, scale] of [
    [92, 1],
    [85, 1],
    [75, 1],
    [60, 1],
    [75, 0.5],
    [60, 0.25],
    [40, 0.125],
  ] as const) {
    const bytes = await sharp(png)
      .resize(Math.max(1, Math.round(width * scale)))
      .webp({ quality, effort: 3 })
      .withXmp(recipeXmp(recipe))
      .toBuffer();
    if (bytes.length <= limit) return { bytes, extension: 'webp' };
  }
  const bytes = await sharp(png).resize(64).webp({ quality: 30 }).withXmp(paintedXmp()).toBuffer();
  return { bytes, extension: 'webp' };
}
