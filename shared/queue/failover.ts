import type { Redis } from 'ioredis';

/**
 * After a failover another server is the primary, while connections to the old one stay open and answer
 * READONLY and the like for ever. Only a new connection reaches the new primary.
 */

/** redis.io/docs, "Redis serialization protocol": the first word of an error; in Lua before Redis 7 it follows a "-". */
const WRONG = /(?:^|-)(READONLY|MOVED|ASK|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|UNBLOCKED)\b/;

/** @returns the word of an error that means another server, or later (READONLY, LOADING…); else undefined */
export const wrongServer = (error: unknown): string | undefined =>
  error instanceof Error ? WRONG.exec(error.message)?.[1] : undefined;

/** @param word as from `wrongServer`; `command` is the one that got it */
export type OnWrongServer = (word: string, command: string) => void;

/** A refused script changed nothing, and is not part of a transaction where it is refused at once. */
const SCRIPTS = new Set(['eval', 'evalsha']);

/**
 * For ioredis: an answer that means "wrong server" ends the connection that gave it.
 * @param resend whether a script is sent again over the new connection; the caller repeats other commands
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

/** Ends the connection after an error that ioredis does not check: one in a transaction (a flow of jobs). */
export function leaveWrongServer(redis: Redis, error: unknown): void {
  if (!(error instanceof Error) || redis.status !== 'ready') return;
  if (redis.options.reconnectOnError?.(error)) redis.disconnect(true);
}

/** A failover gives thousands of such answers; one log line is written every 10 s. */
const TELL_EVERY_MS = 10_000;

/** @param log gets the warnings. @param more is called for every answer */
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
