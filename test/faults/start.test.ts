import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkRedis, connectRedis, workerConnection } from '../../shared/queue/redis.ts';
import { until } from '../support/faults.ts';
import { isMessage, startProcess } from '../support/processes.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';
import { type ModelsFolder, makeModels } from '../support/tinyModel.ts';

/** What a process refuses to start with, in one line that names the culprit; and what it clears away. */
let folder: string;
let redis: TestRedis;
let models: ModelsFolder;
let unsafe: ChildProcess;
let unsafeUrl: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-start-'));
  const port = await freePort();
  unsafeUrl = `redis://127.0.0.1:${port}`;
  const lax = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru'];
  unsafe = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, ...lax], {
    stdio: 'ignore',
  });
  [redis, models] = await Promise.all([startRedis(), makeModels(['tiny', 'broken'])]);
  const listens = () =>
    new Promise<boolean>((tried) => {
      const socket = connect(port, '127.0.0.1', () => tried(true)).on('error', () => tried(false));
      socket.unref();
    });
  await until(listens, 'Redis without a password');
});
afterAll(async () => {
  unsafe?.kill('SIGKILL');
  if (unsafe) await once(unsafe, 'exit').catch(() => undefined);
  await redis?.close();
  await models?.remove();
  await rm(folder, { recursive: true, force: true });
});

const env = (extra: Record<string, string>): Record<string, string> => ({
  REDIS_URL: redis.url,
  DISCORD_TOKEN: 'playground',
  DISCORD_API: 'http://127.0.0.1:1/api',
  DATA_DIR: join(folder, 'data'),
  MODELS_DIR: models.root,
  DEFAULT_MODEL: 'tiny',
  THREADS: '1',
  ...extra,
});

/** @returns the one line it said before it ended with 1 */
async function refusal(file: string, extra: Record<string, string>): Promise<string> {
  const child = startProcess(file, env(extra));
  expect(await child.ended, child.lines.join('\n')).toBe(1);
  const lines = child.lines.filter((line) => !line.startsWith('{'));
  expect(lines).toHaveLength(1);
  return lines[0] as string;
}

it.each(['bot/main.ts', 'worker/main.ts'])(
  'row 12: Redis without password, with eviction, in production: %s refuses to start',
  async (file) => {
    const line = await refusal(file, { REDIS_URL: unsafeUrl, NODE_ENV: 'production' });
    expect(line).toMatch(/not safe for production.*noeviction.*maxmemory.*appendonly.*requirepass/);
    expect(line).toContain('maxmemory-policy: expected noeviction, got allkeys-lru');
  },
);

/** A Redis with all that production wants, but for the given words of its command line. */
async function checkOf(...words: string[]): Promise<string[]> {
  const port = await freePort();
  const where = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(port),
    '--dir',
    folder,
    '--appenddirname',
    `aof${port}`,
  ];
  const safe = ['--save', '', '--appendonly', 'yes', '--maxmemory', '64mb', '--requirepass', 'secret'];
  const server = spawn('redis-server', [...where, ...safe, ...words], { stdio: 'ignore' });
  const connection = workerConnection(`redis://:secret@127.0.0.1:${port}`);
  try {
    let open: Awaited<ReturnType<typeof connectRedis>> | undefined;
    await until(
      async () => {
        open = await connectRedis(connection).catch(() => undefined);
        return open !== undefined;
      },
      'a Redis',
      60_000,
    );
    const client = open as NonNullable<typeof open>;
    try {
      const how = { production: true, unsafe: false };
      const refused = await checkRedis(client, how).then(
        () => '',
        (error: Error) => error.message,
      );
      const missing = await checkRedis(client, { production: false, unsafe: false });
      for (const one of missing) expect(refused).toContain(one);
      if (missing.length === 0) expect(refused).toBe('');
      expect(await checkRedis(client, { production: true, unsafe: true })).toEqual(missing);
      return missing;
    } finally {
      client.disconnect();
    }
  } finally {
    server.kill('SIGKILL');
    await once(server, 'exit');
  }
}

const all = ['--user', 'default', 'on', '>secret', '~*', '&*', '+@all'];
const noConfig = [...all, '-config'];
const noInfo = [...all, '-config', '-info'];
it.each([
  ['as it should be', [], []],
  ['always', ['--appendfsync', 'always'], []],
  ['without a limit', ['--maxmemory', '0'], [/^maxmemory: expected a limit.*, got 0$/]],
  [
    'that may lose half a minute',
    ['--appendfsync', 'no'],
    [/^appendfsync: expected everysec or always, got no$/],
  ],
  ['with a password that it does not ask for', ['--requirepass', ''], [/^requirepass: .*, got none$/]],
  ['that refuses CONFIG', noConfig, [/^appendfsync: .*, got no answer to INFO or CONFIG$/]],
  [
    'that refuses CONFIG and evicts',
    [...noConfig, '--maxmemory-policy', 'allkeys-lru'],
    [/^maxmemory-policy: expected noeviction, got allkeys-lru$/, /^appendfsync: /],
  ],
  [
    'that tells nothing',
    noInfo,
    [
      /^maxmemory-policy: .*no answer/,
      /^maxmemory: .*no answer/,
      /^appendonly: .*no answer/,
      /^appendfsync: /,
    ],
  ],
])(
  'row 12: a Redis %s, in production: what is missing is named, with what came instead',
  async (_, words, says) => {
    const missing = await checkOf(...words);
    expect(missing).toHaveLength(says.length);
    for (const [i, pattern] of says.entries()) expect(missing[i]).toMatch(pattern);
  },
);

it('row 29: a corrupt model file, missing weights, a link and a path out of the folder: refused, naming the file', async () => {
  const dir = join(models.root, 'broken');
  const weights = join(dir, 'unet', 'model.onnx');
  const manifest = join(dir, 'manifest.json');
  const [good, listed] = await Promise.all([readFile(weights), readFile(manifest, 'utf8')]);

  const bad = Buffer.from(good);
  bad[bad.length >> 1] = (bad[bad.length >> 1] as number) ^ 0xff;
  await writeFile(weights, bad);
  expect(await refusal('worker/main.ts', {})).toContain(`${weights} is damaged`);

  await rm(weights);
  expect(await refusal('worker/main.ts', {})).toContain(`${weights} is missing`);

  const outside = join(folder, 'outside.onnx');
  await writeFile(outside, good);
  await symlink(outside, weights);
  expect(await refusal('worker/main.ts', {})).toContain(`${weights} leads out of the model's folder`);
  await rm(weights);
  await writeFile(weights, good);

  await writeFile(manifest, listed.replace('unet/model.onnx', '../outside.onnx'));
  expect(await refusal('worker/main.ts', {})).toContain(manifest);
  await writeFile(manifest, listed);

  expect(await refusal('worker/main.ts', { DEFAULT_MODEL: '../tiny' })).toContain('DEFAULT_MODEL');
});

it('row 30: temporary files that a killed writer left are removed at start', async () => {
  const left = join(folder, 'data', '.tmp', 'half.tmp');
  await mkdir(dirname(left), { recursive: true });
  await writeFile(left, 'half');
  const twoHoursAgo = Date.now() / 1000 - 7200;
  await utimes(left, twoHoursAgo, twoHoursAgo);
  const worker = startProcess('worker/main.ts', env({}));
  await worker.logged(isMessage('worker ready'));
  await expect(readFile(left)).rejects.toThrow('ENOENT');
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
});
