import { afterAll } from 'vitest';

/** Planted where tests have the choice, and never to be met again in what a process writes. */
export const CANARY = {
  botToken: 'canary-bot-token.MTE5.aaaaaaaaaaaaaaaaaaaaaaaaaaa',
  redisPassword: 'canary-redis-password',
  bucketKey: 'canary-bucket-key',
  bucketSecret: 'canary-bucket-secret',
  prompt: 'canary fox',
} as const;

/** Prompts that tests type; at `info` nobody may read them in a log. */
const PROMPTS = [CANARY.prompt, 'fox in the snow'];
/** What the launcher invites to type. */
const INVITATION = /^Dreamgrid is ready/;
/** Discord's interaction tokens, and the local one's, are base64 of "interaction:…". */
const INTERACTION_TOKEN = /aW50ZXJhY3Rpb246[\w-]{4}/;

type Env = Readonly<Record<string, string | undefined>>;

/** What an environment holds that is nobody else's business: tokens, passwords, and those inside addresses. */
export function secretsIn(env: Env): string[] {
  const found = Object.entries(env).flatMap(([name, value = '']) => {
    if (/TOKEN|PASSWORD|SECRET|ACCESS_KEY/.test(name)) return value;
    return /^\w+:\/\/[^/]*@/.test(value) ? decodeURIComponent(new URL(value).password) : [];
  });
  // The local Discord's usual token is also its name.
  return found.filter((secret) => secret.length >= 8 && secret !== 'playground');
}

/** @returns the beginning of each line that gives away one of `secrets`, an interaction's token or a prompt */
export function leaksIn(
  lines: readonly string[],
  secrets: readonly string[],
  prompts: readonly string[] = PROMPTS,
): string[] {
  const bad = (line: string): boolean =>
    INTERACTION_TOKEN.test(line) ||
    [...secrets, ...(INVITATION.test(line) ? [] : prompts)].some((secret) => line.includes(secret));
  return lines.filter(bad).map((line) => line.slice(0, 160));
}

export interface WatchedLog {
  /** What it gave away up to now. */
  leaks(): string[];
  /** A secret that was made after the start. */
  also(secret: string): void;
  /** For those that leak on purpose. */
  forgive(): void;
}
const watched = new Map<WatchedLog, string>();

/**
 * Every process that tests start is searched for what it was given in secret, for interactions' tokens and, at
 * `info`, for prompts: when the test's file is done, which fails for it.
 */
export function watchLog(what: string, lines: readonly string[], env: Env): WatchedLog {
  const secrets = secretsIn(env);
  const one: WatchedLog = {
    leaks: () => leaksIn(lines, secrets, env['LOG_LEVEL'] === 'debug' ? [] : undefined),
    also: (secret) => void secrets.push(secret),
    forgive: () => void watched.delete(one),
  };
  watched.set(one, what);
  return one;
}

// Hooks run in reverse order, so this one, registered by an import, comes after all that closes processes.
if (process.env['VITEST'])
  afterAll(() => {
    const found = [...watched].flatMap(([one, what]) => one.leaks().map((line) => `${what}: ${line}`));
    if (found.length > 0) throw new Error(`a secret is in a log:\n${found.slice(0, 5).join('\n')}`);
  });
