import { z } from 'zod';
import { LANES, VISIBILITIES } from '../memory/settings.ts';
import {
  baseSchema,
  embeddingCardSchema,
  loraCardSchema,
  loraWishSchema,
  MAX_LORAS,
} from '../picture/lora.ts';
import {
  actionSchema,
  blendSchema,
  cellsSchema,
  jobIdSchema,
  promptPartSchema,
  type Recipe,
  recipeSchema,
  rewordSchema,
  storeKeySchema,
  zoomSchema,
} from '../picture/recipe.ts';

/**
 * The jobs in Redis. Two jobs for each picture: `render` (the child: GPU work) and `deliver` (the
 * parent: Discord work), so that after an outage of Discord only posting is repeated, never painting.
 */
export const SCHEMA_VERSION = 1;

/** Treatments of a picture that the safety checker flags, mildest first; the worker's `off` is not one. */
export const SAFETIES = ['spoiler', 'blur', 'block'] as const;
export type Safety = (typeof SAFETIES)[number];

/** The parameters as typed, after the prompt language; absent means "the model's default". */
export const paramsSchema = z.strictObject({
  /** [w, h] as a reduced ratio. */
  aspect: z.tuple([z.int().min(1).max(999), z.int().min(1).max(999)]).optional(),
  chaos: z.number().min(0).max(100).optional(),
  stylize: z.number().min(0).max(1000).optional(),
  weird: z.number().min(0).max(3000).optional(),
  quality: z.number().min(0.25).max(4).optional(),
  seed: z.int().min(0).max(0xffffffff).optional(),
  stop: z.number().min(10).max(100).optional(),
  repeat: z.int().min(1).max(40).optional(),
  /** Pictures of one grid. */
  count: z.int().min(1).max(4).optional(),
  /** Style codes; 'random' only between the parser and the queue, where a number is drawn for it. */
  sref: z
    .array(z.union([z.int().min(0).max(0xffffffff), z.literal('random')]))
    .min(1)
    .max(4)
    .optional(),
  sw: z.number().min(0).max(1000).optional(),
  tile: z.boolean().optional(),
  raw: z.boolean().optional(),
  draft: z.boolean().optional(),
  iw: z.number().min(0).max(3).optional(),
  model: z.string().max(64).optional(),
  scheduler: z.string().max(64).optional(),
  loras: z.array(loraWishSchema).max(MAX_LORAS).optional(),
  /** Only between the parser and the queue: a recipe holds neither lane nor visibility. */
  lane: z.enum(LANES).optional(),
  visibility: z.enum(VISIBILITIES).optional(),
});
export type Params = z.infer<typeof paramsSchema>;

/** /compare: the prompt of all its jobs, and the labels of what differs. */
export const compareSchema = z.strictObject({
  prompt: z.string().max(6000),
  labels: z.array(z.string().max(130)).min(2).max(6),
});
export type Compare = z.infer<typeof compareSchema>;

/** A complete request for pictures: the worker paints it without a look-up. */
export const renderRequestSchema = z.strictObject({
  v: z.literal(SCHEMA_VERSION),
  jobId: jobIdSchema,
  action: actionSchema,
  /** Canonical text with parameters: what goes into the message and into the recipe. */
  prompt: z.string().max(6000),
  parts: z.array(promptPartSchema).min(1).max(64),
  negative: z.string().max(6000),
  params: paramsSchema,
  model: z.string().max(64),
  seed: z.int().min(0).max(0xffffffff),
  count: z.int().min(1).max(4),
  image: z.strictObject({ key: storeKeySchema }).optional(),
  cells: cellsSchema.optional(),
  zoom: zoomSchema.optional(),
  blend: blendSchema.optional(),
  reword: rewordSchema.optional(),
  parent: z
    .strictObject({ jobId: jobIdSchema, index: z.int().min(0).max(3), recipe: recipeSchema })
    .optional(),
  /** Set for a job of /compare: the labels of all its jobs, in the order of their job ids. */
  compare: compareSchema.optional(),
  /** Lane in the queue; absent = fast. */
  lane: z.enum(LANES).optional(),
  /** The server's choice for a flagged picture; counts where it is stricter than the worker's SAFETY. */
  safety: z.enum(SAFETIES).optional(),
  user: z.strictObject({ id: z.string().regex(/^\d{15,20}$/), name: z.string().max(100) }),
  /** Set by the bot when it was queued, ms since 1970. Only for display: clocks may disagree. */
  createdAt: z.number(),
});
export type RenderRequest = z.infer<typeof renderRequestSchema>;

