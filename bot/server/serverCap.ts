import type { Redis } from 'ioredis';
import { keys } from '../../shared/queue/redis.ts';

/**
 * How many jobs of one server may be open, so that a crowded server leaves room for others. The set needs no
 * release of its own: a job that is no longer open is dropped at the next count, and all of
 * them are forgotten a day after the last.
 */
const SWEEP = `
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not redis.call('ZSCORE', KEYS[2], id) then redis.call('SREM', KEYS[1], id) end
end
`;
const TAKE = `${SWEEP}
local fresh = 0
for j = 2, #ARGV do fresh = fresh + 1 - redis.call('SISMEMBER', KEYS[1], ARGV[j]) end
local open = redis.call('SCARD', KEYS[1])
if fresh > 0 and open + fresh > tonumber(ARGV[1]) then return open end
for j = 2, #ARGV do redis.call('SADD', KEYS[1], ARGV[j]) end
redis.call('EXPIRE', KEYS[1], 86400)
return -1
`;

/** Counts the open jobs of one server; takes no place. */
export const countServerOpen = async (redis: Redis, guildId: string): Promise<number> =>
  (await redis.eval(
    `${SWEEP} return redis.call('SCARD', KEYS[1])`,
    2,
    keys.openServer(guildId),
    keys.openAll,
  )) as number;

/** @param jobIds that have their reservation. @returns how many are open, where these are too many */
export async function takeServerPlaces(
  redis: Redis,
  guildId: string,
  jobIds: readonly string[],
  max: number,
): Promise<number | undefined> {
  const open = (await redis.eval(TAKE, 2, keys.openServer(guildId), keys.openAll, max, ...jobIds)) as number;
  return open < 0 ? undefined : open;
}
