import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type FaultStack, holdEngine, problemsOf, startFaultStack, until } from '../support/faults.ts';
import { isMessage, type TestProcess } from '../support/processes.ts';
import { type FaultProxy, startProxy } from '../support/proxy.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';
import { isGrid } from '../support/stack.ts';

/** Behind one name another server becomes the primary, and the connections to the old one stay open. */
let stack: FaultStack;
let second: TestRedis;
let relay: FaultProxy;
let port: number;
let bot: TestProcess;
let worker: TestProcess;

beforeAll(async () => {
  [stack, second] = await Promise.all([startFaultStack(), startRedis()]);
  port = await freePort();
  relay = await startProxy(stack.redis.port);
  const REDIS_URL = stack.redis.url.replace(String(stack.redis.port), String(relay.port));
  [bot, worker] = await Promise.all([
    stack.startBot({ REDIS_URL, HEALTH_PORT: String(port) }),
    stack.startWorker({ REDIS_URL }),
  ]);
  await second.client.replicaof('127.0.0.1', stack.redis.port);
  await vi.waitFor(
    async () => expect(await second.client.info('replication')).toContain('master_link_status:up'),
    { timeout: 60_000 },
  );
});
afterAll(async () => {
  await stack?.close();
  await relay?.close();
  await second?.close();
});

it('a picture in work is finished once, the next click is taken, and the log says why', async () => {
  const held = await stack.imagine('before the failover');
  const go = await holdEngine(worker, held.id);
  await second.client.replicaof('NO', 'ONE');
  await stack.redis.client.replicaof('127.0.0.1', second.port);
  relay.target = second.port;
  go();
  await stack.grid(held);
  expect(stack.gpuRuns(held.id)).toBe(1);
  expect(stack.messagesOf(held).map(isGrid)).toEqual([true]);

  const wrong = isMessage('Redis says that it is the wrong server; connecting again');
  for (const process of [bot, worker])
    expect(['READONLY', 'UNBLOCKED']).toContain((await process.logged(wrong)).answer);
  await until(async () => (await problemsOf(port))?.length === 0, 'the bot is ready');
  await stack.grid(await stack.imagine('after the failover'));
});
