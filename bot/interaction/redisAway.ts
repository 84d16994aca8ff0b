import { wrongServer } from '../../shared/queue/failover.ts';
import { messageOf, UserError } from '../../shared/service/errors.ts';

/**
 * How ioredis and Redis say "not now": the connection is down, a command timed out, the server is loading,
 * full or read-only. The asker can try again; it is not logged as an error.
 */
const AWAY =
  /isn't writeable|Connection is closed|Command timed out|max retries|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|^(?:LOADING|OOM|EXECABORT|MISCONF|READONLY|BUSY|MASTERDOWN|CLUSTERDOWN)\b/;

export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error.name === 'MaxRetriesPerRequestError' || AWAY.test(error.message) || wrongServer(error) !== undefined
  );
}

/** The connection broke during a command: Redis may have done it or not. */
const UNKNOWN = /Connection is closed|Command timed out|max retries|ECONNRESET|EPIPE|ETIMEDOUT/;

export const isUnknown = (error: unknown): boolean => isRedisAway(error) && UNKNOWN.test(messageOf(error));

/** Awaits work on Redis; a Redis that is away becomes a UserError. */
export async function onRedis<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isRedisAway(error)) throw new UserError('redis');
    throw error;
  }
}
