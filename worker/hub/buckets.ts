/** The ratios that people ask for, landscape; portrait follows. */
const RATIOS = [1, 5 / 4, 4 / 3, 3 / 2, 16 / 9, 2, 21 / 9] as const;

/** How much a picture may be larger or smaller than what the model was trained on. */
const AREA = 0.16;

/**
 * The sizes a model is offered in: for each ratio the pair of sides that comes nearest to it at about the native
 * area. Few and fixed, because each new shape costs a provider time (and CUDA a search) when it is first seen.
 */
export function bucketsAround(width: number, height: number, multiple: number): [number, number][] {
  // What people's models were trained on are multiples of 64; tiny models have no such room.
  const grid = Math.min(width, height) >= 256 ? leastCommon(multiple, 64) : multiple;
  const area = width * height;
  const found = new Map<string, [number, number]>([[`${width}x${height}`, [width, height]]]);
  for (const ratio of RATIOS) {
    const best = nearest(ratio, area, grid);
    if (!best) continue;
    found.set(`${best[0]}x${best[1]}`, best);
    found.set(`${best[1]}x${best[0]}`, [best[1], best[0]]);
  }
  return [...found.values()];
}

function nearest(ratio: number, area: number, grid: number): [number, number] | undefined {
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
  return best;
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
const leastCommon = (a: number, b: number): number => (a * b) / divisor(a, b);
