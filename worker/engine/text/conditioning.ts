/** Prompts as embeddings: blended, perturbed. */
import { badRequest } from '../errors.ts';
import { createGenerator } from '../latents/rng.ts';
import { sum } from '../schedulers/plan.ts';
import type { PromptPart } from '../types.ts';
import type { Row } from './prompt.ts';
import type { Encoded, TextEncoder } from './textEncoder.ts';

/**
 * A prompt's parts blended into one embedding. Positive parts are averaged by weight; a negative part pushes
 * away from itself: with p the average of the positive ones and r = |w| / (sum of positive weights),
 * e = (1 + r)·p - r·n. The weights always sum to one, so the embedding keeps the scale the model knows.
 */
export async function encodeBlend(
  encoder: TextEncoder,
  parts: readonly PromptPart[],
  emphasis: boolean,
  count: number,
): Promise<Encoded> {
  const encoded: Encoded[] = [];
  for (const part of parts) encoded.push(await encoder.encode(encoder.rows(part.text, emphasis), count));
  if (encoded.length === 1 && parts[0]!.weight > 0) return encoded[0]!;
  const positive = parts.reduce((total, part) => total + Math.max(part.weight, 0), 0);
  const negative = parts.reduce((total, part) => total + Math.max(-part.weight, 0), 0);
  if (!(positive > 0)) throw badRequest('at least one part of the prompt needs a weight above 0');
  const factor = 1 + negative / positive;
  const weights = parts.map(({ weight }) => (weight > 0 ? (weight / positive) * factor : weight / positive));
  const blend = (pick: (e: Encoded) => Float32Array): Float32Array =>
    sum(...encoded.map((e, i) => [weights[i]!, pick(e)] as const));
  return { ...encoded[0]!, hidden: blend((e) => e.hidden), pooled: blend((e) => e.pooled) };
}

/** The number of rows that the longest of some texts needs, over all of some encoders. */
export function longest(
  encoders: readonly TextEncoder[],
  texts: readonly string[],
  emphasis: boolean,
): number {
  const counts = encoders.flatMap((encoder) =>
    texts.map((text): readonly Row[] => encoder.rows(text, emphasis)),
  );
  return Math.max(...counts.map((rows) => rows.length));
}

/**
 * The embedding perturbed by `amount` (0..1) of each token's own spread, its length kept: the picture stays near the
 * prompt and becomes strange.
 */
export function perturb(encoded: Encoded, amount: number, seed: number): Encoded {
  if (amount === 0) return encoded;
  const noise = createGenerator(seed).randn(encoded.hidden.length);
  const hidden = new Float32Array(encoded.hidden.length);
  for (let from = 0; from < hidden.length; from += encoded.width) {
    const token = encoded.hidden.subarray(from, from + encoded.width);
    const length = Math.hypot(...token);
    const spread = length / Math.sqrt(encoded.width);
    const moved = token.map((value, i) => value + amount * spread * noise[from + i]!);
    const back = length / (Math.hypot(...moved) || 1);
    hidden.set(
      moved.map((value) => value * back),
      from,
    );
  }
  return { ...encoded, hidden };
}
