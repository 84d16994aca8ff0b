import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { InteractionHandle, MessageView } from '../../playground/index.ts';
import { connectRedis, producerConnection } from '../../shared/queue/redis.ts';
import {
  type FaultStack,
  holdEngine,
  problemsOf,
  SOON_MS,
  startFaultStack,
  until,
} from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';
import { type FaultProxy, startProxy } from '../support/proxy.ts';
import { freePort } from '../support/redis.ts';
import { isGrid } from '../support/stack.ts';
import { fillDisk } from './fillDisk.ts';
import { report, reportWithin } from './report.ts';

/** Redis goes away: for a moment, for longer than a lock, without a word, or has no room left. */
const run = promisify(execFile);
let stack: FaultStack;
let bot: TestProcess;
let worker: TestProcess;
let proxy: FaultProxy;
let botProxy: FaultProxy;
let ports: { bot: number; worker: number };

const ready = async (port: number): Promise<boolean> => (await problemsOf(port))?.length === 0;
const red = async (port: number): Promise<boolean> => ((await problemsOf(port))?.length ?? 0) > 0;

const TRY_AGAIN = 'Try again in a moment';
/** The notice that a click was not taken, as the answer or after a deferral. */
const tryAgain = (handle: InteractionHandle): Promise<MessageView> =>
  stack.playground.waitFor(
    () => [handle.message, ...handle.followups].find((one) => one?.embeds[0]?.['title'] === TRY_AGAIN),
    SOON_MS,
    'the notice',
  );

beforeAll(async () => {
  stack = await startFaultStack();
  proxy = await startProxy(stack.redis.port);
  botProxy = await startProxy(stack.redis.port);
  ports = { bot: await freePort(), worker: await freePort() };
  const through = ({ port }: FaultProxy) => ({
    REDIS_URL: stack.redis.url.replace(String(stack.redis.port), String(port)),
  });
  [bot, worker] = await Promise.all([
    stack.startBot({ HEALTH_PORT: String(ports.bot), ...through(botProxy) }),
    stack.startWorker({ HEALTH_PORT: String(ports.worker), ...through(proxy) }),
  ]);
});
afterAll(async () => {
  await stack?.close();
  await proxy?.close();
  await botProxy?.close();
});

it('row 7: Redis killed and started again with a job running: it completes once, within 5 s of its return', async () => {
  const handle = await stack.imagine('redis restart');
  const go = await holdEngine(worker, handle.id);
  await stack.redis.kill('SIGKILL');
  await stack.redis.start();
  const back = performance.now();
  go();
  await stack.grid(handle);
  const ms = performance.now() - back;
  reportWithin('row 7: return of Redis to the grid', ms, 5_000);
  await stack.expectClean(); // what comes late would come now
  expect(stack.gpuRuns(handle.id)).toBe(1);
  expect(stack.messagesOf(handle).map(isGrid)).toEqual([true]);
});

it('row 7: Redis killed before its disk had the job it took: it is handed over again', async () => {
  worker.signal('SIGSTOP'); // else it would hold what is forgotten
  const mark = await stack.redis.mark();
  const handle = await stack.imagine('forgotten by Redis --repeat 2');
  for (const jobId of [handle.id, `${handle.id}.1`])
    await bot.logged((event) => event.msg === 'queued' && event['jobId'] === jobId);
  await stack.redis.forgetSince(mark);
  await stack.redis.start();
  for (const jobId of [handle.id, `${handle.id}.1`])
    await bot.logged((event) => event.msg === 'lost by Redis; queued again' && event['jobId'] === jobId);
  worker.signal('SIGCONT');
  await stack.grid(handle);
  await until(
    () =>
      stack.playground.messages().filter((one) => isGrid(one) && one.content.includes('forgotten by Redis'))
        .length === 2,
    'both grids',
  );
  await stack.expectClean();
  expect(stack.gpuRuns(handle.id)).toBe(1);
  const all = stack.playground.messages().filter(({ content }) => content.includes('forgotten by Redis'));
  expect(all.map(isGrid)).toEqual([true, true]);
});

it('row 9: Redis away at the click: "try again" within 3 s, nothing queued, no crash', async () => {
  const grid = await stack.grid(await stack.imagine('before'));
  await stack.redis.kill('SIGKILL');
  // The first may come before the bot knows: its command is then on the way, and the answer comes after a deferral.
  const handles = [await stack.imagine('while Redis is away')];
  expect((await tryAgain(handles[0]!)).ephemeral).toBe(true);
  await until(() => red(ports.bot), 'the bot says it is not ready');
  for (const label of ['U1', '🔄']) {
    const handle = await stack.press(grid, label);
    expect(handle.state).toBe('acknowledged');
    expect(handle.message?.ephemeral).toBe(true);
    expect(handle.message?.embeds[0]?.['title']).toBe(TRY_AGAIN);
    handles.push(handle);
  }
  await stack.redis.start();
  for (const { id } of handles) expect(await stack.queues.deliver.getJob(`d-${id}`)).toBeUndefined();
  expect(bot.process.exitCode).toBeNull();
  await until(() => ready(ports.bot), 'the bot is ready again');
  await stack.grid(await stack.imagine('after Redis came back'));
});

