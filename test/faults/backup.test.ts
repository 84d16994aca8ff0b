import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CANARY, type FaultStack, startFaultStack, until } from '../support/faults.ts';
import { freePort } from '../support/redis.ts';
import { isSingle } from '../support/stack.ts';

/** The commands of docs/operations.md, "Backup and restore", typed for real. */
const run = promisify(execFile);
let stack: FaultStack;
let folder: string;
let server: ChildProcess | undefined;
let restored: Redis | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-backup-'));
  stack = await startFaultStack();
  await Promise.all([stack.startBot(), stack.startWorker()]);
});
afterAll(async () => {
  await stack?.close();
  restored?.disconnect();
  server?.kill('SIGKILL');
  if (server) await once(server, 'exit').catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
});

it('backup and restore of Redis and the store: old buttons work on the restored system, nothing is painted anew', async () => {
  const grid = await stack.grid(await stack.imagine('kept'));

  const rdb = join(folder, 'dump.rdb');
  await run('redis-cli', ['-p', String(stack.redis.port), '--rdb', rdb], {
    env: { ...process.env, REDISCLI_AUTH: CANARY.redisPassword },
  });
  await cp(stack.dataDir, join(folder, 'pictures'), { recursive: true });

  for (const process of stack.processes) process.signal('SIGTERM');
  await Promise.all(stack.processes.map(({ ended }) => ended));
  await stack.redis.kill('SIGKILL');
  await rm(stack.dataDir, { recursive: true, force: true });

  const port = await freePort();
  const options = ['--appendonly', 'no', '--save', '', '--maxmemory-policy', 'noeviction'];
  const where = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
  server = spawn('redis-server', [...where, ...options, '--requirepass', CANARY.redisPassword], {
    stdio: 'ignore',
  });
  restored = new Redis({ port, password: CANARY.redisPassword, retryStrategy: () => 50 });
  restored.on('error', () => undefined);
  await until(async () => (await restored?.ping().catch(() => '')) === 'PONG', 'the restored Redis');
  await restored.config('SET', 'appendonly', 'yes');

  const env = {
    REDIS_URL: `redis://:${CANARY.redisPassword}@127.0.0.1:${port}`,
    DATA_DIR: join(folder, 'pictures'),
  };
  const [, worker] = await Promise.all([stack.startBot(env), stack.startWorker(env)]);
  expect(await restored.exists(`{dreamgrid}:recipe:${grid.interaction!.id}`)).toBe(1);
  await stack.shown(await stack.press(grid, 'U2'), isSingle);
  expect(worker.events.filter(({ msg }) => msg === 'painted')).toHaveLength(1); // the U alone
});
