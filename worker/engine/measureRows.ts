/** Finds the best number of rows for one call of the network, by timing larger and larger calls. */
import { EngineError } from './errors.ts';
import type { Denoiser } from './latents/denoiser.ts';
import type { DenoiserRow } from './latents/denoiserRows.ts';
import type { ModelInfo } from './types.ts';

/** The largest share of free memory to use: encoders, decoder and the system need the rest. */
const SHARE = 0.8;
const MOST_ROWS = 64;
/** A doubling must save this share of a row's time, else the rows of a call only wait for one another. */
const WORTH = 0.05;
const TOKENS = 77;

/**
 * Doubles the rows of a call of native size until a row takes as long as before, or until the next doubling would not
 * fit into free memory, judged by the last one.
 * @param free the device's free memory in bytes; undefined where it cannot be asked
 * @returns even; undefined where it cannot be measured
 */
export async function measureRows(
  denoiser: Denoiser,
  { nativeSize, latentFactor }: Pick<ModelInfo, 'nativeSize' | 'latentFactor'>,
  free: () => Promise<number | undefined>,
  now: () => number = () => performance.now(),
): Promise<number | undefined> {
  const row = blankRow(denoiser, nativeSize / latentFactor);
  if (!row) return undefined;
  const side = nativeSize / latentFactor;
  let before = await free();
  let good = 0;
  let fastest = Number.POSITIVE_INFINITY;
  for (let rows = 2; rows <= MOST_ROWS; rows *= 2) {
    const call = Array<DenoiserRow>(rows).fill(row);
    let ms: number;
    try {
      await denoiser.predict(call, side, side); // the first call of a size searches for the fastest kernels
      const began = now();
      await denoiser.predict(call, side, side);
      ms = (now() - began) / rows;
    } catch (error) {
      if (error instanceof EngineError && error.code === 'out-of-memory') return good || undefined;
      throw error;
    }
    const after = await free();
    if (before === undefined || after === undefined) return undefined;
    if (ms > fastest * (1 - WORTH)) return good;
    fastest = ms;
    const each = Math.max(0, before - after) / (rows - good);
    good = rows;
    before = after;
    // The first call also takes memory that does not grow with the rows, so `each` is rather too large than too small.
    if (each * rows > SHARE * after) return good + 2 * Math.floor((SHARE * after) / each / 2);
  }
  return good;
}

/** A row of zeros; undefined where the file does not say the shape. */
function blankRow(denoiser: Denoiser, side: number): DenoiserRow | undefined {
  const { inChannels, hiddenWidth, session } = denoiser;
  if (inChannels === undefined || hiddenWidth === undefined) return undefined;
  const extras: Record<string, Float32Array> = {};
  for (const name of denoiser.extraInputs) {
    const width = session.inputs.get(name)?.shape[1];
    if (typeof width !== 'number') return undefined;
    extras[name] = new Float32Array(width);
  }
  const sample = new Float32Array(inChannels * side * side);
  const hidden = new Float32Array(TOKENS * hiddenWidth);
  return { sample, timestep: 1, hidden, tokens: TOKENS, extras, only: false };
}
