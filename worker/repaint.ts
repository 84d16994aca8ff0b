import sharp from 'sharp';
import type { Frame, Rect, Size } from '../shared/frame.ts';
import { resizePixels } from './grid.ts';
import type { Pixels } from './pixels.ts';

/**
 * Painting parts of a picture anew. Kept pixels come out of the source and not out of the decoder, so they stay
 * bit for bit; between old and new lies a feather: inside the chosen cells for a region (there the source goes
 * on below), inside the kept part where the picture grew (beyond it there is none).
 */
export interface Repaint {
  /** The whole frame before painting: the kept part, and around it what it might look like from afar. */
  canvas: Pixels;
  /** The model's window: 255 = painted anew, 0 = kept, between = kept at first. */
  mask: Uint8Array;
  /** Share of the painted picture at each pixel of the frame, 0..1; 0 keeps the source's bytes. */
  share: Float32Array;
}

const LATENT = 8;
/** Pixels over which old and new meet: an eighth of the shorter side, half of that inside of a region. */
export const featherOf = ({ width, height }: Size, inward: boolean): number => {
  const part = Math.min(width, height) / (inward ? 16 : 8);
  return Math.max(LATENT, Math.min(64, Math.round(part / LATENT) * LATENT));
};

export async function prepare(source: Pixels, frame: Frame, inward: boolean): Promise<Repaint> {
  const { kept, fresh } = frame;
  const inside = await resizePixels(source, kept.width, kept.height);
  const canvas = await surround(inside, frame);
  const painted = new Uint8Array(frame.width * frame.height);
  for (const rect of fresh) fill(painted, frame.width, rect);
  return {
    canvas,
    mask: cut(maskOf(painted, frame, inward), frame, frame.window, 1),
    share: shareOf(painted, frame, inward),
  };
}

/** What the model is given of the canvas. */
export const windowOf = (canvas: Pixels, { window }: Frame): Pixels => ({
  width: window.width,
  height: window.height,
  data: cut(canvas.data, canvas, window, 3),
});

/** The painted window laid into the canvas. */
export function lay(canvas: Pixels, painted: Pixels, share: Float32Array, { window }: Frame): Pixels {
  const data = new Uint8Array(canvas.data);
  for (let y = 0; y < window.height; y++) {
    for (let x = 0; x < window.width; x++) {
      const at = (window.top + y) * canvas.width + window.left + x;
      const part = share[at] as number;
      if (part === 0) continue;
      for (let c = 0; c < 3; c++) {
        const old = canvas.data[3 * at + c] as number;
        data[3 * at + c] = Math.round(
          old + part * ((painted.data[3 * (y * window.width + x) + c] as number) - old),
        );
      }
    }
  }
  return { width: canvas.width, height: canvas.height, data };
}

/** Its edges drawn out, softened the more the further off, with a grain: noise that has the picture's colours. */
async function surround(inside: Pixels, { width, height, kept }: Frame): Promise<Pixels> {
  if (kept.width === width && kept.height === height) return inside;
  const extended = await sharp(inside.data, { raw: { width: kept.width, height: kept.height, channels: 3 } })
    .extend({
      left: kept.left,
      top: kept.top,
      right: width - kept.left - kept.width,
      bottom: height - kept.top - kept.height,
      extendWith: 'copy',
    })
    .raw()
    .toBuffer();
  const soft = await sharp(extended, { raw: { width, height, channels: 3 } })
    .blur(Math.min(width, height) / 12)
    .raw()
    .toBuffer();
  const data = new Uint8Array(extended);
  const random = grain();
  const reach = Math.min(width, height) / 8;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const dx = Math.max(kept.left - x, x - kept.left - kept.width + 1, 0);
      const dy = Math.max(kept.top - y, y - kept.top - kept.height + 1, 0);
      if (dx === 0 && dy === 0) continue;
      const far = Math.min(1, Math.hypot(dx, dy) / reach);
      for (let c = 0; c < 3; c++) {
        const at = 3 * (y * width + x) + c;
        const near = extended[at] as number;
        const value = near + far * ((soft[at] as number) - near) + GRAIN * (random() - 0.5);
        data[at] = Math.max(0, Math.min(255, Math.round(value)));
      }
    }
  }
  return { width, height, data };
}

const GRAIN = 24;

/** Marsaglia's xorshift32 (2003): one grain for all seeds, so that a picture is the same with its grid and alone. */
function grain(): () => number {
  let x = 0x9e3779b9;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 0x100000000;
  };
}

function fill(map: Uint8Array, width: number, rect: Rect): void {
  for (let y = rect.top; y < rect.top + rect.height; y++)
    map.fill(1, y * width + rect.left, y * width + rect.left + rect.width);
}

function cut(data: Uint8Array, { width }: Size, rect: Rect, channels: number): Uint8Array {
  const out = new Uint8Array(rect.width * rect.height * channels);
  for (let y = 0; y < rect.height; y++) {
    const from = ((rect.top + y) * width + rect.left) * channels;
    out.set(data.subarray(from, from + rect.width * channels), y * rect.width * channels);
  }
  return out;
}

function shareOf(painted: Uint8Array, frame: Size, inward: boolean): Float32Array {
  const feather = featherOf(frame, inward);
  const away = distanceTo(inward ? 0 : 1, painted, frame, feather);
  return away.map((distance, i) => {
    if (painted[i] === 0 && inward) return 0;
    if (painted[i] === 1 && !inward) return 1;
    const along = Math.min(1, distance / feather);
    const part = inward ? along : 1 - along;
    return part * part * (3 - 2 * part);
  });
}

/** Along the seam, the model may still move what it was given, in the last steps: then both sides fit. */
function maskOf(painted: Uint8Array, frame: Size, inward: boolean): Uint8Array {
  const feather = featherOf(frame, inward);
  const away = distanceTo(inward ? 0 : 1, painted, frame, feather);
  return Uint8Array.from(painted, (value, i) => {
    // Latent pixels are whole: those that begin in the band are in it.
    const along = Math.ceil((away[i] as number) / LATENT) / (feather / LATENT + 1);
    if (value === 1) return inward && along < 1 ? INNER_SEAM : 255;
    return inward || along >= 1 ? 0 : Math.round(OUTER_SEAM * (1 - along));
  });
}

/** The share of the steps in which the seam is free, of 255: inside of a region most, outside at most this. */
const INNER_SEAM = 216;
const OUTER_SEAM = 153;

/** Steps of a king from each pixel to the nearest one of a kind, at most `most` (Rosenfeld & Pfaltz 1968). */
function distanceTo(kind: 0 | 1, map: Uint8Array, { width, height }: Size, most: number): Float32Array {
  const steps = Float32Array.from(map, (value) => (value === kind ? 0 : most));
  const at = (x: number, y: number): number =>
    x < 0 || y < 0 || x >= width || y >= height ? most : (steps[y * width + x] as number);
  const lower = (x: number, y: number, side: 1 | -1): void => {
    const near = Math.min(at(x - side, y), at(x - 1, y - side), at(x, y - side), at(x + 1, y - side));
    steps[y * width + x] = Math.min(at(x, y), near + 1);
  };
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) lower(x, y, 1);
  for (let y = height - 1; y >= 0; y--) for (let x = width - 1; x >= 0; x--) lower(x, y, -1);
  return steps;
}