it('row 11: Redis full: refused with a message, readiness red, and all well again without a restart', async () => {
  const { client } = stack.redis;
  await until(() => ready(ports.worker), 'the worker is ready');
  await client.config('SET', 'maxmemory', '1');
  const refused = await stack.imagine('no room');
  expect(refused.message?.ephemeral).toBe(true);
  expect(refused.message?.embeds[0]?.['title']).toBe(TRY_AGAIN);
  await until(() => red(ports.worker), 'the worker says it is not ready');
  await until(() => red(ports.bot), 'the bot says it is not ready');
  expect((await problemsOf(ports.worker))?.join()).toBe('Redis takes no writes: it is full, or its disk is');
  await client.config('SET', 'maxmemory', '0');
  await until(() => ready(ports.worker), 'the worker is ready again');
  await until(() => ready(ports.bot), 'the bot is ready again');
  await stack.grid(await stack.imagine('room again'));
});

it('row 11: Redis fills up while a job runs: the job is not lost', async () => {
  const { client } = stack.redis;
  const handle = await stack.imagine('filled meanwhile');
  const go = await holdEngine(worker, handle.id);
  await client.config('SET', 'maxmemory', '1');
  go();
  await until(() => red(ports.worker), 'the worker says it is not ready');
  await client.config('SET', 'maxmemory', '0');
  await stack.grid(handle);
  expect(stack.messagesOf(handle)).toHaveLength(1);
});

it('row 11: the disk of Redis full: refused with a message, readiness red, and all well again without a restart', async (context) => {
  const { client } = stack.redis;
  const dir = ((await client.config('GET', 'dir')) as string[])[1] as string;
  const keep = await mkdtemp(join(tmpdir(), 'dreamgrid-keep-'));
  await cp(dir, keep, { recursive: true });
  await stack.redis.kill();
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dir]).then(
    () => true,
    () => false,
  );
  try {
    if (mounted) await cp(keep, dir, { recursive: true });
    await stack.redis.start();
    await until(() => ready(ports.bot), 'the bot is ready');
    if (!mounted) return context.skip('no tmpfs: not root');
    const filler = join(dir, 'filler');
    await fillDisk(filler);
    // The log takes what is still in its buffer first; the write after that is refused.
    await until(() => red(ports.bot), 'the bot says it is not ready');
    const refused = await stack.imagine('no room on the disk');
    expect(refused.message?.ephemeral).toBe(true);
    expect(refused.message?.embeds[0]?.['title']).toBe(TRY_AGAIN);
    await rm(filler);
    await until(() => ready(ports.bot), 'the bot is ready again');
    await stack.grid(await stack.imagine('room on the disk again'));
  } finally {
    await rm(keep, { recursive: true, force: true });
    if (mounted) await run('umount', ['-l', dir]);
  }
  // On the ordinary folder again, for the tests that follow.
  await stack.redis.kill();
  await stack.redis.start();
  await until(() => ready(ports.bot), 'the bot is ready');
});

it('row 10: silent partition between worker and Redis: readiness red, recovery by itself within 60 s', async () => {
  await until(() => ready(ports.worker), 'the worker is ready');
  proxy.set('blackhole');
  const began = performance.now();
  await until(() => red(ports.worker), 'the worker says it is not ready');
  report('row 10: silent partition until readiness is red', performance.now() - began);
  const handle = await stack.imagine('into the partition');
  proxy.set('pass'); // for new connections; the old ones stay silent for ever
  await stack.grid(handle);
  await until(() => ready(ports.worker), 'the worker is ready again');
  const ms = performance.now() - began;
  reportWithin('row 10: silent partition until all is well', ms, 60_000);
});

it('row 10: silent partition between bot and Redis: readiness red, "try again", recovery by itself within 60 s', async () => {
  await until(() => ready(ports.bot), 'the bot is ready');
  botProxy.set('blackhole');
  const began = performance.now();
  const refused = await stack.imagine('into the silence');
  // Deferred in time, since the bot waits for Redis first; then told in private.
  expect((await tryAgain(refused)).ephemeral).toBe(true);
  await until(() => red(ports.bot), 'the bot says it is not ready');
  botProxy.set('pass'); // for new connections; the old ones stay silent for ever
  await until(() => ready(ports.bot), 'the bot is ready again', 60_000);
  reportWithin('row 10: silent partition of the bot until all is well', performance.now() - began, 60_000);
  await stack.grid(await stack.imagine('after the partition'));
  expect(bot.process.exitCode).toBeNull();
});

it('row 10: a bot that is idle for longer than a silence may last keeps its connection', async () => {
  const redis = await connectRedis({ ...producerConnection(stack.redis.url), socketTimeout: 500 });
  const closed: unknown[] = [];
  redis.on('close', () => closed.push('closed'));
  await redis.ping();
  await new Promise((over) => setTimeout(over, 1_500)); // the idleness itself, not a wait for something
  expect(await redis.ping()).toBe('PONG');
  expect(closed).toEqual([]);
  redis.disconnect();
});

it('row 8: Redis away longer than the lock: perhaps painted twice, one message', async () => {
  const handle = await stack.imagine('long outage');
  const go = await holdEngine(worker, handle.id);
  await stack.redis.kill('SIGKILL');
  const lockAndMore = 14_000;
  await new Promise((over) => setTimeout(over, lockAndMore)); // the outage itself, not a wait for something
  go();
  await stack.redis.start();
  const back = performance.now();
  await stack.grid(handle);
  report('row 8: return of Redis after 14 s to the grid', performance.now() - back);
  expect(stack.gpuRuns(handle.id)).toBeLessThanOrEqual(2);
  expect(stack.messagesOf(handle)).toHaveLength(1);
  await stack.expectClean();
});
