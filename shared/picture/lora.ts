import { z } from 'zod';

/** LoRAs and textual inversions as bot and worker speak of them; what they do is the engine's. */

/** Of a file without its ending; what a file's name has beyond these signs becomes `-`. */
export const ADAPTER_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._+-]{0,79}$/u;
/** A file's name as it is typed: without its ending, and without what a prompt could not hold. */
export const adapterNameOf = (file: string): string =>
  file
    .replace(/^.*[/\\]/, '')
    .replace(/\.safetensors$/i, '')
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._+-]+/gu, '-')
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .slice(0, 80);
export const MAX_LORAS = 8;
/** How strongly a LoRA may be asked for, to either side. */
export const MAX_LORA_WEIGHT = 2;
/** Bases that a LoRA can be made for, by the names that model cards give as `base`. */
export const BASES = { sd1: 'SD 1', sd2: 'SD 2', sdxl: 'SDXL', pocket: 'pocket' } as const;
export type BaseName = keyof typeof BASES;
export const baseSchema = z.enum(Object.keys(BASES) as [BaseName, ...BaseName[]]);

const name = z.string().regex(ADAPTER_NAME);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const loraWishSchema = z.strictObject({
  name,
  weight: z.number().min(-MAX_LORA_WEIGHT).max(MAX_LORA_WEIGHT),
});
export type LoraWish = z.infer<typeof loraWishSchema>;

/** In a recipe: the very file. */
export const loraUseSchema = loraWishSchema.extend({ sha256 });
export const embeddingUseSchema = z.strictObject({ name, sha256 });
export type LoraUse = z.infer<typeof loraUseSchema>;
export type EmbeddingUse = z.infer<typeof embeddingUseSchema>;

/** What a worker says of an installed LoRA. */
export const loraCardSchema = z.object({
  name,
  sha256,
  /**
   * sha256 of the tensors alone, all that lies behind the header: what kohya's trainer and AUTOMATIC1111 call a LoRA
   * by, so that a change of its metadata leaves it the same.
   */
  tensors: sha256.optional(),
  /** Absent where the file does not say: it is then tried on any. */
  base: baseSchema.optional(),
  /** Words that wake it. */
  words: z.array(z.string().max(100)).max(20),
  /** Where none is typed. */
  weight: z.number().min(-MAX_LORA_WEIGHT).max(MAX_LORA_WEIGHT),
  /** What a LoRA that makes models quick wants instead of the model's own. */
  steps: z.int().min(1).max(1000).optional(),
  guidance: z.number().min(0).max(100).optional(),
  scheduler: z.string().max(64).optional(),
  /** Timesteps that end where training ended: Lightning, Hyper and Turbo are distilled on these. */
  spacing: z.literal('trailing').optional(),
});
export type LoraCard = z.infer<typeof loraCardSchema>;

export const embeddingCardSchema = z.object({ name, sha256, base: baseSchema.optional() });
export type EmbeddingCard = z.infer<typeof embeddingCardSchema>;

/** By any spelling of its letters. */
export const findAdapter = <T extends { readonly name: string }>(
  cards: readonly T[] | undefined,
  wanted: string,
): T | undefined =>
  cards?.find((card) => card.name === wanted) ??
  cards?.find((card) => card.name.toLowerCase() === wanted.toLowerCase());

export const fits = (card: { readonly base?: BaseName | undefined }, base: BaseName | undefined): boolean =>
  base !== undefined && (card.base === undefined || card.base === base);

/** Which of the embeddings are named in a text: whole words, in any case. */
export function embeddingsIn<T extends { readonly name: string }>(text: string, cards: readonly T[]): T[] {
  return cards.filter((card) => {
    const escaped = card.name.replace(/[.+]/g, '\\$&');
    return new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, 'iu').test(text);
  });
}
