import type { Redis } from 'ioredis';
import { DELIVER } from './queue.ts';
import { keys, PREFIX } from './redis.ts';

/**
 * Start-time fair queueing (Goyal, Vin & Cheng 1996, eq. 1-3, all weights 1): a job's tag is
 * max(V, F[user]) + 1, where F[user] is the user's last tag and V the tag of the job that started last; the
 * queue serves tags in order. A user with 40 jobs waiting delays another by one job at most, and nobody
 * starves. V and F are forgotten when nothing is open, so tags stay far below BullMQ's limit of 2^21.
 *
 * The cap counts open jobs (reserved and not yet released); a reservation whose job does not exist 10 s later
 * or has ended belongs to a process that died in between, and is dropped when next looked at.
 */
const RESERVE = `
local user, jobId, cap, all, now, jobPrefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local function sweep(key)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now - 10000, 'LIMIT', 0, 200)) do
    local job = jobPrefix .. id
    if redis.call('EXISTS', job) == 0 or redis.call('HEXISTS', job, 'finishedOn') == 1 then
      redis.call('ZREM', KEYS[1], id)
      redis.call('ZREM', KEYS[2], id)
      redis.call('HDEL', KEYS[3], 'T:' .. id)
    end
  end
end
sweep(KEYS[1])
local known = redis.call('HGET', KEYS[3], 'T:' .. jobId)
if known then return {1, tonumber(known), redis.call('ZCARD', KEYS[1])} end
local mine = redis.call('ZCARD', KEYS[1])
if mine >= cap then return {0, 1, mine} end
if redis.call('ZCARD', KEYS[2]) >= all then
  sweep(KEYS[2])
  if redis.call('ZCARD', KEYS[2]) >= all then return {0, 2, redis.call('ZCARD', KEYS[2])} end
end
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('DEL', KEYS[3]) end
local V = tonumber(redis.call('HGET', KEYS[3], 'V') or '0')
local F = tonumber(redis.call('HGET', KEYS[3], 'F:' .. user) or '0')
local tag = math.max(V, F) + 1
redis.call('HSET', KEYS[3], 'F:' .. user, tag, 'T:' .. jobId, tag)
redis.call('ZADD', KEYS[1], now, jobId)
redis.call('ZADD', KEYS[2], now, jobId)
return {1, tag, mine + 1}
`;

const STARTED = `
local tag = redis.call('HGET', KEYS[1], 'T:' .. ARGV[1])
if tag and tonumber(tag) > tonumber(redis.call('HGET', KEYS[1], 'V') or '0') then redis.call('HSET', KEYS[1], 'V', tag) end
return 0
`;

const RELEASE = `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], 'T:' .. ARGV[1])
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('DEL', KEYS[3]) end
return 0
`;

export type Reservation =
  | { ok: true; priority: number; open: number }
  | { ok: false; why: 'user' | 'all'; open: number };

export interface ReserveOptions {
  userId: string;
  jobId: string;
  /** Jobs waiting or running for one user, and in all. */
  maxPerUser: number;
  maxAll: number;
  now?: number;
}

/** Takes a place for a job; asking again for the same job gives the same place. */
export async function reserve(redis: Redis, o: ReserveOptions): Promise<Reservation> {
  const [ok, value, open] = (await redis.eval(
    RESERVE,
    3,
    keys.open(o.userId),
    keys.openAll,
    keys.fair,
    o.userId,
    o.jobId,
    o.maxPerUser,
    o.maxAll,
    o.now ?? Date.now(),
    `${PREFIX}:${DELIVER}:d-`,
  )) as [number, number, number];
  return ok === 1
    ? { ok: true, priority: value, open }
    : { ok: false, why: value === 1 ? 'user' : 'all', open };
}

/** The job began to run: virtual time moves to its tag. */
export async function started(redis: Redis, jobId: string): Promise<void> {
  await redis.eval(STARTED, 1, keys.fair, jobId);
}

/** The job has ended, however it ended. Idempotent. */
export async function release(redis: Redis, userId: string, jobId: string): Promise<void> {
  await redis.eval(RELEASE, 3, keys.open(userId), keys.openAll, keys.fair, jobId);
}
