/**
 * Latent Consistency Models (Luo et al., 2023): the guidance scale is an input of the network, an embedding
 * (`timestep_cond`), so there is no second, unconditional row and no negative prompt.
 */
import { encodeBlend, longest, perturb } from '../text/conditioning.ts';
import type { Family } from './family.ts';

export const latentConsistency: Family = {
  name: 'latent-consistency',
  matches: (folder) =>
    folder.has('unet') &&
    !folder.has('text_encoder_2') &&
    typeof folder.config('unet')['time_cond_proj_dim'] === 'number',
  encoders: () => [{ part: 'text_encoder', tokenizer: 'tokenizer', layer: 'last' }],
  inputs: ['timestep_cond'],
  strengthInSchedule: true,

  async condition({ encoders, prompt, emphasis, perturb: { amount, seed } }) {
    const [encoder] = encoders as [(typeof encoders)[number]];
    const count = longest(
      encoders,
      prompt.map((part) => part.text),
      emphasis,
    );
    const positive = perturb(await encodeBlend(encoder, prompt, emphasis, count), amount, seed);
    return { positive: { hidden: positive.hidden, tokens: positive.tokens, extras: {} } };
  },

  guidanceInputs(scale, denoiser) {
    const width = denoiser.session.inputs.get('timestep_cond')?.shape[1];
    return { timestep_cond: guidanceEmbedding(scale, typeof width === 'number' ? width : 256) };
  },
};

/** Sinusoids of (scale - 1)·1000, sines first (Vaswani et al., 2017; the LCM paper's guidance conditioning). */
export function guidanceEmbedding(scale: number, width: number): Float32Array {
  const embedding = new Float32Array(width);
  const half = Math.floor(width / 2);
  const w = (scale - 1) * 1000;
  for (let i = 0; i < half; i++) {
    const angle = w * Math.exp((-i * Math.log(10000)) / (half - 1));
    embedding[i] = Math.sin(angle);
    embedding[half + i] = Math.cos(angle);
  }
  return embedding;
}
