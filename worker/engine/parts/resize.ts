/** Resizes pictures for networks that look at them: bicubic, widened when shrinking, as in Pillow. */
import type { Picture } from '../types.ts';

/** Keys' cubic convolution with a = -0.5 (1981). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  if (x < 2) return -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2;
  return 0;
}

/** The middle square, its side resized to `size`: CLIP's preprocessing. */
export function resizeToSquare(picture: Picture, size: number): Picture {
  const side = Math.min(picture.width, picture.height);
  const left = Math.floor((picture.width - side) / 2);
  const top = Math.floor((picture.height - side) / 2);
  const data = new Float32Array(3 * side * side);
  for (let y = 0; y < side; y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * side), 3 * y * side);
  }
  return resize({ width: side, height: side, data }, size, size);
}

/** Bicubic, clipped to 0..1. */
export function resize(picture: Picture, width: number, height: number): Picture {
  const { data } = resizeUnclipped(picture, width, height);
  return { width, height, data: data.map((value) => Math.min(Math.max(value, 0), 1)) };
}

/** Bicubic without clipping, for values of any range: torch's interpolate(mode="bicubic", antialias=True). */
export function resizeUnclipped(picture: Picture, width: number, height: number): Picture {
  const across = alongAxis(picture.data, picture.height, picture.width, width);
  const turned = transpose(across, picture.height, width);
  const down = alongAxis(turned, width, picture.height, height);
  return { width, height, data: transpose(down, width, height) };
}

/** rows × from pixels to rows × to pixels. */
function alongAxis(data: Float32Array, rows: number, from: number, to: number): Float32Array {
  const result = new Float32Array(3 * rows * to);
  const scale = from / to;
  const support = Math.max(scale, 1);
  for (let x = 0; x < to; x++) {
    const center = (x + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - 2 * support + 0.5));
    const last = Math.min(from, Math.floor(center + 2 * support + 0.5));
    const weights = Array.from({ length: last - first }, (_, k) =>
      cubic((first + k + 0.5 - center) / support),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    for (let y = 0; y < rows; y++) {
      for (let c = 0; c < 3; c++) {
        let value = 0;
        for (let k = 0; k < weights.length; k++) value += weights[k]! * data[3 * (y * from + first + k) + c]!;
        result[3 * (y * to + x) + c] = value / total;
      }
    }
  }
  return result;
}

function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      for (let c = 0; c < 3; c++) result[3 * (x * rows + y) + c] = data[3 * (y * columns + x) + c]!;
    }
  }
  return result;
}

/** 0..1 by pixel to planes, each channel as (value - mean) / std. */
export function normalise(
  { width, height, data }: Picture,
  mean: readonly number[],
  std: readonly number[],
): Float32Array {
  const size = width * height;
  const planes = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) planes[c * size + i] = (data[3 * i + c]! - mean[c]!) / std[c]!;
  }
  return planes;
}
