import type { Redis } from 'ioredis';
import { parameterOf } from '../picture/params.ts';
import { keys } from '../queue/redis.ts';
import { UserError } from '../service/errors.ts';
import { MEMORY_TTL_S } from './settings.ts';

/** A member's own options: `--mine` stands for the value set by `/prefer option set mine`. */
export const MAX_OPTIONS = 20;
export const OPTION_VALUE_MAX = 1000;
/** Option names of the prompt language: letters, digits, `_` and `-`, at most 32. */
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_-]{0,31}$/u;

const SET = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
`;

/** A member's options by name, in alphabetical order. */
export async function readOptions(redis: Redis, userId: string): Promise<Map<string, string>> {
  const stored = await redis.hgetall(keys.options(userId));
  return new Map(Object.entries(stored).sort(([a], [b]) => a.localeCompare(b)));
}

/** The name of a typed option, lower case, without dashes. @throws UserError option-name, option-reserved */
export function optionName(typed: string): string {
  const name = typed
    .trim()
    .replace(/^[-–—]+/, '')
    .toLowerCase();
  if (!NAME.test(name)) throw new UserError('option-name', { name: name.slice(0, 40) });
  if (parameterOf(name) !== undefined) throw new UserError('option-reserved', { name });
  return name;
}

/** Sets an option; gives its name. @throws UserError option-name, option-reserved, option-long, option-many */
export async function setOption(redis: Redis, userId: string, typed: string, value: string): Promise<string> {
  const name = optionName(typed);
  if (value.length > OPTION_VALUE_MAX) throw new UserError('option-long', { max: OPTION_VALUE_MAX });
  const kept = await redis.eval(SET, 1, keys.options(userId), name, value, MAX_OPTIONS, MEMORY_TTL_S);
  if (kept !== 1) throw new UserError('option-many', { max: MAX_OPTIONS });
  return name;
}

/** @returns false where there was no option of that name */
export async function removeOption(redis: Redis, userId: string, name: string): Promise<boolean> {
  return (await redis.hdel(keys.options(userId), name)) === 1;
}
