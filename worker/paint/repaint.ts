import { setImmediate as nextTurn } from 'node:timers/promises';
import sharp from 'sharp';
import type { Frame, Rect, Size } from '../../shared/picture/editFrame.ts';
import { resizePixels } from './grid.ts';
import type { Pixels } from './pixels.ts';

/**
 * Painting parts of a picture anew. Kept pixels come from the source picture, not from the decoder, so they stay bit
 * for bit. Old and new blend in a feather: inside the chosen cells for a region (the source goes on below the new
 * pixels), inside the kept part where the picture grew (there is no source beyond it).
 */
export interface Repaint {
  /** The whole frame before painting: the kept part, and around it a blurred continuation of its edges. */
  canvas: Pixels;
  /** Of the model's window: 255 = painted anew, 0 = kept, between = kept at first. */
  mask: Uint8Array;
  /** Share of the painted picture at each pixel of the frame, 0..1; 0 keeps the source's bytes. */
  share: Float32Array;
}

const LATENT = 8;
/** Width of the feather, px: an eighth of the shorter side, half of that inside of a region. */
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
  const feather = featherOf(frame, inward);
  const away = await distanceTo(inward ? 0 : 1, painted, frame, feather + LATENT);
  const share = new Float32Array(painted.length);
  const mask = new Uint8Array(painted.length);
  const [shares, masks] = [sharesAlong(feather, inward), masksAlong(feather, inward)];
  await byRows(frame.height, (y) => {
    for (let i = y * frame.width; i < (y + 1) * frame.width; i++) {
      const isFresh = painted[i] === 1;
      // The feather lies on one side of the seam: on that side the shares depend on the distance.
      const along = isFresh === inward;
      share[i] = along ? (shares[away[i] as number] as number) : isFresh ? 1 : 0;
      mask[i] = along ? (masks[away[i] as number] as number) : isFresh ? 255 : 0;
    }
  });
  return { canvas, mask: cut(mask, frame, frame.window, 1), share };
}

/** Longest turn of the event loop, in ms: the same loop renews the jobs' locks. */
const TURN_MS = 20;

/** A frame has up to 16 megapixels, so it is worked on row by row in typed loops. */
async function byRows(height: number, row: (y: number) => void): Promise<void> {
  let began = performance.now();
  for (let y = 0; y < height; y++) {
    row(y);
    if (performance.now() - began < TURN_MS) continue;
    await nextTurn();
    began = performance.now();
  }
}

/** The part of the canvas that the model is given. */
export const windowOf = (canvas: Pixels, { window }: Frame): Pixels => ({
  width: window.width,
  height: window.height,
  data: cut(canvas.data, canvas, window, 3),
});

/** The painted window laid into the canvas. */
export async function lay(
  canvas: Pixels,
  painted: Pixels,
  share: Float32Array,
  { window }: Frame,
): Promise<Pixels> {
  const data = new Uint8Array(canvas.data);
  await byRows(window.height, (y) => {
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
  });
  return { width: canvas.width, height: canvas.height, data };
}

/** The picture's edges drawn out, softer the further from it, with a grain: noise in the picture's colours. */
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
  await byRows(height, (y) => {
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
  });
  return { width, height, data };
}

const GRAIN = 24;

/** Marsaglia's xorshift32 (2003), one sequence for all seeds, so that a picture is the same in its grid and alone. */
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

/** The share of the painted picture, by distance from the seam. */
const sharesAlong = (feather: number, inward: boolean): Float32Array =>
  Float32Array.from({ length: feather + LATENT + 1 }, (_, distance) => {
    const along = Math.min(1, distance / feather);
    const part = inward ? along : 1 - along;
    return part * part * (3 - 2 * part);
  });

/**
 * Along the seam the model may still change the kept latents in the last steps, so that both sides fit. Beyond it, by
 * a latent pixel more than the feather, all is new (inside of a region) or kept.
 */
const masksAlong = (feather: number, inward: boolean): Uint8Array =>
  Uint8Array.from({ length: feather + LATENT + 1 }, (_, distance) => {
    // Latent pixels are whole: one that begins in the band belongs to it.
    const along = Math.ceil(distance / LATENT) / (feather / LATENT + 1);
    if (inward) return along < 1 ? INNER_SEAM : 255;
    return along < 1 ? Math.round(OUTER_SEAM * (1 - along)) : 0;
  });

/** The share of the steps, of 255, in which the seam may change: in a region; and, at most, where the picture grew. */
const INNER_SEAM = 216;
const OUTER_SEAM = 153;

/**
 * Chessboard distance from each pixel to the nearest one of a kind, at most `most` (Rosenfeld & Pfaltz 1968).
 * @param most below 255
 */
async function distanceTo(
  kind: 0 | 1,
  map: Uint8Array,
  { width, height }: Size,
  most: number,
): Promise<Uint8Array> {
  // A border all around, so that every pixel has all its neighbours.
  const line = width + 2;
  const steps = new Uint8Array(line * (height + 2)).fill(most);
  const lower = (at: number, side: 1 | -1): void => {
    const row = at - side * line;
    const near =
      1 +
      Math.min(
        steps[at - side] as number,
        steps[row - 1] as number,
        steps[row] as number,
        steps[row + 1] as number,
      );
    if (near < (steps[at] as number)) steps[at] = near;
  };
  await byRows(height, (y) => {
    const from = (y + 1) * line + 1;
    for (let x = 0; x < width; x++)
      if (map[y * width + x] === kind) steps[from + x] = 0;
      else lower(from + x, 1);
  });
  await byRows(height, (y) => {
    const from = (height - y) * line + 1;
    for (let x = width - 1; x >= 0; x--) lower(from + x, -1);
  });
  return cut(steps, { width: line, height: height + 2 }, { left: 1, top: 1, width, height }, 1);
}
