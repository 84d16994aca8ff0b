import type { Redis } from 'ioredis';
import { z } from 'zod';
import { keys } from '../queue/redis.ts';

/**
 * A member's settings: one hash a member, one field a setting, so that two clicks at the same
 * moment do not undo each other. They expire 400 days after the last change or picture.
 */
export const MEMORY_TTL_S = 400 * 24 * 3600;

export const LANES = ['turbo', 'fast', 'relax'] as const;
export type Lane = (typeof LANES)[number];
export const DEFAULT_LANE: Lane = 'fast';

export const VISIBILITIES = ['public', 'stealth'] as const;
export type Visibility = (typeof VISIBILITIES)[number];

export const SUFFIX_MAX = 1000;

export const settingsSchema = z.object({
  model: z.string().max(64).optional(),
  stylize: z.number().min(0).max(1000).optional(),
  quality: z.number().min(0.25).max(4).optional(),
  raw: z.boolean().optional(),
  /** Pictures in a grid. */
  count: z.int().min(1).max(4).optional(),
  /** V, 🔄 and the like open a form with the prompt first. */
  remix: z.boolean().optional(),
  /** How far V1-V4 change the picture. */
  variability: z.enum(['high', 'low']).optional(),
  lane: z.enum(LANES).optional(),
  visibility: z.enum(VISIBILITIES).optional(),
  /** Finished pictures also come as a direct message. */
  autoDm: z.boolean().optional(),
  /** Parameters put behind every prompt. */
  suffix: z.string().max(SUFFIX_MAX).optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

/** A member's settings; a field that cannot be read (written by another version) counts as not set. */
export async function readSettings(redis: Redis, userId: string): Promise<Settings> {
  const stored = await redis.hgetall(keys.settings(userId));
  const known: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(settingsSchema.shape)) {
    const parsed = stored[name] === undefined ? undefined : schema.safeParse(readJson(stored[name]));
    if (parsed?.success) known[name] = parsed.data;
  }
  return known as Settings;
}

/** A field given as undefined returns to the server's default. @throws ZodError on a value out of range */
export async function changeSettings(
  redis: Redis,
  userId: string,
  change: { [K in keyof Settings]: Settings[K] | undefined },
): Promise<void> {
  settingsSchema.parse(change);
  const key = keys.settings(userId);
  const all = redis.multi();
  for (const [name, value] of Object.entries(change))
    if (value === undefined) all.hdel(key, name);
    else all.hset(key, name, JSON.stringify(value));
  await all.expire(key, MEMORY_TTL_S).exec();
}

/** Removes all settings of a member. */
export async function resetSettings(redis: Redis, userId: string): Promise<void> {
  await redis.del(keys.settings(userId));
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
