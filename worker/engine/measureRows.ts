/** How many rows one call of the network may have, found by making larger and larger ones. */
import { EngineError } from './errors.ts';
import type { Denoiser } from './latents/denoiser.ts';
import type { DenoiserRow } from './latents/denoiserRows.ts';
import type { ModelInfo } from './types.ts';

/** Encoders, decoder and the system take memory too: so much of what is free is used at most. */
const SHARE = 0.8;
const MOST_ROWS = 64;
/** A doubling that saves less than this of a row's time makes everybody in the call wait for nothing. */
const WORTH = 0.05;
const TOKENS = 77;

/**
 * Doubles the rows of a call of native size until a row takes as long as before, or the next doubling would not fit
 * into what is free, going by what the last one took.
 * @param free bytes of the device's memory; undefined where nobody can tell
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
      await denoiser.predict(call, side, side); // the first of its size looks for the fastest kernels
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
    // The first call also takes what does not grow with the rows, so it says too much rather than too little.
    if (each * rows > SHARE * after) return good + 2 * Math.floor((SHARE * after) / each / 2);
  }
  return good;
}

/** Zeros of the right shape; undefined where the file does not say what that is. */
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
