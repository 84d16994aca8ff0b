import type { Redis } from 'ioredis';
import { z } from 'zod';
import { actionSchema, jobIdSchema, storeKeySchema } from '../picture/recipe.ts';
import { keys, RECIPE_TTL_S } from '../queue/redis.ts';
import { MEMORY_TTL_S } from './settings.ts';

/**
 * What Redis keeps of each job beside its recipe: its owner, its parent, its children, and
 * where its message is. Every list has a limit: history and favourites keep the newest. A job that leaves the
 * history cannot be erased by its member any more, so the limit is high: 200 jobs a day for a hundred days.
 */
export const HISTORY_MAX = 20_000;
export const FAVOURITES_MAX = 500;
export const CHILDREN_MAX = 200;

export const jobRecordSchema = z.object({
  jobId: jobIdSchema,
  userId: z.string().regex(/^\d{15,20}$/),
  action: actionSchema,
  /** The picture of another job that this job started from. */
  parent: z.object({ jobId: jobIdSchema, index: z.int().min(0).max(3) }).optional(),
  prompt: z.string().max(6000),
  /** The image prompt, where it has one. */
  image: storeKeySchema.optional(),
  channelId: z.string(),
  guildId: z.string().optional(),
  locale: z.string(),
  /** The job's message is shown to its owner alone. */
  stealth: z.boolean(),
  /** ms since 1970 */
  at: z.number(),
});
export type JobRecord = z.infer<typeof jobRecordSchema>;

/** Stores a job's record when the job is queued; storing it again changes nothing. */
export async function recordJob(redis: Redis, record: JobRecord): Promise<void> {
  const { jobId, userId, parent, image, at } = record;
  const history = keys.history(userId);
  const all = redis
    .multi()
    .set(keys.job(jobId), JSON.stringify(record), 'EX', RECIPE_TTL_S)
    .zadd(history, String(at), jobId)
    .zremrangebyrank(history, 0, -HISTORY_MAX - 1)
    .expire(history, MEMORY_TTL_S)
    .expire(keys.settings(userId), MEMORY_TTL_S)
    .expire(keys.options(userId), MEMORY_TTL_S);
  if (parent) {
    const children = keys.children(parent.jobId);
    all
      .zadd(children, String(at), jobId)
      .zremrangebyrank(children, 0, -CHILDREN_MAX - 1)
      .expire(children, RECIPE_TTL_S);
  }
  if (image) addUpload(all, userId, image);
  await all.exec();
}

/** Removes the record of a job that could not be queued. */
export async function forgetJob(redis: Redis, { jobId, userId, parent }: JobRecord): Promise<void> {
  const all = redis.multi().del(keys.job(jobId)).zrem(keys.history(userId), jobId);
  if (parent) all.zrem(keys.children(parent.jobId), jobId);
  await all.exec();
}

/** Records in the order of the ids; undefined where Redis has none. */
export async function readJobs(redis: Redis, jobIds: readonly string[]): Promise<(JobRecord | undefined)[]> {
  if (jobIds.length === 0) return [];
  return (await redis.mget(jobIds.map(keys.job))).map((text) => {
    const parsed = text === null ? undefined : jobRecordSchema.safeParse(JSON.parse(text));
    return parsed?.success ? parsed.data : undefined;
  });
}

/** A member's job ids, newest first. */
export const readHistory = (redis: Redis, userId: string, most = HISTORY_MAX): Promise<string[]> =>
  redis.zrevrange(keys.history(userId), 0, most - 1);

/** Ids of jobs made from a job's pictures, oldest first. */
export const readChildren = (redis: Redis, jobId: string, most = CHILDREN_MAX): Promise<string[]> =>
  redis.zrange(keys.children(jobId), '0', String(most - 1));

/** Notes the store key of a file that a member sent, so that /mydata erase removes it. */
export async function recordUpload(redis: Redis, userId: string, storeKey: string): Promise<void> {
  await addUpload(redis.multi(), userId, storeKey).exec();
}

type Multi = ReturnType<Redis['multi']>;
const addUpload = (all: Multi, userId: string, storeKey: string): Multi =>
  all
    .sadd(keys.uploads(userId), storeKey)
    .sadd(keys.uploaders(storeKey), userId)
    .expire(keys.uploads(userId), MEMORY_TTL_S)
    .expire(keys.uploaders(storeKey), MEMORY_TTL_S);

export interface Favourite {
  jobId: string;
  index: number;
}

/**
 * Keys that a ❤️ made permanent expire again when no member keeps a picture of the job. Its keys are made
 * from prefixes, since the script finds the job ids; all keys are in one cluster slot.
 */
const LET_GO = `
local user, ttl = ARGV[1], ARGV[2]
local function keys_of(member)
  local jobId = string.match(member, '^[^:]+')
  return {ARGV[4] .. jobId, ARGV[5] .. jobId, ARGV[6] .. jobId}, ARGV[3] .. jobId
end
local function let_go(member)
  local kept, keepers = keys_of(member)
  redis.call('ZREM', KEYS[1], member)
  redis.call('SREM', keepers, user .. ':' .. member)
  if redis.call('EXISTS', keepers) == 1 then return end
  for _, key in ipairs(kept) do redis.call('EXPIRE', key, ttl) end
end
`;

const TOGGLE = `${LET_GO}
local member, at, most = ARGV[7], ARGV[8], tonumber(ARGV[9])
if redis.call('ZSCORE', KEYS[1], member) then
  let_go(member)
  return 0
end
redis.call('ZADD', KEYS[1], at, member)
local kept, keepers = keys_of(member)
redis.call('SADD', keepers, user .. ':' .. member)
for _, key in ipairs(kept) do redis.call('PERSIST', key) end
for _, oldest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -most - 1)) do let_go(oldest) end
return 1
`;

const FORGET = `${LET_GO}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do let_go(member) end
return 0
`;

const onFavourites = (redis: Redis, script: string, userId: string, ...args: (string | number)[]) =>
  redis.eval(
    script,
    1,
    keys.favourites(userId),
    userId,
    RECIPE_TTL_S,
    ...[keys.keepers, keys.recipe, keys.job, keys.owner].map((key) => key('')),
    ...args,
  );

/** Sets or removes a ❤️; a job with one does not expire after 90 days. @returns whether it is one now */
export async function toggleFavourite(
  redis: Redis,
  userId: string,
  { jobId, index }: Favourite,
  at: number,
): Promise<boolean> {
  return (await onFavourites(redis, TOGGLE, userId, `${jobId}:${index}`, at, FAVOURITES_MAX)) === 1;
}

/** Removes all favourites of a member. */
export async function forgetFavourites(redis: Redis, userId: string): Promise<void> {
  await onFavourites(redis, FORGET, userId);
}

/** A member's favourites, newest first. */
export async function readFavourites(redis: Redis, userId: string): Promise<Favourite[]> {
  const members = await redis.zrevrange(keys.favourites(userId), 0, FAVOURITES_MAX - 1);
  return members.map((member) => {
    const [jobId = '', index = '0'] = member.split(':');
    return { jobId, index: Number(index) };
  });
}
