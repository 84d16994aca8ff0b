/**
 * Stable Diffusion XL, SDXL-Turbo, Lightning: two text encoders whose last-but-one hidden states stand side by
 * side, the second one's pooled embedding, and the picture's size as six numbers (Podell et al., 2023, 2.2).
 */
import { encodeBlend, longest, perturb } from '../text/conditioning.ts';
import type { Encoded } from '../text/textEncoder.ts';
import type { Family } from './family.ts';

export const stableDiffusionXl: Family = {
  name: 'stable-diffusion-xl',
  matches: (folder) => folder.has('unet') && folder.has('text_encoder') && folder.has('text_encoder_2'),
  encoders: () => [
    { part: 'text_encoder', tokenizer: 'tokenizer', layer: 'penultimate' },
    { part: 'text_encoder_2', tokenizer: 'tokenizer_2', layer: 'penultimate' },
  ],
  inputs: ['text_embeds', 'time_ids'],

  async condition({
    folder,
    encoders,
    prompt,
    negative,
    emphasis,
    width,
    height,
    perturb: { amount, seed },
  }) {
    // 1. Prompt and negative get as many rows of tokens as the longest of them needs with either tokenizer.
    const count = longest(encoders, [...prompt.map((part) => part.text), negative ?? ''], emphasis);
    // 2. Both encoders' hidden states side by side; the pooled embedding is the second one's.
    const [first, second] = encoders as [(typeof encoders)[number], (typeof encoders)[number]];
    const positive = perturb(
      beside(
        await encodeBlend(first, prompt, emphasis, count),
        await encodeBlend(second, prompt, emphasis, count),
      ),
      amount,
      seed,
    );
    // 3. Without a negative prompt: zeros, where the model was trained so. With '': the empty text, encoded.
    const text = [{ text: negative ?? '', weight: 1 }];
    const against =
      negative === undefined && folder.index['force_zeros_for_empty_prompt'] !== false
        ? {
            ...positive,
            hidden: new Float32Array(positive.hidden.length),
            pooled: new Float32Array(positive.pooled.length),
          }
        : beside(
            await encodeBlend(first, text, emphasis, count),
            await encodeBlend(second, text, emphasis, count),
          );
    // 4. Original height and width, crop top and left, target height and width.
    const timeIds = Float32Array.from([height, width, 0, 0, height, width]);
    const condition = (encoded: Encoded) => ({
      hidden: encoded.hidden,
      tokens: encoded.tokens,
      extras: { text_embeds: encoded.pooled, time_ids: timeIds },
    });
    return { positive: condition(positive), negative: condition(against) };
  },
};

/** Two encodings of the same tokens, their vectors joined; the second one's pooled vector. */
function beside(a: Encoded, b: Encoded): Encoded {
  const width = a.width + b.width;
  const hidden = new Float32Array(a.tokens * width);
  for (let token = 0; token < a.tokens; token++) {
    hidden.set(a.hidden.subarray(token * a.width, (token + 1) * a.width), token * width);
    hidden.set(b.hidden.subarray(token * b.width, (token + 1) * b.width), token * width + a.width);
  }
  return { hidden, width, tokens: a.tokens, pooled: b.pooled };
}
