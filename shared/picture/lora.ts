import { z } from 'zod';

/** LoRAs and textual inversions as bot and worker speak of them; the engine applies them. */

/** Name of a LoRA or embedding: its file's name without ending; other characters become `-`. */
export const ADAPTER_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._+-]{0,79}$/u;
/** The typed name of a file: without ending, with `-` for characters that a prompt cannot hold. */
export const adapterNameOf = (file: string): string =>
  file
    .replace(/^.*[/\\]/, '')
    .replace(/\.safetensors$/i, '')
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._+-]+/gu, '-')
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .slice(0, 80);
export const MAX_LORAS = 8;
/** Largest LoRA weight, positive or negative. */
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

/** A LoRA in a recipe, with the sha256 of its file. */
export const loraUseSchema = loraWishSchema.extend({ sha256 });
export const embeddingUseSchema = z.strictObject({ name, sha256 });
export type LoraUse = z.infer<typeof loraUseSchema>;
export type EmbeddingUse = z.infer<typeof embeddingUseSchema>;

/** An installed LoRA as a worker announces it. */
export const loraCardSchema = z.object({
  name,
  sha256,
  /**
   * sha256 of the tensors alone, all that lies behind the header: what kohya's trainer and AUTOMATIC1111 call a LoRA
   * by, so that a change of its metadata leaves it the same.
   */
  tensors: sha256.optional(),
  /** Absent where the file does not say: the LoRA is then tried on any model. */
  base: baseSchema.optional(),
  /** Words in a prompt that trigger the LoRA. */
  words: z.array(z.string().max(100)).max(20),
  /** The weight where none is typed. */
  weight: z.number().min(-MAX_LORA_WEIGHT).max(MAX_LORA_WEIGHT),
  /** Steps that a LoRA for few steps wants instead of the model's own. */
  steps: z.int().min(1).max(1000).optional(),
  guidance: z.number().min(0).max(100).optional(),
  scheduler: z.string().max(64).optional(),
  /** Timesteps that end where training ended: Lightning, Hyper and Turbo are distilled on these. */
  spacing: z.literal('trailing').optional(),
});
export type LoraCard = z.infer<typeof loraCardSchema>;

export const embeddingCardSchema = z.object({ name, sha256, base: baseSchema.optional() });
export type EmbeddingCard = z.infer<typeof embeddingCardSchema>;

/** The card of a name, exact or else in any case. */
export const findAdapter = <T extends { readonly name: string }>(
  cards: readonly T[] | undefined,
  wanted: string,
): T | undefined =>
  cards?.find((card) => card.name === wanted) ??
  cards?.find((card) => card.name.toLowerCase() === wanted.toLowerCase());

/** Whether a LoRA or embedding fits a model of this base; false for a model without one. */
export const fits = (card: { readonly base?: BaseName | undefined }, base: BaseName | undefined): boolean =>
  base !== undefined && (card.base === undefined || card.base === base);

/** Which of the embeddings are named in a text: whole words, in any case. */
export function embeddingsIn<T extends { readonly name: string }>(text: string, cards: readonly T[]): T[] {
  return cards.filter((card) => {
    const escaped = card.name.replace(/[.+]/g, '\\$&');
    return new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, 'iu').test(text);
  });
}
