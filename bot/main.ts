import { type Client, Events } from 'discord.js';
import { openStore } from '../shared/picture/openStore.ts';
import { tellWrongServer } from '../shared/queue/failover.ts';
import { probeRedis } from '../shared/queue/probe.ts';
import { openQueues, withDeadline } from '../shared/queue/queue.ts';
import { checkRedis, connectRedis, PREFIX, producerConnection } from '../shared/queue/redis.ts';
import { readEnv } from '../shared/service/env.ts';
import { ConfigError, messageOf } from '../shared/service/errors.ts';
import { openHealth } from '../shared/service/health.ts';
import { openLog, redactTokens } from '../shared/service/log.ts';
import { openRegistry, watchQueues, watchReady, watchRedis } from '../shared/service/metrics.ts';
import type { App } from './app.ts';
import { stopJobs } from './buttons/cancel.ts';
import { onReaction } from './buttons/reactions.ts';
import { connect, describeClose, gatewayProblems, openClient } from './client.ts';
import { registerCommands } from './commands/register.ts';
import { dispatch } from './dispatch.ts';
import { openDeduplicator } from './interaction/deduplicate.ts';
import { openBotMetrics, watchDiscord } from './metrics.ts';
import { openModels } from './submit/announcedModels.ts';
import { openRequeue } from './submit/requeueLost.ts';

const WRITE_EVERY_MS = 5_000;

/** The bot: env, log, Redis, store, Discord, health; stopped in reverse. */
async function main(): Promise<void> {
  const began = performance.now();
  const env = readEnv();
  const log = openLog('bot', env.LOG_LEVEL);
  const registry = openRegistry();

  // Redis, queues, store
  const redis = await connectRedis(producerConnection(env, undefined, tellWrongServer(log)));
  await probeRedis(redis);
  const production = env.NODE_ENV === 'production';
  const unsafe = await checkRedis(redis, { production, unsafe: env.REDIS_UNSAFE });
  if (unsafe.length > 0) log.warn({ missing: unsafe.join(' · ') }, 'this Redis may lose jobs');
  const queues = openQueues(redis);
  await Promise.all(
    [queues.flow, queues.render, queues.deliver, queues.ask].map((queue) => queue.waitUntilReady()),
  );
  const store = await openStore(env);

  // Discord
  const client = openClient(env, log);
  watchDiscord(registry, client);
  const models = openModels(redis);
  const metrics = openBotMetrics(registry);
  const again = openRequeue(redis, log);
  const app: App = { env, log, redis, queues, store, rest: client.rest, metrics, models, again };
  const busy = new Set<Promise<void>>();
  const run = (work: Promise<void>): void => {
    const one = work
      .catch((error: unknown) => log.error({ err: error }, 'unexpected'))
      .finally(() => busy.delete(one));
    busy.add(one);
  };
  const isNew = openDeduplicator();
  client.on(Events.InteractionCreate, (interaction) => {
    if (isNew(interaction.id)) run(dispatch(app, interaction));
    else log.info({ interactionId: interaction.id }, 'delivered again');
  });
  client.on(Events.MessageReactionAdd, (reaction, user) => {
    if (client.isReady()) run(onReaction(app, client, reaction, user));
  });
  const connected = await connect(client, env);
  await registerCommands(connected, { env, redis, log });
  for (const userId of env.BLOCKED_USERS) {
    const stopped = await stopJobs(app, userId);
    if (stopped > 0) log.info({ userId, stopped }, 'blocked by the operator; stopped what waited');
  }

  // readiness, metrics, shutdown
  let stopping = false;
  // A full Redis still answers PING: only a write tells.
  const write = () => redis.set(`${PREFIX}:ready`, '1', 'EX', 60);
  const ready = async (): Promise<string[]> => [
    ...(stopping ? ['shutting down'] : []),
    ...gatewayProblems(connected),
    ...(await write().then(
      () => [],
      (error) => [`Redis: ${messageOf(error)}`],
    )),
  ];
  // Regular writes find out that a primary became read-only before a click does.
  const beat = setInterval(() => void write().catch(() => undefined), WRITE_EVERY_MS);
  watchReady(registry, ready);
  watchRedis(registry, redis);
  watchQueues(registry, queues, redis);
  const health = await openHealth({ port: env.HEALTH_PORT, host: env.HEALTH_HOST, registry, ready });
  client.on(Events.ShardDisconnect, ({ code }) => {
    if (!stopping) fail(new ConfigError(describeClose(code)));
  });
  const shutdown = async (): Promise<void> => {
    if (stopping) return process.exit(1); // second signal: exit now
    stopping = true;
    clearInterval(beat);
    log.info({ busy: busy.size }, 'stopping');
    client.removeAllListeners(Events.InteractionCreate);
    client.removeAllListeners(Events.MessageReactionAdd);
    await withDeadline(Promise.allSettled([...busy]), 3_000);
    await withDeadline(health.close(), 1_000);
    await withDeadline(leave(client), 2_000);
    await queues.close();
    redis.disconnect();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutdown());

  const ms = Math.round(performance.now() - began);
  // One process runs all shards, so the client's cache has every server.
  log.info(
    { guilds: connected.guilds.cache.size, shards: connected.ws.shards.size, health: health.port, ms },
    'bot ready',
  );
}

/** `destroy` can hang for seconds while a shard identifies again; its caller sets a deadline. */
const leave = async (client: Client): Promise<void> => {
  await client.destroy();
};

function fail(error: unknown): never {
  process.stderr.write(`${redactTokens(messageOf(error))}\n`);
  if (!(error instanceof ConfigError) && error instanceof Error)
    process.stderr.write(`${redactTokens(error.stack ?? '')}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
await main().catch(fail);
