/**
 * One installation on many machines, played in the hub of a network of namespaces (`support/network`): Redis, the
 * bot, the workers and the store each on a host of its own, the local Discord here. Prints one line of JSON.
 *
 *     ip netns exec <prefix>-hub node --import tsx test/cluster/play.ts '<options>'
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type InteractionHandle, startPlayground } from '../../playground/index.ts';
import { openQueues } from '../../shared/queue/queue.ts';
import { workerConnection } from '../../shared/queue/redis.ts';
import { countOpen, until } from '../support/faults.ts';
import { HUB, openNetwork, setLink, startSlowLink } from '../support/network.ts';
import { isMessage, startProcess, type TestProcess } from '../support/processes.ts';
import { startS3rver } from '../support/s3.ts';
import { CANARY } from '../support/secrets.ts';
import { isGrid } from '../support/stack.ts';
import { makeModels } from '../support/tinyModel.ts';
import { HOSTS } from './hosts.ts';

export interface PlayOptions {
  prefix: string;
  /** Milliseconds of one step on a GPU that is somewhere else: the cores here are not what is measured. */
  stepMs: number;
  /** How long a worker is cut off at least, ms. */
  cutMs: number;
  /** Pictures that are asked for with one, two and three workers; 0 = not measured. */
  scaling: number;
}

export interface PlayReport {
  asked: number;
  /** Interactions whose end is one grid, one message. */
  grids: number;
  wrong: string[];
  /** Jobs that were started more than once, and why that was to be. */
  startedAgain: number;
  figures: Record<string, number>;
}

type Host = (typeof HOSTS)[number];

const PATIENCE_MS = 480_000;

