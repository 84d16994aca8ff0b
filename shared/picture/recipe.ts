import { z } from 'zod';
import { type EmbeddingUse, embeddingUseSchema, type LoraUse, loraUseSchema, MAX_LORAS } from './lora.ts';

/**
 * A picture is its recipe: everything needed to paint it again, bit for bit on the same engine.
 * Recipes are in Redis by job id and inside every PNG that is sent; so they are small, flat and versioned.
 */
export const RECIPE_VERSION = 1;

export const promptPartSchema = z.strictObject({
  text: z.string().max(6000),
  weight: z.number().min(-100).max(100),
});
export type PromptPart = z.infer<typeof promptPartSchema>;

/** A store key: `<job id>/…` or `uploads/<sha256>.png`; no part begins with a dot, so none leads out. */
export const storeKeySchema = z
  .string()
  .max(200)
  .regex(/^[a-z0-9][\w-]*(?:\.\d+)?(?:\/[\w-][\w.-]*)*$/i, 'a store key: letters, digits, - _ . and /');

export const jobIdSchema = z.string().regex(/^\d{15,20}(?:\.\d{1,2})?$/, 'a snowflake, with .n for repeats');

/**
 * What a job does. `imagine` paints from noise (and an image prompt), `blend` from several pictures; the others
 * start from a parent's picture; those from `vary-region` to `make-square` keep parts of it as they are, and `reword`
 * moves the picture's subject from one text to another.
 */
export const actionSchema = z.enum([
  'imagine',
  'blend',
  'vary-subtle',
  'vary-strong',
  'upscale-subtle',
  'upscale-creative',
  'vary-region',
  'zoom-out',
  'pan-left',
  'pan-right',
  'pan-up',
  'pan-down',
  'make-square',
  'reword',
]);
export type Action = z.infer<typeof actionSchema>;

/** `vary-region`: the cells of a 4 × 4 grid that are painted anew. Bit 0 is the top left cell, bit 3 the top right. */
export const cellsSchema = z.int().min(1).max(0xffff);
/** `zoom-out`: how many times smaller the parent stands in the new frame. */
export const zoomSchema = z.number().min(1).max(2);
/** `blend`: the pictures in the given order, with their shares; equal shares where none is given. */
export const blendSchema = z
  .array(z.strictObject({ key: storeKeySchema, share: z.number().gt(0).lt(1).optional() }))
  .min(2)
  .max(5);

export type Blended = z.infer<typeof blendSchema>[number];
/** Each blended picture's share of the whole; the shares add up to 1. */
export const sharesOf = (blend: readonly Blended[]): number[] =>
  blend.map(({ share }) => share ?? 1 / blend.length);

/** `reword`: what the picture shows ('' until the model describes it), and what it should show. */
export const rewordSchema = z.strictObject({
  from: z.string().max(1000),
  to: z.string().min(1).max(1000),
});
export type Reword = z.infer<typeof rewordSchema>;

/** For models with a picture embedding: how pictures and words together make the embedding. */
export const meaningSchema = z.strictObject({
  /** Share of the prompt in the embedding, 0..1; the pictures have the rest. */
  text: z.number().min(0).max(1),
  /** Keeps the picture's layout: painting starts from the noise that inversion finds. */
  layout: z.boolean().optional(),
  /** One strength for each picture of the grid, 0..1 of the way between the texts. */
  reword: rewordSchema.extend({ strengths: z.array(z.number().min(0).max(1)).min(1).max(4) }).optional(),
});
export type Meaning = z.infer<typeof meaningSchema>;

export interface Recipe {
  v: 1;
  action: Action;
  model: string;
  /** First 16 hex digits of the sha256 of the model's manifest; says whether a repaint can be bit-exact. */
  modelHash: string;
  /** The prompt as its author would type it again, parameters included (canonical print of the parser). */
  prompt: string;
  parts: PromptPart[];
  negative: string;
  /** Picture i starts from PyTorch's CPU generator seeded with seed + i (mod 2^32). */
  seed: number;
  count: number;
  width: number;
  height: number;
  steps: number;
  guidance: number;
  scheduler: string;
  /** Timestep spacing; absent: as the model's own folder says. */
  spacing?: 'trailing' | undefined;
  /** 0..1; see docs/prompt.md for what each does on a diffusion model. */
  chaos: number;
  weird: number;
  /** Fraction of the schedule that is painted, (0, 1]. */
  stop: number;
  tile: boolean;
  /** LoRAs in the order in which they were typed. */
  loras?: LoraUse[] | undefined;
  /** Textual inversions named in prompt and negative. */
  embeddings?: EmbeddingUse[] | undefined;
  /** A sketch: fewer steps, and the tiny decoder where the model has one. */
  draft?: true | undefined;
  image?: { key: string; strength: number } | undefined;
  cells?: number | undefined;
  zoom?: number | undefined;
  blend?: Blended[] | undefined;
  /** Style numbers and how far the words are moved their way; see style.ts. */
  style?: { codes: number[]; strength: number } | undefined;
  meaning?: Meaning | undefined;
  parent?: { jobId: string; index: number; recipe: Recipe } | undefined;
}

export const recipeSchema: z.ZodType<Recipe> = z.strictObject({
  v: z.literal(RECIPE_VERSION),
  action: actionSchema,
  model: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/i),
  modelHash: z.string().regex(/^[0-9a-f]{0,16}$/),
  prompt: z.string().max(6000),
  parts: z.array(promptPartSchema).min(1).max(64),
  negative: z.string().max(6000),
  seed: z.int().min(0).max(0xffffffff),
  count: z.int().min(1).max(4),
  width: z.int().min(8).max(4096),
  height: z.int().min(8).max(4096),
  steps: z.int().min(1).max(1000),
  guidance: z.number().min(0).max(100),
  scheduler: z.string().max(64),
  spacing: z.literal('trailing').optional(),
  chaos: z.number().min(0).max(1),
  weird: z.number().min(0).max(1),
  stop: z.number().gt(0).max(1),
  tile: z.boolean(),
  loras: z.array(loraUseSchema).max(MAX_LORAS).optional(),
  embeddings: z.array(embeddingUseSchema).max(32).optional(),
  draft: z.literal(true).optional(),
  image: z.strictObject({ key: storeKeySchema, strength: z.number().gt(0).max(1) }).optional(),
  cells: cellsSchema.optional(),
  zoom: zoomSchema.optional(),
  blend: blendSchema.optional(),
  style: z
    .strictObject({
      codes: z.array(z.int().min(0).max(0xffffffff)).min(1).max(4),
      strength: z.number().min(0).max(4),
    })
    .optional(),
  meaning: meaningSchema.optional(),
  parent: z
    .strictObject({
      jobId: jobIdSchema,
      index: z.int().min(0).max(3),
      get recipe() {
        return recipeSchema;
      },
    })
    .optional(),
});

/** How many ancestors a recipe carries; the parser of custom ids and the presenter stop at this depth. */
export const MAX_LINEAGE = 24;

/** The recipe and its ancestors, youngest first; at most MAX_LINEAGE + 1. */
export const lineage = (recipe: Recipe): Recipe[] => {
  const chain: Recipe[] = [];
  for (let at: Recipe | undefined = recipe; at && chain.length <= MAX_LINEAGE; at = at.parent?.recipe)
    chain.push(at);
  return chain;
};

/** Seed of picture `index` of a grid: S + i, as Midjourney's users expect and as diffusers takes it. */
export const seedOf = (recipe: Pick<Recipe, 'seed'>, index: number): number => (recipe.seed + index) >>> 0;
