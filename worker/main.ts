import { hostname } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../shared/picture/openStore.ts';
import { tellWrongServer } from '../shared/queue/failover.ts';
import { SCHEMA_VERSION } from '../shared/queue/job.ts';
import { probeRedis } from '../shared/queue/probe.ts';
import {
  openAskWorker,
  openDeliverWorker,
  openQueues,
  openRenderWorker,
  withDeadline,
} from '../shared/queue/queue.ts';
import { checkRedis, connectRedis, keys, workerConnection } from '../shared/queue/redis.ts';
import { ANNOUNCE_EVERY_MS, announce, retire } from '../shared/queue/registry.ts';
import { type Env, folder, readEnv } from '../shared/service/env.ts';
import { ConfigError, messageOf } from '../shared/service/errors.ts';
import { openHealth } from '../shared/service/health.ts';
import { openLog, redactTokens } from '../shared/service/log.ts';
import { openRegistry, watchReady, watchRedis } from '../shared/service/metrics.ts';
import { openAsk } from './ask/ask.ts';
import { openDiscord } from './deliver/discord.ts';
import { isDelivered } from './deliver/messages.ts';
import { openPlacement } from './giveBack/placement.ts';
import { type Jobs, jobsAtOnce, jobsOf, openJobs } from './jobs.ts';
import { openMetrics } from './metrics.ts';
import { openAdapterStore } from './models/adapterStore.ts';
import {
  bytesOf,
  type InstalledModel,
  type Models,
  needModel,
  readModels,
  toCard,
} from './models/installed.ts';
import { openEngine } from './process/enginePool.ts';
import type { LoadNews } from './process/protocol.ts';
import { openRetention } from './retention.ts';

/** The worker: env, log, Redis, models, engine, queues; stopped in reverse. */
async function main(): Promise<void> {
  const began = performance.now();
  const env = readEnv();
  const log = openLog('worker', env.LOG_LEVEL);
  const registry = openRegistry();
  const metrics = openMetrics(registry);

  // what the worker needs
  let rejoin = (): void => undefined;
  const wrong = tellWrongServer(log, () => rejoin());
  const connection = workerConnection(env, undefined, wrong);
  const redis = await connectRedis(connection);
  await probeRedis(redis);
  const unsafe = await checkRedis(redis, {
    production: env.NODE_ENV === 'production',
    unsafe: env.REDIS_UNSAFE,
  });
  if (unsafe.length > 0) log.warn({ missing: unsafe.join(' · ') }, 'this Redis may lose jobs');
  const store = await openStore(env);
  const { models, first } = await openModels(env);

  const adapters = await openAdapterStore(folder(env.MODELS_DIR));
  if (adapters.problems.length > 0) log.warn({ problems: adapters.problems }, 'LoRAs that cannot be used');

  // what it paints with
  const engine = openEngine({
    providers: env.PROVIDERS,
    threads: env.THREADS,
    deadlineMs: env.JOB_DEADLINE_S * 1000,
    safetyChecker: env.SAFETY !== 'off',
    maxLoaded: env.MODELS_RESIDENT,
    batch: env.BATCH === 'auto' ? {} : { together: env.BATCH === 'together' },
    onCalled: metrics.called,
    onHalved: (mostRows) => {
      log.warn({ mostRows }, 'a call of the network did not fit into memory; smaller ones from now on');
      if (env.MAX_BATCH === 0) renders.concurrency = Math.min(renders.concurrency, jobsOf(mostRows));
    },
    onProviderMissing: (text) => log.error(text),
    onRestart: (failure) => {
      metrics.restarted(failure.code);
      log.error({ err: failure }, 'the engine process is replaced');
    },
  });
  // Loading a model of gigabytes takes minutes: readiness checks are told how far it is.
  let ready = async (): Promise<string[]> => [`loading the model "${first.name}"`];
  watchReady(registry, () => ready());
  watchRedis(registry, redis);
  const health = await openHealth({
    port: env.HEALTH_PORT,
    host: env.HEALTH_HOST,
    registry,
    ready: () => ready(),
  });
  const onLoading = ({ part, index, total }: LoadNews): void => {
    ready = async () => [`loading the model "${first.name}": ${part} (${index} of ${total})`];
  };
  const info = await engine.load(first, onLoading).catch((error: unknown) => {
    throw new ConfigError(`The model "${first.name}" does not load: ${messageOf(error)}`);
  });

  // the queues it works on
  const queues = openQueues(connection);
  const discord = openDiscord({
    api: env.DISCORD_API,
    botToken: env.DISCORD_TOKEN,
    onAnswer: metrics.answered,
  });
  const deps = {
    engine,
    store,
    redis,
    queues,
    discord,
    log,
    metrics,
    deadlineS: env.JOB_DEADLINE_S,
    safety: env.SAFETY,
    adapters,
  };
  const id = `${hostname()}-${process.pid}-${Date.now().toString(36)}`;
  const placement = openPlacement({
    redis,
    queues,
    id,
    sizeOf: (name) => bytesOf(models.get(name)),
    models: () => models.all.map(({ name }) => name),
    warm: engine.loaded,
    free: () => jobs.running().length < renders.concurrency,
  });
  const rewords = models.all.some(({ manifest }) => manifest.pictureEmbedding === true);
  const jobs: Jobs = openJobs({
    ...deps,
    model: models.get,
    rewords,
    maxRunning: env.MAX_RUNNING_JOBS,
    maxLoaded: env.MODELS_RESIDENT,
    placement,
  });
  const renders = openRenderWorker(connection, jobs.onRender, jobsAtOnce(env.MAX_BATCH, info));
  const delivers = openDeliverWorker(connection, jobs.onDeliver);
  const asks = openAskWorker(connection, openAsk({ ...deps, model: models.get, placement }));
  for (const worker of [renders, delivers, asks])
    worker.on('error', (error) => log.debug({ err: error }, 'queue'));

  // cancellations and wakes by pub/sub
  const subscriber = redis.duplicate();
  // An old primary refuses no subscriber, but nobody publishes there any more: reconnect.
  rejoin = () => void (subscriber.status === 'ready' && subscriber.disconnect(true));
  subscriber.on('error', () => undefined);
  const takeUp = () => void placement.takeUp().catch((err) => log.debug({ err }, 'nothing taken up'));
  subscriber.on('message', (channel, text) => (channel === keys.cancel ? jobs.cancel(text) : takeUp()));
  await subscriber.subscribe(keys.cancel, keys.left);
  const beat = openHeartbeat(async () => {
    await adapters.refresh();
    const cards = models.all.map((model) => toCard(model));
    const loras = adapters.loras.map(({ card }) => card);
    const embeddings = adapters.embeddings.map(({ card }) => card);
    await announce(redis, {
      id,
      models: cards,
      loras,
      embeddings,
      warm: engine.loaded(),
      schema: SCHEMA_VERSION,
    });
    await subscriber.ping(); // a silent partition shows on a pending command only
    await jobs.lookForCancel();
    takeUp();
  });
  let stopping = false;
  ready = async () => [
    ...(stopping ? ['shutting down'] : []),
    ...(redis.status === 'ready' ? [] : ['Redis does not answer']),
    ...beat.problems(),
    ...engine.problems(),
    ...(await store.check().then(
      () => [],
      (error) => [`the store: ${messageOf(error)}`],
    )),
  ];
  await beat.first;
  void renders.run();
  void delivers.run();
  void asks.run();
  const endRetention = openRetention({ redis, store, log }, env.KEEP_DAYS);

  const shutdown = async (): Promise<void> => {
    if (stopping) return jobs.giveBack(); // asked twice: now
    stopping = true;
    log.info({ jobs: jobs.running() }, 'stopping');
    beat.stop();
    endRetention();
    const last = jobs.running();
    const late = setTimeout(() => jobs.giveBack(), env.SHUTDOWN_S * 1000);
    await withDeadline(renders.close(), env.SHUTDOWN_S * 1000 + 6_000);
    clearTimeout(late);
    const delivered = last.map((jobId) => untilDelivered(() => isDelivered(redis, jobId)));
    await withDeadline(Promise.all(delivered), 3_000);
    await withDeadline(Promise.allSettled([delivers.close(), asks.close(), retire(redis, id)]), 5_000);
    await withDeadline(Promise.allSettled([engine.close(), health.close(), queues.close()]), 3_000);
    subscriber.disconnect();
    redis.disconnect();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutdown());

  log.info(
    {
      model: first.name,
      models: models.all.length,
      provider: info.provider,
      jobs: renders.concurrency,
      health: health.port,
      ms: Math.round(performance.now() - began),
    },
    'worker ready',
  );
}

