import { Redis } from 'ioredis';
import { ConfigError, messageOf } from '../service/errors.ts';
import { type OnWrongServer, reconnectOnError } from './failover.ts';
import { type Address, parseAddress, type RedisSettings } from './redisUrl.ts';

/** Connection options for both ioredis and BullMQ. */
export interface Connection extends Address {
  maxRetriesPerRequest?: number | null;
  enableOfflineQueue?: boolean;
  connectTimeout?: number;
  commandTimeout?: number;
  socketTimeout?: number;
  keepAlive?: number;
  retryStrategy?: (times: number) => number;
  reconnectOnError?: (error: Error) => boolean | 1 | 2;
}

/** All keys of Dreamgrid share one cluster slot through this hash tag. */
export const PREFIX = '{dreamgrid}';

export const keys = {
  token: (jobId: string) => `${PREFIX}:token:${jobId}`,
  /** channelId:messageId of the job's message, once known. */
  message: (jobId: string) => `${PREFIX}:message:${jobId}`,
  recipe: (jobId: string) => `${PREFIX}:recipe:${jobId}`,
  /** userId of the job's owner; for cancel and delete. */
  owner: (jobId: string) => `${PREFIX}:owner:${jobId}`,
  /** Id of the bot process that handles this interaction, where several get it. */
  claim: (interactionId: string) => `${PREFIX}:claim:${interactionId}`,
  open: (userId: string) => `${PREFIX}:open:${userId}`,
  fair: `${PREFIX}:fair`,
  openAll: `${PREFIX}:open`,
  /** Jobs of one user that are being painted, and jobs held back by the limit. */
  running: (userId: string) => `${PREFIX}:running:${userId}`,
  held: (userId: string) => `${PREFIX}:held:${userId}`,
  /** Pub/sub channel: job ids to stop. */
  cancel: `${PREFIX}:cancel`,
  /** Set while a job is to be stopped, so that a worker that starts the job later sees it too. */
  cancelled: (jobId: string) => `${PREFIX}:cancelled:${jobId}`,
  /** Set once the job's message is final, or must show nothing any more. */
  delivered: (jobId: string) => `${PREFIX}:delivered:${jobId}`,
  /** Set while the owner erases the job: a worker that is painting it must not store the result. */
  erased: (jobId: string) => `${PREFIX}:erased:${jobId}`,
  /** JSON list of prompts that an answer of /describe or /shorten offers. */
  offered: (userId: string, id: string) => `${PREFIX}:offered:${userId}:${id}`,
  /** The answer to a question (JSON payload) that Discord has not taken yet; erased with `offered`. */
  answer: (userId: string, id: string) => `${PREFIX}:offered:${userId}:${id}:answer`,
  /** Set where a late preview may overwrite the final message: number of checks so far. */
  unsure: (jobId: string) => `${PREFIX}:unsure:${jobId}`,
  /** When a job was first sent back for want of a worker of its version: ms since 1970, Redis' clock. */
  refused: (jobId: string) => `${PREFIX}:refused:${jobId}`,
  /** Jobs that a worker left to workers that have the model, or have it loaded; and since when. */
  leftToOwner: (model: string) => `${PREFIX}:left:owner:${model}`,
  leftToWarm: (model: string) => `${PREFIX}:left:warm:${model}`,
  leftAt: (jobId: string) => `${PREFIX}:left:at:${jobId}`,
  /** Pub/sub channel: the list in which a job was just left. */
  left: `${PREFIX}:left`,
  /** Id of a member's question while it waits for its answer. */
  asking: (userId: string) => `${PREFIX}:asking:${userId}`,
  /** Scope of the last command registration: a server's id, or `everywhere`. */
  commands: `${PREFIX}:commands`,
  workers: `${PREFIX}:workers`,
  worker: (id: string) => `${PREFIX}:worker:${id}`,
  /** Set for a while by the worker that removes old pictures. */
  swept: `${PREFIX}:swept`,
  /** Hash model → moving average of the milliseconds of one job. */
  pace: `${PREFIX}:pace`,

  // members and pictures: shared/memory
  settings: (userId: string) => `${PREFIX}:settings:${userId}`,
  options: (userId: string) => `${PREFIX}:options:${userId}`,
  history: (userId: string) => `${PREFIX}:history:${userId}`,
  favourites: (userId: string) => `${PREFIX}:favourites:${userId}`,
  /** Set of `user:job:index`: favourites among this job's pictures. */
  keepers: (jobId: string) => `${PREFIX}:keepers:${jobId}`,
  /** Store keys of a member's uploads; below, the members who uploaded one file. */
  uploads: (userId: string) => `${PREFIX}:uploads:${userId}`,
  uploaders: (storeKey: string) => `${PREFIX}:uploaders:${storeKey}`,
  job: (jobId: string) => `${PREFIX}:job:${jobId}`,
  children: (jobId: string) => `${PREFIX}:children:${jobId}`,
  /** Set of `channel:message`: messages where /show put the job again. */
  shown: (jobId: string) => `${PREFIX}:shown:${jobId}`,

  // servers' settings and quotas: bot/server
  /** Hash setting → JSON. */
  server: (guildId: string) => `${PREFIX}:server:${guildId}`,
  /** Set of ids of a server's blocked users. */
  blocked: (guildId: string) => `${PREFIX}:blocked:${guildId}`,
  /** Set of the job ids of one person's day; scope is a guild's id or `all`. */
  used: (scope: string, userId: string, day: string) => `${PREFIX}:used:${scope}:${userId}:${day}`,
  slow: (guildId: string, userId: string) => `${PREFIX}:slow:${guildId}:${userId}`,
  openServer: (guildId: string) => `${PREFIX}:open-server:${guildId}`,
  audited: (guildId: string, userId: string, code: string) =>
    `${PREFIX}:audited:${guildId}:${userId}:${code}`,
} as const;

