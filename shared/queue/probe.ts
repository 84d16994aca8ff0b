import type { Redis } from 'ioredis';
import { ConfigError, messageOf } from '../service/errors.ts';
import { addressOf, PREFIX } from './redis.ts';

/**
 * Whether this Redis does what the queue needs: the database is there, and this user may write, run scripts, publish
 * and subscribe. PING succeeds also on a replica, a cluster node or with too few rights.
 */

/** Lua: writes a key of every kind that the queue uses and removes all of them. */
const WRITE = `
local at = KEYS[1]
redis.call('SET', at, '1', 'EX', 60)
redis.call('DEL', at)
redis.call('HSET', at, 'a', '1')
redis.call('HINCRBY', at, 'a', 1)
redis.call('DEL', at)
redis.call('LPUSH', at, '1')
redis.call('RPOPLPUSH', at, at)
redis.call('DEL', at)
redis.call('SADD', at, '1')
redis.call('DEL', at)
redis.call('XADD', at, 'MAXLEN', '~', '1', '*', 'a', '1')
redis.call('XTRIM', at, 'MAXLEN', '~', '1')
redis.call('DEL', at)
redis.call('ZADD', at, 1, '1')
redis.call('ZPOPMIN', at)
return 1
`;

/** Wait for the probe's own message, ms; it arrives at once or not at all. */
const ARRIVES_MS = 5_000;

/** @throws ConfigError in one line that names REDIS_URL and says what is missing */
export async function probeRedis(redis: Redis): Promise<void> {
  const where = addressOf(redis);
  const user = redis.options.username ?? 'default';
  const refuse = (error: unknown, what: string): never => {
    const why = messageOf(error).split('\n', 1)[0] as string;
    if (/^(?:-?MOVED|ASK|CLUSTERDOWN)\b|not allowed in cluster mode/.test(why)) throw isCluster(where);
    if (/\bREADONLY\b|^MASTERDOWN\b/.test(why)) throw isReplica(where);
    if (/\bNOPERM\b|has no permissions|can't run this command|can't access/.test(why))
      throw new ConfigError(
        `REDIS_URL: the user "${user}" at ${where} may not ${what} (${why}). The ACL SETUSER line that suffices is in docs/operations.md, "A Redis user of its own".`,
      );
    throw new ConfigError(`REDIS_URL: ${where} does not ${what} (${why}).`);
  };
  const allow = async <T>(work: Promise<T>, what: string): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      // A Redis that is full, saving or busy with a script recovers; readiness reports it meanwhile.
      if (
        /^(?:OOM|MISCONF|BUSY|LOADING|NOREPLICAS|TRYAGAIN)\b|OOM command not allowed/.test(messageOf(error))
      )
        return undefined;
      return refuse(error, what);
    }
  };

  const info = (await allow(redis.info(), 'run INFO')) ?? '';
  if (/^(?:redis|server)_mode:cluster/m.test(info)) throw isCluster(where);
  if (/^role:slave/m.test(info)) throw isReplica(where);
  const { db = 0 } = redis.options;
  if (db !== 0)
    await redis.select(db).catch((error: unknown) => {
      if (/out of range|invalid DB/i.test(messageOf(error)))
        throw new ConfigError(
          `REDIS_URL: there is no database ${db} at ${where} (${messageOf(error)}). Give another number after the slash, or raise "databases" there.`,
        );
      refuse(error, `use database ${db}`);
    });
  const id = `${process.pid}-${Date.now().toString(36)}`;
  const key = `${PREFIX}:probe:${id}`;
  await allow(redis.set(key, '1', 'EX', 60), `write the keys ${PREFIX}:*`);
  await allow(redis.eval(WRITE, 1, key), `run scripts on the keys ${PREFIX}:*`);
  await hear(redis, `${PREFIX}:probe`, id, (error) => refuse(error, `use the channels ${PREFIX}:*`));
}

const isReplica = (where: string): ConfigError =>
  new ConfigError(
    `REDIS_URL leads to a replica (${where}): it takes no writes. Give the primary's address, or REDIS_SENTINEL.`,
  );

const isCluster = (where: string): ConfigError =>
  new ConfigError(
    `REDIS_URL leads to a node of a Redis Cluster (${where}): Dreamgrid keeps everything on one server. Give one without cluster mode, or REDIS_SENTINEL.`,
  );

/** Publishes a message on a channel and waits until it arrives. */
async function hear(
  redis: Redis,
  channel: string,
  text: string,
  refuse: (error: unknown) => never,
): Promise<void> {
  const ear = redis.duplicate({ lazyConnect: true });
  ear.on('error', () => undefined);
  let timer: NodeJS.Timeout | undefined;
  try {
    await ear.connect();
    const heard = new Promise<void>((resolve, reject) => {
      ear.on('message', (_channel, said) => said === text && resolve());
      timer = setTimeout(
        () => reject(new Error(`what was published did not arrive within ${ARRIVES_MS / 1000} s`)),
        ARRIVES_MS,
      );
    });
    heard.catch(() => undefined); // `heard` is awaited below; subscribing may fail first
    await ear.subscribe(channel);
    await redis.publish(channel, text);
    await heard;
  } catch (error) {
    refuse(error);
  } finally {
    clearTimeout(timer);
    ear.disconnect();
  }
}
