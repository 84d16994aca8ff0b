/**
 * Large planes through a network in overlapping tiles. Each tile fades out over its overlap and the sum is divided
 * by the weights, so that no seams show.
 */

/** channels × height × width, plane after plane. */
export interface Planes {
  readonly data: Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Starts of tiles that cover `length`: evenly spread, the first at 0, the last flush with the end. */
export function tileStarts(length: number, size: number, overlap: number): number[] {
  if (length <= size) return [0];
  const count = Math.ceil((length - overlap) / (size - overlap));
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - size)) / (count - 1)));
}

/** @param run takes a tile of at most size × size to one of `scale` times its sides */
export async function inTiles(
  input: Planes,
  size: number,
  overlap: number,
  scale: number,
  run: (tile: Planes) => Promise<Planes>,
): Promise<Planes> {
  const { height, width } = input;
  let sum: Float32Array | undefined;
  let channels = 0;
  const weights = new Float32Array(height * scale * width * scale);
  for (const y of tileStarts(height, size, overlap)) {
    for (const x of tileStarts(width, size, overlap)) {
      const tile = cut(input, y, x, Math.min(size, height), Math.min(size, width));
      const output = await run(tile);
      channels = output.channels;
      sum ??= new Float32Array(channels * weights.length);
      add(sum, weights, width * scale, output, y * scale, x * scale, overlap * scale);
    }
  }
  const data = sum!.map((value, i) => value / weights[i % weights.length]!);
  return { data, channels, height: height * scale, width: width * scale };
}

/** A rectangle of the planes; outside of them their edge is repeated. */
export function cut(
  { data, channels, height, width }: Planes,
  top: number,
  left: number,
  h: number,
  w: number,
): Planes {
  const result = new Float32Array(channels * h * w);
  const inside = (value: number, size: number): number => Math.min(Math.max(value, 0), size - 1);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < h; y++) {
      const row = (c * height + inside(top + y, height)) * width;
      const to = (c * h + y) * w;
      for (let x = 0; x < w; x++) result[to + x] = data[row + inside(left + x, width)]!;
    }
  }
  return { data: result, channels, height: h, width: w };
}

/** The planes enlarged by `margin` on every side with the pixels of the opposite side. */
export function wrapAround({ data, channels, height, width }: Planes, margin: number): Planes {
  const h = height + 2 * margin;
  const w = width + 2 * margin;
  const result = new Float32Array(channels * h * w);
  const around = (value: number, size: number): number => (((value - margin) % size) + size) % size;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        result[(c * h + y) * w + x] = data[(c * height + around(y, height)) * width + around(x, width)]!;
      }
    }
  }
  return { data: result, channels, height: h, width: w };
}

function add(
  sum: Float32Array,
  weights: Float32Array,
  fullWidth: number,
  tile: Planes,
  top: number,
  left: number,
  fade: number,
): void {
  const area = weights.length;
  const ramp = (at: number, length: number): number =>
    Math.min(1, (Math.min(at, length - 1 - at) + 1) / (fade + 1));
  for (let y = 0; y < tile.height; y++) {
    for (let x = 0; x < tile.width; x++) {
      const weight = ramp(y, tile.height) * ramp(x, tile.width);
      const to = (top + y) * fullWidth + left + x;
      weights[to]! += weight;
      for (let c = 0; c < tile.channels; c++) {
        sum[c * area + to]! += weight * tile.data[(c * tile.height + y) * tile.width + x]!;
      }
    }
  }
}
