/** How many rows one call of the network may have, found by making larger and larger ones. */
import { EngineError } from './errors.ts';
import type { Denoiser, DenoiserRow } from './latents/denoiser.ts';
import type { ModelInfo } from './types.ts';

/** Encoders, decoder and the system take memory too: so much of what is free is used at most. */
const SHARE = 0.8;
/** Beyond this a GPU's time per row no longer falls. */
const MOST_ROWS = 64;
const TOKENS = 77;

/**
 * Doubles the rows of a call of native size until the next doubling would not fit into what is free, going by what the
 * last one took.
 * @param free bytes of the device's memory; undefined where nobody can tell
 * @returns even; undefined where it cannot be measured
 */
export async function measureRows(
  denoiser: Denoiser,
  { nativeSize, latentFactor }: Pick<ModelInfo, 'nativeSize' | 'latentFactor'>,
  free: () => Promise<number | undefined>,
): Promise<number | undefined> {
  const row = blankRow(denoiser, nativeSize / latentFactor);
  if (!row) return undefined;
  const side = nativeSize / latentFactor;
  let before = await free();
  let good = 0;
  for (let rows = 2; rows <= MOST_ROWS; rows *= 2) {
    try {
      await denoiser.predict(Array<DenoiserRow>(rows).fill(row), side, side);
    } catch (error) {
      if (error instanceof EngineError && error.code === 'out-of-memory') return good || undefined;
      throw error;
    }
    const after = await free();
    if (before === undefined || after === undefined) return undefined;
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
