/**
 * Pictures whose edges meet: the latents are rolled before every model call and back after it, so that no place is
 * at an edge for long.
 */

/** A different shift every step, so that no place is always at the edge. */
export function rollOf(call: number, height: number, width: number): readonly [number, number] {
  const golden = 0.6180339887;
  const part = (size: number, factor: number): number => Math.floor(((call * factor) % 1) * size);
  return [part(height, golden), part(width, golden * golden)];
}

/** Every plane rolled by (dy, dx): what leaves at one edge comes in at the opposite one. */
export function rolled(
  planes: Float32Array,
  height: number,
  width: number,
  dy: number,
  dx: number,
): Float32Array {
  const result = new Float32Array(planes.length);
  const count = planes.length / (height * width);
  for (let c = 0; c < count; c++) {
    for (let y = 0; y < height; y++) {
      const toY = (((y + dy) % height) + height) % height;
      for (let x = 0; x < width; x++) {
        const toX = (((x + dx) % width) + width) % width;
        result[(c * height + toY) * width + toX] = planes[(c * height + y) * width + x]!;
      }
    }
  }
  return result;
}
