import type { Redis } from 'ioredis';
import { z } from 'zod';
import { loraWishSchema, MAX_LORAS } from '../../shared/picture/lora.ts';
import { keys } from '../../shared/queue/redis.ts';

/**
 * A server's settings, chosen by its managers; everything has a sensible default, so that nothing needs
 * choosing. Each setting is one field of a Redis hash, so two managers' clicks at the same time are both kept.
 */
const ids = z.array(z.string().regex(/^\d{15,20}$/)).max(25);

export const OWN_WORDS_MAX = 200;
export const OWN_WORD_LENGTH = 60;
export const BLOCKED_MAX = 1000;
export const SAFETY_CHOICES = ['operator', 'spoiler', 'blur', 'block'] as const;

export const serverSchema = z.object({
  /** Channels where members may paint; none = all. A thread counts as its channel. */
  channels: ids,
  /** Roles that may paint; none = everybody. */
  roles: ids,
  /** Roles that may use the turbo lane; none = everybody. */
  turboRoles: ids,
  /** Model of a prompt without --model; '' = the operator's. */
  model: z.string().max(64),
  /** Jobs a day for one member here; 0 = the operator's limit alone. */
  daily: z.int().min(0).max(10_000),
  /** Seconds between two requests of one member. */
  slowSeconds: z.int().min(0).max(21_600),
  /** Pictures in a grid, where neither the prompt nor the member says. */
  count: z.int().min(1).max(4),
  /** The word lists of `moderation`; a server's own words count in any case. */
  moderation: z.boolean(),
  words: z.array(z.string().min(1).max(OWN_WORD_LENGTH)).max(OWN_WORDS_MAX),
  /** Sexual words and gore may be painted in age-restricted channels. */
  adults: z.boolean(),
  /** What happens to a picture that the safety checker flags; never less than the operator's SAFETY. */
  safety: z.enum(SAFETY_CHOICES),
  /** Names of LoRAs that may be used here, or with `-` in front that may not; none = all. */
  loras: z.array(z.string().min(1).max(81)).max(100),
  /** LoRAs of a prompt that names none, by channel. */
  channelLoras: z.record(z.string().regex(/^\d{15,20}$/), z.array(loraWishSchema).min(1).max(MAX_LORAS)),
  /** A finished picture pings the member who asked for it. */
  pings: z.boolean(),
  /** Channel that gets a line for each refusal; '' = none. */
  audit: z.union([z.literal(''), z.string().regex(/^\d{15,20}$/)]),
});
export type ServerSettings = z.infer<typeof serverSchema>;
export type SettingName = keyof ServerSettings;

export const SERVER_DEFAULTS: ServerSettings = {
  channels: [],
  roles: [],
  turboRoles: [],
  model: '',
  daily: 0,
  slowSeconds: 0,
  count: 4,
  moderation: true,
  words: [],
  adults: true,
  safety: 'operator',
  loras: [],
  channelLoras: {},
  pings: true,
  audit: '',
};

/** A server's settings; a field that cannot be read (another version, edited by hand) counts as not chosen. */
export async function readServer(redis: Redis, guildId: string | undefined): Promise<ServerSettings> {
  if (guildId === undefined) return SERVER_DEFAULTS;
  const stored = await redis.hgetall(keys.server(guildId));
  const chosen = Object.entries(serverSchema.shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(parseJson(stored[name]));
    return parsed.success ? [[name, parsed.data]] : [];
  });
  return { ...SERVER_DEFAULTS, ...Object.fromEntries(chosen) };
}

const parseJson = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** @throws ZodError for a value that the schema refuses */
export async function changeServer(
  redis: Redis,
  guildId: string,
  changes: Partial<ServerSettings>,
): Promise<void> {
  const fields = Object.entries(serverSchema.partial().parse(changes)).map(
    ([name, value]) => [name, JSON.stringify(value)] as const,
  );
  if (fields.length > 0) await redis.hset(keys.server(guildId), Object.fromEntries(fields));
}

/** Removes all of a server's settings; the block list stays. */
export const resetServer = (redis: Redis, guildId: string): Promise<number> =>
  redis.del(keys.server(guildId));

/** @returns false where the list is full */
export async function blockMember(redis: Redis, guildId: string, userId: string): Promise<boolean> {
  if ((await redis.scard(keys.blocked(guildId))) >= BLOCKED_MAX) return false;
  await redis.sadd(keys.blocked(guildId), userId);
  return true;
}

/** @returns false where that member was not blocked */
export const unblockMember = async (redis: Redis, guildId: string, userId: string): Promise<boolean> =>
  (await redis.srem(keys.blocked(guildId), userId)) === 1;

export const isBlocked = async (redis: Redis, guildId: string, userId: string): Promise<boolean> =>
  (await redis.sismember(keys.blocked(guildId), userId)) === 1;

export const listBlocked = (redis: Redis, guildId: string): Promise<string[]> =>
  redis.smembers(keys.blocked(guildId));
