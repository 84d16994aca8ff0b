import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { CANARY } from './secrets.ts';

/** A real redis-server of the test's own: free port, own folder, AOF, password. */
export interface TestRedis {
  url: string;
  port: number;
  password: string;
  /** A client for looking at keys; closed with the server. */
  client: Redis;
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and folder. */
  start(): Promise<void>;
  /** As after a SIGKILL where the disk was behind: what was written since `mark` is not there when it starts. */
  forgetSince(mark: string): Promise<void>;
  /** The state of now, for `forgetSince`; asked of a server that runs. */
  mark(): Promise<string>;
  close(): Promise<void>;
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });

export interface RedisOptions {
  /** Valkey speaks the same. */
  program?: 'redis-server' | 'valkey-server';
  /** Further lines of its configuration. */
  config?: readonly string[];
}

export async function startRedis({
  program = 'redis-server',
  config: more = [],
}: RedisOptions = {}): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'dreamgrid-redis-'));
  const port = await freePort();
  const password = CANARY.redisPassword;
  const config = join(dir, 'redis.conf');
  await writeFile(
    config,
    `bind 127.0.0.1\nport ${port}\ndir ${dir}\nappendonly yes\nappendfsync everysec\nsave ""\nmaxmemory 512mb\nmaxmemory-policy noeviction\nrequirepass ${password}\nmasterauth ${password}\nrepl-diskless-sync-delay 0\n${more.join('\n')}\n`,
  );
  let server: ChildProcess | undefined;
  const client = new Redis({
    host: '127.0.0.1',
    port,
    password,
    lazyConnect: true,
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
  });
  client.on('error', () => undefined);

  const start = async (): Promise<void> => {
    server = spawn(program, [config], { stdio: 'ignore' });
    await client.connect().catch(() => undefined); // retried every 50 ms until the server listens
    while ((await client.ping().catch(() => '')) !== 'PONG')
      await new Promise((wait) => setTimeout(wait, 20));
  };
  const kill = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    const dying = server;
    server = undefined;
    if (!dying || dying.exitCode !== null) return;
    const gone = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill(signal);
    await gone;
  };
  await start();
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    port,
    password,
    client,
    kill,
    start,
    mark: async () => {
      const copy = await mkdtemp(join(tmpdir(), 'dreamgrid-redis-mark-'));
      await cp(join(dir, 'appendonlydir'), copy, { recursive: true });
      return copy;
    },
    forgetSince: async (mark) => {
      await kill('SIGKILL');
      await rm(join(dir, 'appendonlydir'), { recursive: true });
      await cp(mark, join(dir, 'appendonlydir'), { recursive: true });
      await rm(mark, { recursive: true });
    },
    close: async () => {
      client.disconnect();
      await kill('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}