/** Where a picture is posted. The interaction's token is kept apart (`keys.token`), for 15 minutes. */
export const deliverRequestSchema = z.strictObject({
  v: z.literal(SCHEMA_VERSION),
  jobId: jobIdSchema,
  applicationId: z.string().regex(/^\d{15,20}$/),
  channelId: z.string().regex(/^\d{15,20}$/),
  guildId: z
    .string()
    .regex(/^\d{15,20}$/)
    .optional(),
  locale: z.string().max(10),
  /** Bytes of one file; from the interaction. */
  attachmentLimit: z.int().min(1),
  /** True where the acknowledgement of the interaction is the message that is edited; false for repeats. */
  original: z.boolean(),
  /** The finished picture does not ping its owner. */
  quiet: z.boolean().optional(),
  /** Shown to the owner alone: an ephemeral message, after the token's 15 minutes a direct one. */
  stealth: z.boolean().optional(),
  /** The finished picture also goes to its owner as a direct message. */
  autoDm: z.boolean().optional(),
});
export type DeliverRequest = z.infer<typeof deliverRequestSchema>;

export const deliverJobSchema = z.strictObject({
  render: renderRequestSchema,
  deliver: deliverRequestSchema,
});
export type DeliverJob = z.infer<typeof deliverJobSchema>;

/** A painted job: the keys of its pictures in the store, and what its message shows. */
export const renderResultSchema = z.strictObject({
  v: z.literal(SCHEMA_VERSION),
  jobId: jobIdSchema,
  recipe: recipeSchema,
  /** Store keys of the single pictures (PNG), and of the grid (absent for one picture). */
  pictures: z.array(storeKeySchema).min(1).max(4),
  grid: storeKeySchema.optional(),
  /** Pictures that the safety checker flagged, 0-based; below, how they were treated. */
  flagged: z.array(z.int().min(0).max(3)).max(4).optional(),
  safety: z.enum(SAFETIES).optional(),
  /** Whether a model of this worker can reword the picture. */
  reword: z.boolean().optional(),
  /** False where the picture's model paints whole pictures only: no region, no zoom, no pan. */
  repaints: z.boolean().optional(),
  /** Size of the file that is shown, pixels. */
  width: z.int(),
  height: z.int(),
  /** Milliseconds in the engine; 0 when the pictures were found in the store. */
  paintMs: z.number(),
});
export interface RenderResult extends z.infer<typeof renderResultSchema> {
  recipe: Recipe;
}

/**
 * A question of /describe or /shorten: what is in a picture, which words matter. The worker answers by
 * editing the interaction's message.
 */
export const askSchema = z.strictObject({
  v: z.literal(SCHEMA_VERSION),
  /** The interaction's id. */
  id: jobIdSchema,
  question: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('describe'),
      image: z.strictObject({ key: storeKeySchema }),
      /** Text appended to each description: the picture's shape as --ar. */
      suffix: z.string().max(100),
    }),
    z.strictObject({
      kind: z.literal('shorten'),
      text: z.string().min(1).max(6000),
      /** Parameters as typed, appended to each shortened prompt. */
      suffix: z.string().max(6000),
    }),
  ]),
  model: z.string().max(64),
  userId: z.string().regex(/^\d{15,20}$/),
  applicationId: z.string().regex(/^\d{15,20}$/),
  locale: z.string().max(10),
});
export type AskRequest = z.infer<typeof askSchema>;

/**
 * Fields of a job of any version that name its member: enough to tell them that the job failed. A field that
 * only improves the message may be missing.
 */
