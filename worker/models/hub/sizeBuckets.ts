/** The ratios that people ask for, landscape; portrait follows. */
const RATIOS = [1, 5 / 4, 4 / 3, 3 / 2, 16 / 9, 2, 21 / 9] as const;

/** The sizes that SDXL was trained on (Podell et al., 2023, appendix I) nearest to the ratios above. */
const AROUND_1024: readonly [number, number][] = [
  [1024, 1024],
  [1152, 896],
  [1216, 832],
  [1344, 768],
  [1536, 640],
];

/** How far a picture's area may differ from the native one, as a share. */
const AREA = 0.16;

/**
 * The sizes a model is offered in: for each ratio the pair of sides that comes nearest to it at about the native
 * area. Few and fixed, because each new shape costs a provider time (and CUDA a search) when it is first seen.
 */
export function bucketsAround(width: number, height: number, multiple: number): [number, number][] {
  // Most models were trained on multiples of 64; tiny models are too small for that.
  const grid = Math.min(width, height) >= 256 ? leastCommon(multiple, 64) : multiple;
  const area = width * height;
  const landscape =
    width === 1024 && height === 1024 && grid === 64
      ? AROUND_1024
      : [[width, height] as [number, number], ...RATIOS.flatMap((ratio) => nearest(ratio, area, grid))];
  const found = new Map<string, [number, number]>();
  for (const [w, h] of landscape) {
    found.set(`${w}x${h}`, [w, h]);
    found.set(`${h}x${w}`, [h, w]);
  }
  return [...found.values()];
}

function nearest(ratio: number, area: number, grid: number): [number, number][] {
  let best: [number, number] | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let w = grid; w <= Math.sqrt(area) * 3; w += grid) {
    for (let h = grid; h <= w; h += grid) {
      const offArea = Math.abs(Math.log((w * h) / area));
      const offRatio = Math.abs(Math.log(w / h / ratio));
      if (offArea > AREA || offRatio > 0.12) continue;
      if (offRatio + offArea / 2 < least) {
        least = offRatio + offArea / 2;
        best = [w, h];
      }
    }
  }
  return best ? [best] : [];
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
const leastCommon = (a: number, b: number): number => (a * b) / divisor(a, b);
