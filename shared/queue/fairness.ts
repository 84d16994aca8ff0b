import type { Redis } from 'ioredis';
import type { Lane } from '../memory/settings.ts';
import { DELIVER, RENDER } from './queue.ts';
import { keys, PREFIX } from './redis.ts';

/**
 * Self-clocked fair queueing (Golestani, "A self-clocked fair queueing scheme for broadband applications", 1994,
 * eq. 5-7): a job's tag is F[user] = max(V, F[user]) + cost, where F[user] is the tag of the user's last job and V
 * that of the job that started last; the queue serves tags in order, equal ones as they came. Cost is the job's work
 * by its owner's lane, so small jobs wait little. Between two users who both wait, what one gets beyond
 * their share is at most one job of each (theorem 1), and nobody starves: a later user starts at V.
 * V and F are forgotten when nothing is open, so tags stay far below BullMQ's limit of 2^21.
 *
 * The cap counts open jobs (reserved and not yet released); a reservation whose job does not exist 30 s later
 * or has ended belongs to a process that died in between; the next sweep drops it: each
 * reservation sweeps all places of its own member and the oldest few of all.
 */
/** Virtual time of one unit of work: while all three wait, turbo : fast : relax is served 4 : 2 : 1. */
export const LANE_COST: Readonly<Record<Lane, number>> = { turbo: 1, fast: 2, relax: 4 };

/** Lua with `now` and `jobPrefix`: drops places whose job ended or was never queued. */
const SWEEP = `
local function sweep(key, most)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now - 30000, 'LIMIT', 0, most)) do
    local job = jobPrefix .. id
    if redis.call('EXISTS', job) == 0 or redis.call('HEXISTS', job, 'finishedOn') == 1 then
      redis.call('ZREM', KEYS[1], id)
      redis.call('ZREM', KEYS[2], id)
      redis.call('HDEL', KEYS[3], 'T:' .. id, 'C:' .. id)
    end
  end
end
`;

const RESERVE = `
local user, jobId, cap, all, now, jobPrefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local cost = tonumber(ARGV[7])
${SWEEP}
sweep(KEYS[1], 200)
sweep(KEYS[2], 5)
local known = redis.call('HGET', KEYS[3], 'T:' .. jobId)
if known then return {1, tonumber(known), redis.call('ZCARD', KEYS[1])} end
local mine = redis.call('ZCARD', KEYS[1])
if mine >= cap then return {0, 1, mine} end
if redis.call('ZCARD', KEYS[2]) >= all then
  sweep(KEYS[2], 200)
  if redis.call('ZCARD', KEYS[2]) >= all then return {0, 2, redis.call('ZCARD', KEYS[2])} end
end
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('DEL', KEYS[3]) end
local V = tonumber(redis.call('HGET', KEYS[3], 'V') or '0')
local F = tonumber(redis.call('HGET', KEYS[3], 'F:' .. user) or '0')
local tag = math.max(V, F) + cost
redis.call('HSET', KEYS[3], 'F:' .. user, tag, 'T:' .. jobId, tag, 'C:' .. jobId, cost)
redis.call('ZADD', KEYS[1], now, jobId)
redis.call('ZADD', KEYS[2], now, jobId)
return {1, tag, mine + 1}
`;

const COUNT = `
local all, now, jobPrefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
${SWEEP}
sweep(KEYS[1], 200)
if redis.call('ZCARD', KEYS[2]) >= all then sweep(KEYS[2], 200) end
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2])}
`;

const STARTED = `
local tag = redis.call('HGET', KEYS[1], 'T:' .. ARGV[1])
if tag and tonumber(tag) > tonumber(redis.call('HGET', KEYS[1], 'V') or '0') then redis.call('HSET', KEYS[1], 'V', tag) end
redis.call('HDEL', KEYS[1], 'C:' .. ARGV[1])
return 0
`;