export const envelopeSchema = z.object({
  render: z.object({
    jobId: jobIdSchema,
    action: actionSchema.catch('imagine'),
    prompt: z.string().max(6000).catch(''),
    user: z.object({ id: z.string().regex(/^\d{15,20}$/) }),
  }),
  deliver: z.object({
    applicationId: z.string().regex(/^\d{15,20}$/),
    locale: z.string().max(10).catch('en-US'),
    original: z.boolean().catch(true),
    stealth: z.boolean().optional().catch(undefined),
  }),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** The same fields of a question. */
export const askedBySchema = z.object({
  id: jobIdSchema,
  userId: z.string().regex(/^\d{15,20}$/),
  applicationId: z.string().regex(/^\d{15,20}$/),
  locale: z.string().max(10).catch('en-US'),
});
export type AskedBy = z.infer<typeof askedBySchema>;

/** A model as a worker announces it; the bot reads ranges and defaults from the card. */
export const modelCardSchema = z.object({
  name: z.string(),
  title: z.string(),
  description: z.string(),
  family: z.string(),
  native: z.strictObject({ width: z.int(), height: z.int() }),
  buckets: z.array(z.tuple([z.int(), z.int()])),
  defaults: z.object({ steps: z.int(), guidance: z.number(), scheduler: z.string() }),
  draft: z.object({ steps: z.int() }),
  hash: z.string(),
  /** Whether the model has a safety checker. */
  checked: z.boolean().optional(),
  upscale: z.boolean(),
  /** Base that LoRAs and embeddings must fit; absent where the model takes none. */
  base: baseSchema.optional(),
  /** True for another program's ONNX export: the model takes LoRAs and no embeddings. */
  exported: z.literal(true).optional(),
  /** All LoRAs installed at the worker, for any base. */
  loras: z.array(loraCardSchema).optional(),
  embeddings: z.array(embeddingCardSchema).optional(),
  /** Whether the model has a picture embedding, and varies, blends and rewords pictures by it. */
  pictureEmbedding: z.boolean().optional(),
  /** Where the model differs from the table in `params.ts`: own range, own default, or unsupported. */
  parameters: z
    .record(
      z.string(),
      z.strictObject({
        min: z.number().optional(),
        max: z.number().optional(),
        default: z.number().optional(),
        supported: z.boolean().optional(),
      }),
    )
    .optional(),
});
export type ModelCard = z.infer<typeof modelCardSchema>;

/** Id of an interaction's job at a position, 0-based: `<interaction>`, then `<interaction>.n`. */
export const partId = (base: string, position: number): string =>
  position === 0 ? base : `${base}.${position}`;
/** Id under which the message with all pictures of a /compare is kept; no job has it. */
export const sheetId = (jobId: string): string => `${jobId.split('.')[0]}.99`;

/** Queue ids of a job's render and deliver jobs and of a question, by job or interaction id. */
export const renderId = (jobId: string): string => `g-${jobId}`;
export const askId = (id: string): string => `a-${id}`;
export const deliverId = (jobId: string): string => `d-${jobId}`;

/** Deepest nesting of a job's data; our deepest has 50 levels (25 generations). */
const MAX_DEPTH = 100;

/**
 * Whether no Dreamgrid wrote this data: it has a key `__proto__`, which JSON can hold and zod drops silently,
 * or is so deep that checking it would exhaust the stack.
 */
export function isForged(data: unknown): boolean {
  const open: [value: unknown, depth: number][] = [[data, 0]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [value, depth] = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > MAX_DEPTH || Object.hasOwn(value, '__proto__')) return true;
    for (const inner of Object.values(value)) open.push([inner, depth + 1]);
  }
  return false;
}

/** A render job; undefined for data that is none of this version. */
export function parseRender(data: unknown): RenderRequest | undefined {
  if (isForged(data)) return undefined;
  const parsed = renderRequestSchema.safeParse(data);
  return parsed.success ? (parsed.data as RenderRequest) : undefined;
}

/** A deliver job; undefined for data that is none of this version. */
export function parseDeliver(data: unknown): DeliverJob | undefined {
  if (isForged(data)) return undefined;
  const parsed = deliverJobSchema.safeParse(data);
  return parsed.success ? (parsed.data as DeliverJob) : undefined;
}

/** A question; undefined for data that is none of this version. */
export function parseAsk(data: unknown): AskRequest | undefined {
  if (isForged(data)) return undefined;
  const parsed = askSchema.safeParse(data);
  return parsed.success ? parsed.data : undefined;
}

/** A job's envelope, of any version; undefined for forged data. */
export function parseEnvelope(data: unknown): Envelope | undefined {
  return isForged(data) ? undefined : envelopeSchema.safeParse(data).data;
}

/** A question's asker, of any version; undefined for forged data. */
export function parseAskedBy(data: unknown): AskedBy | undefined {
  return isForged(data) ? undefined : askedBySchema.safeParse(data).data;
}
