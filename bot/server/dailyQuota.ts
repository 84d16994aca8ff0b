import type { Redis } from 'ioredis';
import { keys } from '../../shared/queue/redis.ts';

/**
 * Jobs of one person in one day (UTC), in all and in one server. A day's jobs are a set of job ids, so that an
 * interaction that is delivered twice counts once.
 */
const TTL_S = 2 * 24 * 3600;

const TAKE = `
local caps = #KEYS
for i = 1, caps do
  local fresh = 0
  for j = caps + 2, #ARGV do fresh = fresh + 1 - redis.call('SISMEMBER', KEYS[i], ARGV[j]) end
  local used = redis.call('SCARD', KEYS[i])
  if fresh > 0 and used + fresh > tonumber(ARGV[i]) then return {i, used} end
end
for i = 1, caps do
  for j = caps + 2, #ARGV do redis.call('SADD', KEYS[i], ARGV[j]) end
  redis.call('EXPIRE', KEYS[i], ARGV[caps + 1])
end
return {0, 0}
`;

export interface Quota {
  /** A guild's id, or `all`. */
  scope: string;
  /** Jobs a day. */
  max: number;
}

/** `2026-11-23`: the day that a count belongs to. */
export const dayOf = (now: number): string => new Date(now).toISOString().slice(0, 10);

/** Counts all of the jobs or none. @returns the quota that is used up, and how many jobs it had counted */
export async function takeQuota(
  redis: Redis,
  userId: string,
  quotas: readonly Quota[],
  jobIds: readonly string[],
  now: number,
): Promise<{ over: Quota; used: number } | undefined> {
  if (quotas.length === 0) return undefined;
  const [index, used] = (await redis.eval(
    TAKE,
    quotas.length,
    ...quotas.map(({ scope }) => keys.used(scope, userId, dayOf(now))),
    ...quotas.map(({ max }) => max),
    TTL_S,
    ...jobIds,
  )) as [number, number];
  return index === 0 ? undefined : { over: quotas[index - 1] as Quota, used };
}

/** Uncounts jobs that were counted and then not queued. */
export async function giveBackQuota(
  redis: Redis,
  userId: string,
  quotas: readonly Quota[],
  jobIds: readonly string[],
  now: number,
): Promise<void> {
  if (quotas.length === 0) return;
  const all = redis.multi();
  for (const { scope } of quotas) all.srem(keys.used(scope, userId, dayOf(now)), ...jobIds);
  await all.exec();
}

export const usedToday = (redis: Redis, userId: string, scope: string, now: number): Promise<number> =>
  redis.scard(keys.used(scope, userId, dayOf(now)));
