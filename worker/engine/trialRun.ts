/** Runs every network of a model once, on the smallest possible picture, to find failures before the model is used. */
import { EngineError } from './errors.ts';
import { createGenerator } from './latents/rng.ts';
import { loadParts } from './load.ts';
import type { LoadOptions } from './types.ts';

export interface Trial {
  /**
   * Correlation of the network's output with pure noise at the noisiest timestep: near 1 where it predicts the noise
   * (epsilon), near 0 where it predicts v, which there is the picture.
   */
  readonly noiseFound: number;
}

/**
 * Loads a folder and runs text encoders, network and decoder once each.
 * @throws EngineError where a part cannot be run, or gives not-a-number
 */
export async function tryModel(dir: string, options: LoadOptions = {}): Promise<Trial> {
  const parts = await loadParts(dir, { ...options, safetyChecker: false });
  try {
    const { family, encoders, denoiser, vae, info } = parts;
    const side = info.multiple / vae.factor;
    const pixels = info.multiple;
    const size = vae.channels * side * side;
    const { positive } = await family.condition({
      folder: parts.folder,
      encoders,
      denoiser,
      prompt: [{ text: '', weight: 1 }],
      negative: '',
      emphasis: false,
      width: pixels,
      height: pixels,
      perturb: { amount: 0, seed: 0 },
    });
    refuseNaN(positive.hidden, encoders[0]!.session.file);
    const noise = createGenerator(0).randn(size);
    const sample = new Float32Array((denoiser.inChannels ?? vae.channels) * side * side);
    sample.set(noise);
    const extras = { ...positive.extras, ...family.guidanceInputs?.(1, denoiser) };
    const { hidden, tokens } = positive;
    const row = { sample, timestep: 999, hidden, tokens, extras, only: true };
    const [said] = await denoiser.predict([row], side, side);
    refuseNaN(said!, denoiser.session.file);
    refuseNaN((await vae.decode(noise, side, side)).data, vae.decoder.file);
    if (parts.tiny) refuseNaN((await parts.tiny.decode(noise, side, side)).data, parts.tiny.decoder.file);
    return { noiseFound: correlation(noise, said!) };
  } finally {
    for (const session of parts.sessions) await session.release();
  }
}

function refuseNaN(values: Float32Array, file: string): void {
  if (values.every((value) => Number.isFinite(value))) return;
  throw new EngineError(
    'not-a-number',
    `${file} gives not-a-number: its weights are broken. Fetch the model again.`,
    {
      file,
    },
  );
}

/** Pearson's correlation. */
function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (values: Float32Array): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [both, ownA, ownB] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    both += (value - meanA) * (b[i]! - meanB);
    ownA += (value - meanA) ** 2;
    ownB += (b[i]! - meanB) ** 2;
  }
  return both / (Math.sqrt(ownA * ownB) || 1);
}
