/**
 * Stable Diffusion 1.x and 2.x, SD-Turbo, and models of the same build: one text encoder whose last hidden state
 * conditions the network, classifier-free guidance (Ho & Salimans, 2022).
 */
import { encodeBlend, longest, perturb } from '../text/conditioning.ts';
import type { Family } from './family.ts';

export const stableDiffusion: Family = {
  name: 'stable-diffusion',
  matches: (folder) => folder.has('unet') && folder.has('text_encoder') && !folder.has('text_encoder_2'),
  encoders: () => [{ part: 'text_encoder', tokenizer: 'tokenizer', layer: 'last' }],
  inputs: [],
  // Files of 2022 lack both options; StableDiffusionPipeline sets them, and the same pictures need them.
  schedulerRepairs: { steps_offset: 1, clip_sample: false },

  async condition({ encoders, prompt, negative = '', emphasis, perturb: { amount, seed } }) {
    // 1. Prompt and negative get as many rows of tokens as the longer of them needs.
    const [encoder] = encoders as [(typeof encoders)[number]];
    const count = longest(encoders, [...prompt.map((part) => part.text), negative], emphasis);
    // 2. Encode both; the encoder caches the empty negative.
    const positive = perturb(await encodeBlend(encoder, prompt, emphasis, count), amount, seed);
    const against = await encoder.encode(encoder.rows(negative, emphasis), count);
    return {
      positive: { hidden: positive.hidden, tokens: positive.tokens, extras: {} },
      negative: { hidden: against.hidden, tokens: against.tokens, extras: {} },
    };
  },
};
