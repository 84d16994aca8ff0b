import type { Redis } from 'ioredis';
import { z } from 'zod';
import { embeddingCardSchema, loraCardSchema } from '../picture/lora.ts';
import type { Action } from '../picture/recipe.ts';
import { type ModelCard, modelCardSchema } from './job.ts';
import { keys } from './redis.ts';

/**
 * Workers and their pace. A worker announces itself every 5 s; announcements expire, so a worker
 * that died is gone from the count and from the waits within 15 s.
 */
export const ANNOUNCE_EVERY_MS = 5_000;
const ALIVE_S = 15;

const announcementSchema = z.object({
  id: z.string(),
  models: z.array(modelCardSchema),
  /** LoRAs and textual inversions installed at the worker. */
  loras: z.array(loraCardSchema).optional(),
  embeddings: z.array(embeddingCardSchema).optional(),
  /** Names of the models that are loaded. */
  warm: z.array(z.string()).optional(),
  /** The version of jobs that the worker reads. */
  schema: z.int().optional(),
});
export type Announcement = z.infer<typeof announcementSchema>;

/** Announces a worker for 15 s. */
export async function announce(redis: Redis, announcement: Announcement): Promise<void> {
  await redis
    .multi()
    .sadd(keys.workers, announcement.id)
    .set(keys.worker(announcement.id), JSON.stringify(announcement), 'EX', ALIVE_S)
    .exec();
}

/** Removes a worker's announcement when it stops. */
export async function retire(redis: Redis, id: string): Promise<void> {
  await redis.multi().srem(keys.workers, id).del(keys.worker(id)).exec();
}

/** Workers heard of in the last 15 s. */
export async function listWorkers(redis: Redis): Promise<Announcement[]> {
  return (await readAnnounced(redis)).flatMap((value) => {
    const parsed = announcementSchema.safeParse(value);
    return parsed.success ? [parsed.data] : [];
  });
}

/** Whether a living worker reads jobs of this version. Other fields are not checked. */
export async function isRead(redis: Redis, schema: number): Promise<boolean> {
  return (await readAnnounced(redis)).some(
    (value) => (value as { schema?: unknown } | null)?.schema === schema,
  );
}

async function readAnnounced(redis: Redis): Promise<unknown[]> {
  const ids = await redis.smembers(keys.workers);
  if (ids.length === 0) return [];
  const values = await redis.mget(ids.map(keys.worker));
  const gone = ids.filter((_, i) => values[i] === null);
  if (gone.length > 0) await redis.srem(keys.workers, ...gone);
  return values.flatMap((value) => (value == null ? [] : [JSON.parse(value) as unknown]));
}

const joined = <T extends { readonly name: string }>(known: readonly T[] = [], more: readonly T[]): T[] => [
  ...known.filter(({ name }) => !more.some((one) => one.name === name)),
  ...more,
];

/** Every model that some living worker can paint with, by name. */
export async function listModels(redis: Redis): Promise<Map<string, ModelCard>> {
  const cards = new Map<string, ModelCard>();
  for (const { models, loras = [], embeddings = [] } of await listWorkers(redis))
    for (const card of models) {
      const known = cards.get(card.name);
      const all = { loras: joined(known?.loras, loras), embeddings: joined(known?.embeddings, embeddings) };
      cards.set(card.name, card.base === undefined ? card : { ...card, ...all });
    }
  return cards;
}

/** Exponential moving averages of weight 0.2: of all jobs of a model, and of those of one action. */
export async function recordPace(
  redis: Redis,
  model: string,
  action: Action,
  paintMs: number,
): Promise<void> {
  const fields = [model, paceOf(model, action)];
  const before = await redis.hmget(keys.pace, ...fields);
  const now = before.map((ms) => (ms === null ? paintMs : Number(ms) * 0.8 + paintMs * 0.2).toFixed(1));
  await redis.hset(keys.pace, Object.fromEntries(fields.map((field, i) => [field, now[i] as string])));
}

/** A picture out of a grid is ready in a tenth of the time that a grid takes. A model's name has no space. */
const paceOf = (model: string, action: Action): string => `${model} ${action}`;

/**
 * Expected milliseconds until a job with `ahead` jobs before it is finished, from measured jobs;
 * undefined as long as nothing was measured or nobody has the model. Only workers that have the model count.
 */
export async function expectedWait(
  redis: Redis,
  model: string,
  ahead: number,
  action: Action = 'imagine',
): Promise<number | undefined> {
  const [[any, own], workers] = await Promise.all([
    redis.hmget(keys.pace, model, paceOf(model, action)),
    listWorkers(redis),
  ]);
  const pace = any ?? own;
  const able = workers.filter(({ models }) => models.some(({ name }) => name === model)).length;
  if (pace == null || able === 0) return undefined;
  return Math.floor(ahead / able) * Number(pace) + Number(own ?? pace);
}