async function openModels(env: Env): Promise<{ models: Models; first: InstalledModel }> {
  const root = folder(env.MODELS_DIR);
  const models = await readModels(root, join(folder(env.DATA_DIR), 'model-checks.json'));
  const first = needModel(models, env.DEFAULT_MODEL, root);
  if (models.problems.length > 0) throw new ConfigError(models.problems.join(' · '));
  return { models, first };
}

/** Announces this worker every few seconds; a Redis that takes no writes is noticed here first. */
function openHeartbeat(tick: () => Promise<void>): {
  first: Promise<void>;
  problems(): string[];
  stop(): void;
} {
  let trouble: string | undefined;
  let busy = false;
  const beat = async (): Promise<void> => {
    if (busy) {
      trouble = 'Redis does not answer';
      return;
    }
    busy = true;
    try {
      await tick();
      trouble = undefined;
    } catch (error) {
      const why = messageOf(error);
      // A transaction that met a full Redis says EXECABORT and not why.
      trouble = /^(?:EXECABORT|OOM|MISCONF)/.test(why)
        ? 'Redis takes no writes: it is full, or its disk is'
        : `Redis: ${why}`;
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void beat(), ANNOUNCE_EVERY_MS);
  return {
    first: beat(),
    problems: () => (trouble ? [trouble] : []),
    stop: () => clearInterval(timer),
  };
}

/** Waits at shutdown until this process has delivered the grids that it finished meanwhile. */
async function untilDelivered(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((wait) => setTimeout(wait, 100));
}

function fail(error: unknown): never {
  process.stderr.write(`${redactTokens(messageOf(error))}\n`);
  if (!(error instanceof ConfigError) && error instanceof Error)
    process.stderr.write(`${redactTokens(error.stack ?? '')}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
await main().catch(fail);
