import type { Redis } from 'ioredis';
import { z } from 'zod';
import { type ModelCard, modelCardSchema } from './job.ts';
import { keys } from './redis.ts';

/**
 * Who paints, and how fast. A worker says so every few seconds; what it said expires by itself, so a worker
 * that died is gone from the count and from the waits within 15 s.
 */
export const ANNOUNCE_EVERY_MS = 5_000;
const ALIVE_S = 15;

const announcementSchema = z.object({ id: z.string(), models: z.array(modelCardSchema) });
export type Announcement = z.infer<typeof announcementSchema>;

export async function announce(redis: Redis, announcement: Announcement): Promise<void> {
  await redis
    .multi()
    .sadd(keys.workers, announcement.id)
    .set(keys.worker(announcement.id), JSON.stringify(announcement), 'EX', ALIVE_S)
    .exec();
}

export async function retire(redis: Redis, id: string): Promise<void> {
  await redis.multi().srem(keys.workers, id).del(keys.worker(id)).exec();
}

/** Workers heard of in the last 15 s. */
export async function listWorkers(redis: Redis): Promise<Announcement[]> {
  const ids = await redis.smembers(keys.workers);
  if (ids.length === 0) return [];
  const values = await redis.mget(ids.map(keys.worker));
  const gone = ids.filter((_, i) => values[i] === null);
  if (gone.length > 0) await redis.srem(keys.workers, ...gone);
  return values.flatMap((value) => {
    const parsed = announcementSchema.safeParse(value === null ? undefined : JSON.parse(value as string));
    return parsed.success ? [parsed.data] : [];
  });
}

/** Every model that some living worker can paint with, by name. */
export async function listModels(redis: Redis): Promise<Map<string, ModelCard>> {
  const cards = new Map<string, ModelCard>();
  for (const { models } of await listWorkers(redis)) for (const card of models) cards.set(card.name, card);
  return cards;
}

/** Remembers how long a job took: exponential moving average, weight 0.2. */
export async function recordPace(redis: Redis, model: string, paintMs: number): Promise<void> {
  const before = Number((await redis.hget(keys.pace, model)) ?? Number.NaN);
  const now = Number.isFinite(before) ? before * 0.8 + paintMs * 0.2 : paintMs;
  await redis.hset(keys.pace, model, now.toFixed(1));
}

/**
 * Expected milliseconds until a job with `ahead` jobs before it is finished, from measured jobs;
 * undefined as long as nothing was measured or nobody works.
 */
export async function expectedWait(redis: Redis, model: string, ahead: number): Promise<number | undefined> {
  const [pace, workers] = await Promise.all([redis.hget(keys.pace, model), listWorkers(redis)]);
  if (pace === null || workers.length === 0) return undefined;
  return Math.ceil((ahead + 1) / workers.length) * Number(pace);
}
