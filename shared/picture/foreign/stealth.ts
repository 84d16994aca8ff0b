import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';

/**
 * Text in the lowest bits of the pixels, as NovelAI and an extension of AUTOMATIC1111's web UI hide it: a
 * signature of 15 letters, a length in bits (big-endian, 32), the text, plain or gzip. Column by column; in the
 * alpha channel, or in red, green and blue in turn. It survives programs that strip text chunks.
 */
const SIGNATURES = {
  stealth_pnginfo: { alpha: true, zipped: false },
  stealth_pngcomp: { alpha: true, zipped: true },
  stealth_rgbinfo: { alpha: false, zipped: false },
  stealth_rgbcomp: { alpha: false, zipped: true },
} as const;
const SIGNATURE_BYTES = 15;
const MAX_TEXT = 4 << 20;
const MAX_PIXELS = 4096 * 4096;

/** @returns undefined for pixels that hide nothing, and for bytes that are no picture */
export async function readStealth(bytes: Uint8Array): Promise<string | undefined> {
  try {
    const image = sharp(bytes, { failOn: 'error', limitInputPixels: MAX_PIXELS });
    const { format, channels } = await image.metadata();
    // Lossy formats do not keep the lowest bits.
    if ((format !== 'png' && format !== 'webp') || (channels !== 3 && channels !== 4)) return undefined;
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    for (const alpha of info.channels === 4 ? [true, false] : [false]) {
      const take = bitsOf(data, info, alpha);
      const signature = Buffer.from(take(0, SIGNATURE_BYTES)).toString('latin1');
      if (!Object.hasOwn(SIGNATURES, signature)) continue;
      const form = SIGNATURES[signature as keyof typeof SIGNATURES];
      if (form.alpha !== alpha) continue;
      const length = Buffer.from(take(SIGNATURE_BYTES, 4)).readUInt32BE(0) >>> 3;
      const room = (info.width * info.height * (alpha ? 1 : 3)) / 8 - SIGNATURE_BYTES - 4;
      if (length === 0 || length > Math.min(room, MAX_TEXT)) return undefined;
      const body = Buffer.from(take(SIGNATURE_BYTES + 4, length));
      return (form.zipped ? gunzipSync(body, { maxOutputLength: MAX_TEXT }) : body).toString('utf8');
    }
    return undefined;
  } catch {
    return undefined;
  }
}

/** Whole bytes out of the lowest bits, first bit highest; zeros behind the last pixel. */
const bitsOf = (
  data: Uint8Array,
  { width, height, channels }: { width: number; height: number; channels: number },
  alpha: boolean,
) => {
  const perPixel = alpha ? 1 : 3;
  const bit = (n: number): number => {
    const pixel = Math.floor(n / perPixel);
    const at = ((pixel % height) * width + Math.floor(pixel / height)) * channels;
    return (data[at + (alpha ? 3 : n % 3)] ?? 0) & 1;
  };
  return (from: number, count: number): Uint8Array =>
    Uint8Array.from({ length: count }, (_, i) => {
      let byte = 0;
      for (let k = 0; k < 8; k++) byte = (byte << 1) | bit((from + i) * 8 + k);
      return byte;
    });
};