async function play(options: PlayOptions): Promise<PlayReport> {
  const network = openNetwork(options.prefix, HOSTS);
  const at = (host: Host | typeof HUB): string => network.addressOf(host);
  const closing: (() => unknown)[] = [];
  const dir = await mkdtemp(join(tmpdir(), 'dreamgrid-cluster-'));
  closing.push(() => rm(dir, { recursive: true, force: true }));
  try {
    // the machines
    const redisUrl = `redis://:${CANARY.redisPassword}@${at('redis')}:6379`;
    const [command, ...args] = [
      ...network.on('redis'),
      'redis-server',
      ...['--bind', at('redis'), '--requirepass', CANARY.redisPassword, '--dir', dir, '--save', ''],
      ...['--appendonly', 'yes', '--maxmemory', '512mb', '--maxmemory-policy', 'noeviction'],
    ];
    const server = spawn(command as string, args, { stdio: 'ignore' });
    closing.push(() => server.kill('SIGKILL'));
    const redis = new Redis(redisUrl, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    redis.on('error', () => undefined);
    closing.push(() => redis.disconnect());
    await redis.ping();
    const s3 = await startS3rver({ host: at('store'), within: network.on('store') });
    closing.push(s3.close);
    const link = await startSlowLink(network, 'w3');
    closing.push(link.close);
    const playground = await startPlayground({ token: CANARY.botToken, host: at(HUB) });
    closing.push(playground.close);
    const models = await makeModels();
    closing.push(models.remove);
    const queues = openQueues(workerConnection(redisUrl));
    closing.push(queues.close);

    // what runs on them
    const processes: TestProcess[] = [];
    const start = async (host: Host, what: 'bot' | 'worker'): Promise<TestProcess> => {
      const env = {
        ...s3.env,
        REDIS_URL: redisUrl,
        DISCORD_TOKEN: playground.token,
        DISCORD_API: playground.api,
        DISCORD_CDN: playground.url,
        DATA_DIR: join(dir, host),
        MODELS_DIR: models.root,
        DEFAULT_MODEL: 'tiny',
        THREADS: '1',
        LOG_LEVEL: 'info',
        MAX_OPEN_JOBS: '40',
        MAX_RUNNING_JOBS: '40',
        SLOW_MODE_WAIT_S: '0',
        HEALTH_PORT: '9464',
        HEALTH_HOST: '0.0.0.0',
        DREAMGRID_FAULT: `engine-step:slow:${options.stepMs}`,
      };
      const child = startProcess(`${what}/main.ts`, env, network.on(host));
      processes.push(child);
      closing.push(() => end(child));
      await child.logged(isMessage(`${what} ready`), PATIENCE_MS);
      return child;
    };
    const isReady = async (host: Host): Promise<boolean> => {
      const url = `http://${at(host)}:9464/readyz`;
      return fetch(url, { signal: AbortSignal.timeout(3_000) }).then(
        ({ ok }) => ok,
        () => false,
      );
    };
    const figures: Record<string, number> = {};
    const asked: InteractionHandle[] = [];
    const people = Array.from({ length: 6 }, (_, i) => playground.join(`person ${i + 1}`));
    const ask = async (n: number): Promise<InteractionHandle[]> => {
      const handles = await Promise.all(
        Array.from({ length: n }, (_, i) =>
          playground.run(people[(asked.length + i) % people.length] as string, 'imagine', {
            prompt: `${CANARY.prompt} ${asked.length + i}`,
          }),
        ),
      );
      asked.push(...handles.filter(({ state }) => state === 'acknowledged'));
      // A bot without a processor's time answers too late; people ask again.
      const late = handles.filter(({ state }) => state !== 'acknowledged').length;
      figures['clicks answered too late, and repeated'] =
        (figures['clicks answered too late, and repeated'] ?? 0) + late;
      const taken = handles.filter(({ state }) => state === 'acknowledged');
      return late === 0 ? taken : [...taken, ...(await ask(late))];
    };
    const done = (handles: readonly InteractionHandle[]): Promise<unknown> =>
      playground.waitFor(
        () => handles.every(({ message }) => message && isGrid(message)) || undefined,
        PATIENCE_MS,
        'every grid',
      );
    const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      const began = performance.now();
      await work();
      figures[name] = Number(((performance.now() - began) / 1000).toFixed(1));
    };
    const rate = async (workers: string): Promise<void> => {
      if (options.scaling === 0) return;
      const began = performance.now();
      await done(await ask(options.scaling));
      const minutes = (performance.now() - began) / 60_000;
      figures[`grids a minute, ${workers}`] = Number((options.scaling / minutes).toFixed(1));
    };

    // 1. more workers, while it runs
    const bot = await start('bot', 'bot');
    const w1 = await start('w1', 'worker');
    await rate('1 worker');
    const w2 = await start('w2', 'worker');
    await rate('2 workers');
    const running = await ask(4);
    const w3 = await start('w3', 'worker');
    await done(running);
    await rate('3 workers');

    // 2. a link that is slow and loses
    link.set(100, 1);
    await rate('3 workers, one behind 100 ms and 1 % loss');
    await timed('six grids, one of three workers behind 100 ms and 1 % loss', async () => {
      const slow = await ask(6);
      await w3.logged(
        ({ msg, jobId }) => msg === 'painted' && slow.some(({ id }) => id === jobId),
        PATIENCE_MS,
      );
      await done(slow);
    });
    link.set(0, 0);

    // 3. one worker's wire is pulled in the middle of a picture
    await timed('six grids, one of three workers cut off in the middle', async () => {
      const before = w1.events.length;
      const handles = await ask(6);
      await until(() => w1.events.slice(before).some(({ msg }) => msg === 'painting'), 'it paints');
      const lost = w1.events.findLast(({ msg }) => msg === 'painting');
      setLink('w1', 'down');
      const cut = performance.now();
      await done(handles);
      const elsewhere = [...w2.events, ...w3.events].some(
        ({ msg, jobId }) => msg === 'painting' && jobId === lost?.['jobId'],
      );
      figures['taken over elsewhere'] = Number(elsewhere);
      figures['seconds until all were there without it'] = Number(
        ((performance.now() - cut) / 1000).toFixed(1),
      );
      await until(() => performance.now() - cut > options.cutMs, 'the cut', options.cutMs + 60_000);
      setLink('w1', 'up');
      const back = performance.now();
      await until(() => isReady('w1'), 'the worker is back', PATIENCE_MS);
      figures['seconds until it was ready again'] = Number(((performance.now() - back) / 1000).toFixed(1));
    });

    // 4. the bot's machine dies with pictures in work, another one takes its place
    await timed('six grids, the host of the bot died', async () => {
      const handles = await ask(6);
      setLink('bot', 'down');
      bot.signal('SIGKILL');
      await start('bot2', 'bot');
      await done([...handles, ...(await ask(2))]);
    });

    // what it came to
    await until(async () => (await countOpen(queues)) === 0, 'an empty queue');
    const wrong = playground.violations.map((one) => `Discord refuses ${JSON.stringify(one)}`);
    let grids = 0;
    const messages = playground.messages();
    for (const { id, message } of asked) {
      const own = messages.filter(
        (one) => one.interaction?.id === id || one.attachments.some(({ filename }) => filename.includes(id)),
      );
      if (own.length === 1 && message && isGrid(message)) grids++;
      else wrong.push(`${id}: ${own.length} messages, ${message ? message.content : 'no message'}`);
    }
    for (const { log } of processes) wrong.push(...log.leaks().map((line) => `a secret in a log: ${line}`));
    const starts = new Map<unknown, number>();
    for (const { events } of processes)
      for (const { msg, jobId } of events)
        if (msg === 'painting') starts.set(jobId, (starts.get(jobId) ?? 0) + 1);
    const startedAgain = [...starts.values()].filter((n) => n > 1).length;
    return { asked: asked.length, grids, wrong, startedAgain, figures };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** What was started through `ip netns exec` is the process itself: that command replaces itself. */
async function end(child: TestProcess): Promise<void> {
  if (child.process.exitCode === null && child.process.signalCode === null) child.signal('SIGKILL');
  await child.ended;
}

const report = await play(JSON.parse(process.argv[2] as string) as PlayOptions);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
