import type { Redis } from 'ioredis';

/**
 * Behind one name another server may have become the primary, while connections to the old one stay open and answer
 * for ever that it is the wrong one. Only a new connection reaches the right one.
 */

/** redis.io/docs, "Redis serialization protocol": the first word of an error; in Lua before Redis 7 it follows a "-". */
const WRONG = /(?:^|-)(READONLY|MOVED|ASK|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|UNBLOCKED)\b/;

/** @returns the word by which a server says that it is not, or not now, the one to ask; undefined for other errors */
export const wrongServer = (error: unknown): string | undefined =>
  error instanceof Error ? WRONG.exec(error.message)?.[1] : undefined;

/** @param word as from `wrongServer`; `command` is the one that was answered so */
export type OnWrongServer = (word: string, command: string) => void;

/** Scripts did nothing where they were refused, and stand in no transaction when they are refused at once. */
const SCRIPTS = new Set(['eval', 'evalsha']);

/**
 * For ioredis: an answer that means "wrong server" ends the connection that gave it.
 * @param resend whether a script is sent again over the new connection; all else is its caller's to repeat
 */
export const reconnectOnError =
  (onWrong: OnWrongServer | undefined, resend: boolean) =>
  (error: Error): boolean | 1 | 2 => {
    const word = wrongServer(error);
    if (word === undefined) return false;
    const command = (error as { command?: { name?: string } }).command?.name ?? 'exec';
    onWrong?.(word, command);
    return resend && SCRIPTS.has(command) ? 2 : 1;
  };

/** For an answer that ioredis does not look at: one of a transaction's, such as adding a flow of jobs. */
export function leaveWrongServer(redis: Redis, error: unknown): void {
  if (!(error instanceof Error) || redis.status !== 'ready') return;
  if (redis.options.reconnectOnError?.(error)) redis.disconnect(true);
}

/** Thousands of answers of one failover are one line every ten seconds. */
const TELL_EVERY_MS = 10_000;

/** @param log what the process writes warnings with. @param more is done each time, too */
export function tellWrongServer(
  log: { warn(fields: object, text: string): void },
  more: () => void = () => undefined,
): OnWrongServer {
  let told = Number.NEGATIVE_INFINITY;
  return (word, command) => {
    more();
    const now = performance.now();
    if (now - told < TELL_EVERY_MS) return;
    told = now;
    log.warn({ answer: word, command }, 'Redis says that it is the wrong server; connecting again');
  };
}
