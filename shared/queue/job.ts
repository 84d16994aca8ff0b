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
 * What travels through Redis. Two jobs for each picture: `render` (the child: GPU work) and `deliver` (the
 * parent: Discord work), so that an outage of Discord repeats the posting alone and never the painting.
 */
export const SCHEMA_VERSION = 1;

/** What can happen to a picture that the safety checker flags, mildest first; the worker's `off` is none of them. */
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
  /** Only between the parser and the queue: a picture's recipe knows neither lane nor who may see it. */
  lane: z.enum(LANES).optional(),
  visibility: z.enum(VISIBILITIES).optional(),
});
export type Params = z.infer<typeof paramsSchema>;

/** /compare: what all of the jobs were asked, and what differs. */
export const compareSchema = z.strictObject({
  prompt: z.string().max(6000),
  labels: z.array(z.string().max(130)).min(2).max(6),
});
export type Compare = z.infer<typeof compareSchema>;

/** What someone asked for, complete: the worker needs no look-up to paint it. */
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
  /** One of several that differ in model or sampler alone; the labels of all, in the order of their job ids. */
  compare: compareSchema.optional(),
  /** Whose turn it is sooner; absent = fast. */
  lane: z.enum(LANES).optional(),
  /** What the server wants done with a flagged picture, where that is more than the worker's own SAFETY. */
  safety: z.enum(SAFETIES).optional(),
  user: z.strictObject({ id: z.string().regex(/^\d{15,20}$/), name: z.string().max(100) }),
  /** Set by the bot when it was queued, ms since 1970. Only for display: clocks may disagree. */
  createdAt: z.number(),
});
export type RenderRequest = z.infer<typeof renderRequestSchema>;

/** Where the answer goes. The interaction's token lives apart (`keys.token`), for 15 minutes. */
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
  /** Bytes; from the interaction. */
  attachmentLimit: z.int().min(1),
  /** True where the acknowledgement of the interaction is the message that is edited; false for repeats. */
  original: z.boolean(),
  /** The finished picture pings nobody. */
  quiet: z.boolean().optional(),
  /** Seen by its owner alone: an ephemeral message, and after its 15 minutes a direct one. */
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

/** What the worker stored and what the presenter needs. Pictures themselves are in the store. */
export const renderResultSchema = z.strictObject({
  v: z.literal(SCHEMA_VERSION),
  jobId: jobIdSchema,
  recipe: recipeSchema,
  /** Store keys of the single pictures (PNG), and of the grid (absent for one picture). */
  pictures: z.array(storeKeySchema).min(1).max(4),
  grid: storeKeySchema.optional(),
  /** Which pictures the safety checker flagged, and what was done about it. */
  flagged: z.array(z.int().min(0).max(3)).max(4).optional(),
  safety: z.enum(SAFETIES).optional(),
  /** Whether a model of this worker can reword it. */
  reword: z.boolean().optional(),
  /** False where its model paints whole pictures only: no region, no zoom, no pan. */
  repaints: z.boolean().optional(),
  /** Size of the file that is shown, pixels. */
  width: z.int(),
  height: z.int(),
  /** Milliseconds in the engine; 0 when it was found in the store. */
  paintMs: z.number(),
});
export interface RenderResult extends z.infer<typeof renderResultSchema> {
  recipe: Recipe;
}

/**
 * A question to a model that paints nothing: what is in a picture, which words matter. The worker answers by
 * editing the interaction's message.
 */
export const askSchema = z.strictObject({
  v: z.literal(SCHEMA_VERSION),
  /** The interaction's. */
  id: jobIdSchema,
  question: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('describe'),
      image: z.strictObject({ key: storeKeySchema }),
      /** Put behind each description: the picture's shape. */
      suffix: z.string().max(100),
    }),
    z.strictObject({
      kind: z.literal('shorten'),
      text: z.string().min(1).max(6000),
      /** Parameters as typed, put behind each shortened prompt. */
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
 * What jobs of every version say of whom they are for: enough to tell them that nothing comes of it. A field that
 * only makes the words better may be missing.
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

/** The same of a question. */
export const askedBySchema = z.object({
  id: jobIdSchema,
  userId: z.string().regex(/^\d{15,20}$/),
  applicationId: z.string().regex(/^\d{15,20}$/),
  locale: z.string().max(10).catch('en-US'),
});
export type AskedBy = z.infer<typeof askedBySchema>;

/** What a worker says of itself and its models; the bot reads ranges and defaults from here. */
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
  /** It brings a safety checker. */
  checked: z.boolean().optional(),
  upscale: z.boolean(),
  /** Which LoRAs and embeddings fit it; absent where it takes none. */
  base: baseSchema.optional(),
  /** Somebody else's ONNX export: it takes LoRAs and no embeddings. */
  exported: z.literal(true).optional(),
  /** All that are installed where it paints, whatever they are made for. */
  loras: z.array(loraCardSchema).optional(),
  embeddings: z.array(embeddingCardSchema).optional(),
  /** It reads pictures as what they are about: varies, blends and rewords them so. */
  pictureEmbedding: z.boolean().optional(),
  /** Where this model differs from the table in `params.ts`: its own range and default, or not at all. */
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

/** Of the jobs of one interaction, the one at a position. */
export const partId = (base: string, position: number): string =>
  position === 0 ? base : `${base}.${position}`;
/** The message with all pictures of a /compare; no job has this id. */
export const sheetId = (jobId: string): string => `${jobId.split('.')[0]}.99`;

export const renderId = (jobId: string): string => `g-${jobId}`;
export const askId = (id: string): string => `a-${id}`;
export const deliverId = (jobId: string): string => `d-${jobId}`;

/** No job of ours is as deep: 25 generations are 50 levels. */
const MAX_DEPTH = 100;

/**
 * Data that no version of ours wrote: with a key `__proto__`, which JSON can carry and zod drops without a word,
 * or so deep that checking it would exhaust the stack.
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

/** undefined for whatever is not a render job of this version. */
export function parseRender(data: unknown): RenderRequest | undefined {
  if (isForged(data)) return undefined;
  const parsed = renderRequestSchema.safeParse(data);
  return parsed.success ? (parsed.data as RenderRequest) : undefined;
}

/** undefined for whatever is not a deliver job of this version. */
export function parseDeliver(data: unknown): DeliverJob | undefined {
  if (isForged(data)) return undefined;
  const parsed = deliverJobSchema.safeParse(data);
  return parsed.success ? (parsed.data as DeliverJob) : undefined;
}

/** undefined for whatever is not a question of this version. */
export function parseAsk(data: unknown): AskRequest | undefined {
  if (isForged(data)) return undefined;
  const parsed = askSchema.safeParse(data);
  return parsed.success ? parsed.data : undefined;
}

/** undefined for what no version of ours would write. */
export function parseEnvelope(data: unknown): Envelope | undefined {
  return isForged(data) ? undefined : envelopeSchema.safeParse(data).data;
}

/** undefined for what no version of ours would write. */
export function parseAskedBy(data: unknown): AskedBy | undefined {
  return isForged(data) ? undefined : askedBySchema.safeParse(data).data;
}