/** Recipes and owners outlive the message's token by far; later a button reads the message's file. */
export const RECIPE_TTL_S = 90 * 24 * 3600;
/** An interaction's token lives 15 minutes (discord.com/developers/docs, Interactions). */
export const TOKEN_TTL_S = 15 * 60;

/** For queue workers: waits for Redis for ever, but notices a silent partition within 20 s (`socketTimeout`). */
export const workerConnection = (
  at: string | RedisSettings,
  ca?: string,
  onWrong?: OnWrongServer,
): Connection => ({
  ...parseAddress(settingsOf(at, ca)),
  maxRetriesPerRequest: null,
  retryStrategy: (times) => Math.min(200 * times, 2000),
  reconnectOnError: reconnectOnError(onWrong, true),
  socketTimeout: 20_000,
  keepAlive: 5_000,
});

/**
 * For the bot: a click is answered in time also when Redis is away, so every command fails within 2 s. A command
 * that nothing answers for 10 s ends the connection (ioredis counts from a command, so an idle one stays); without
 * that a silent partition would last until TCP gives up, some 15 minutes.
 */
export const producerConnection = (
  at: string | RedisSettings,
  ca?: string,
  onWrong?: OnWrongServer,
): Connection => ({
  ...parseAddress(settingsOf(at, ca)),
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  connectTimeout: 2_000,
  commandTimeout: 2_000,
  retryStrategy: (times) => Math.min(200 * times, 2000),
  reconnectOnError: reconnectOnError(onWrong, false),
  socketTimeout: 10_000,
  keepAlive: 5_000,
});

const settingsOf = (at: string | RedisSettings, ca: string | undefined): RedisSettings =>
  typeof at === 'string' ? { REDIS_URL: at, REDIS_CA: ca } : at;

/** The address that a client is connected to, as text; with sentinels it changes. */
export function addressOf({
  options,
}: {
  options: { host?: string | undefined; port?: number | undefined; name?: string | null | undefined };
}): string {
  return options.name ? `the primary "${options.name}"` : `${options.host}:${options.port}`;
}

/** Connects. @throws ConfigError in one line where that fails */
export async function connectRedis(options: Connection): Promise<Redis> {
  const redis = new Redis({ ...options, lazyConnect: true });
  let why: unknown;
  redis.on('error', (error) => {
    why = error; // ioredis reconnects by itself; readiness reports the state
  });
  try {
    await redis.connect();
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    throw new ConfigError(
      `Redis does not answer at ${addressOf({ options })} (${messageOf(why ?? error)}). Start it, or set REDIS_URL.`,
    );
  }
}

/**
 * Checks that Redis evicts no keys, has a memory limit, persists and asks for a password. INFO
 * is asked first, since managed servers refuse CONFIG; an unknown setting counts as unsafe.
 * @returns each wrong setting with its value; empty when all is well
 * @throws ConfigError in production, with the same list, unless `unsafe`
 */
export async function checkRedis(
  redis: Redis,
  { production, unsafe }: { production: boolean; unsafe: boolean },
): Promise<string[]> {
  const read = async (section: string): Promise<(name: string) => string | undefined> => {
    const text = await redis.info(section).catch(() => '');
    return (name) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(text)?.[1];
  };
  const config = async (name: string): Promise<string | undefined> => {
    const answer = (await redis.call('CONFIG', 'GET', name).catch(() => undefined)) as string[] | undefined;
    return answer?.[1];
  };
  const [memory, persistence] = [await read('memory'), await read('persistence')];
  const policy = memory('maxmemory_policy') ?? (await config('maxmemory-policy'));
  const limit = memory('maxmemory') ?? (await config('maxmemory'));
  const aof = onOff(persistence('aof_enabled')) ?? (await config('appendonly'));
  const sync = await config('appendfsync');
  const stranger = await strangerMayEnter(redis);

  const expected: [setting: string, value: string, got: string | undefined, good: boolean][] = [
    ['maxmemory-policy', 'noeviction', policy, policy === 'noeviction'],
    ['maxmemory', 'a limit, for example 512mb', limit, Number(limit) > 0],
    ['appendonly', 'yes', aof, aof === 'yes'],
    ['appendfsync', 'everysec or always', sync, sync === 'everysec' || sync === 'always'],
    ['requirepass', 'a password', stranger ? 'none' : 'one', !stranger],
  ];
  const missing = expected
    .filter(([, , , good]) => !good)
    .map(([name, value, got]) => `${name}: expected ${value}, got ${got ?? 'no answer to INFO or CONFIG'}`);
  if (production && !unsafe && missing.length > 0) {
    throw new ConfigError(
      `Redis is not safe for production: ${missing.join(' · ')}. Set that, or REDIS_UNSAFE=1.`,
    );
  }
  return missing;
}

const onOff = (flag: string | undefined): string | undefined =>
  flag === undefined ? undefined : flag === '1' ? 'yes' : 'no';

/** Tries to connect without a password: Redis accepts any where it has none, and may hide its settings. */
async function strangerMayEnter(redis: Redis): Promise<boolean> {
  const { host, port, tls, sentinels, name, sentinelPassword } = redis.options;
  const stranger = new Redis({
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(tls === undefined ? {} : { tls }),
    ...(sentinels && name ? { sentinels, name } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    enableOfflineQueue: false,
    retryStrategy: () => null,
    connectTimeout: 2_000,
    commandTimeout: 2_000,
  });
  stranger.on('error', () => undefined); // being refused is the wanted result
  try {
    await stranger.connect();
    await stranger.ping();
    return true;
  } catch {
    return false;
  } finally {
    stranger.disconnect();
  }
}