const RELEASE = `
local id, user = ARGV[1], ARGV[2]
local function field(name) return tonumber(redis.call('HGET', KEYS[3], name) or '') end
local tag, cost = field('T:' .. id), field('C:' .. id)
if tag and cost and field('F:' .. user) == tag then
  redis.call('HSET', KEYS[3], 'F:' .. user, tag - cost)
end
redis.call('ZREM', KEYS[1], id)
redis.call('ZREM', KEYS[2], id)
redis.call('HDEL', KEYS[3], 'T:' .. id, 'C:' .. id)
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('DEL', KEYS[3]) end
return 0
`;

export type Reservation =
  | { ok: true /** BullMQ's priority, from 1; smaller is sooner. */; priority: number; open: number }
  | { ok: false; why: 'user' | 'all'; open: number };

export interface ReserveOptions {
  userId: string;
  jobId: string;
  /** Most jobs waiting or running, for one user and in all. */
  maxPerUser: number;
  maxAll: number;
  lane?: Lane | undefined;
  /** The job's work as of `workOf`; 1 where left out. */
  work?: number;
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
    LANE_COST[o.lane ?? 'fast'] * (o.work ?? 1),
  )) as [number, number, number];
  return ok === 1
    ? { ok: true, priority: value, open }
    : { ok: false, why: value === 1 ? 'user' : 'all', open };
}

/** How many jobs wait or run, of one user and in all; takes no place. */
export async function countOpen(
  redis: Redis,
  { userId, maxAll, now = Date.now() }: Pick<ReserveOptions, 'userId' | 'maxAll' | 'now'>,
): Promise<{ user: number; all: number }> {
  const [user, all] = (await redis.eval(
    COUNT,
    3,
    keys.open(userId),
    keys.openAll,
    keys.fair,
    maxAll,
    now,
    `${PREFIX}:${DELIVER}:d-`,
  )) as [number, number];
  return { user, all };
}

/** The job began to run: virtual time moves to its tag, and its cost is spent. */
export async function started(redis: Redis, jobId: string): Promise<void> {
  await redis.eval(STARTED, 1, keys.fair, jobId);
}

/**
 * The job has ended in any way. Idempotent. Where the job never started and nothing was reserved for its owner
 * later, it costs the owner nothing: so several jobs are released last first.
 */
export async function release(redis: Redis, userId: string, jobId: string): Promise<void> {
  await redis.eval(RELEASE, 3, keys.open(userId), keys.openAll, keys.fair, jobId, userId);
}

const TAKE_TURN = `
local jobId, cap, now, jobPrefix = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
if redis.call('ZCARD', KEYS[1]) >= cap then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local job = jobPrefix .. id
    if redis.call('EXISTS', job) == 0 or redis.call('HEXISTS', job, 'finishedOn') == 1 then
      redis.call('ZREM', KEYS[1], id)
    end
  end
end
if not redis.call('ZSCORE', KEYS[1], jobId) and redis.call('ZCARD', KEYS[1]) >= cap then
  redis.call('ZADD', KEYS[2], now, jobId)
  redis.call('HINCRBY', jobPrefix .. jobId, 'ats', -1)
  return 0
end
redis.call('ZADD', KEYS[1], now, jobId)
redis.call('ZREM', KEYS[2], jobId)
return 1
`;

const END_TURN = `
redis.call('ZREM', KEYS[1], ARGV[1])
local held = redis.call('ZPOPMIN', KEYS[2])
return held[1] or false
`;

/**
 * Whether a job may run now: false while `cap` jobs of its owner run. A held job is noted; its start counts
 * not against its limit of starts. A worker that died leaves its job in the queue; its turn stays taken
 * until the job is painted again.
 */
export async function takeTurn(redis: Redis, userId: string, jobId: string, cap: number): Promise<boolean> {
  const key = [keys.running(userId), keys.held(userId)];
  return (await redis.eval(TAKE_TURN, 2, ...key, jobId, cap, Date.now(), `${PREFIX}:${RENDER}:g-`)) === 1;
}

/** Ends a job's turn; gives the id of a held-back job of the same owner that may run now. */
export async function endTurn(redis: Redis, userId: string, jobId: string): Promise<string | undefined> {
  const key = [keys.running(userId), keys.held(userId)];
  return ((await redis.eval(END_TURN, 2, ...key, jobId)) as string | null) ?? undefined;
}
