import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { openBucketStore } from '../../shared/picture/s3Store.ts';
import { openFolderStore, pictureKeys } from '../../shared/picture/store.ts';
import { ENGLISH, type FaultStack, startFaultStack } from '../support/faults.ts';
import { startS3rver, type TestS3 } from '../support/s3.ts';
import { isSingle } from '../support/stack.ts';

/**
 * The commands of docs/operations.md, "From one machine with a folder to three with a bucket", typed as they stand
 * there. There is no engine for containers here: `docker` is moveDocker.sh, which runs the same programs.
 */
const root = resolve(import.meta.dirname, '../..');
const HEADLINE = 'From one machine with a folder to three with a bucket';
const run = promisify(execFile);
let stack: FaultStack;
let s3: TestS3;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-move-'));
  await mkdir(join(folder, 'bin'));
  await copyFile(join(import.meta.dirname, 'moveDocker.sh'), join(folder, 'bin/docker'));
  await chmod(join(folder, 'bin/docker'), 0o755);
  [stack, s3] = await Promise.all([startFaultStack(), startS3rver()]);
});
afterAll(async () => {
  await stack?.close();
  await s3?.close();
  await rm(folder, { recursive: true, force: true });
});

async function commands(): Promise<string[]> {
  const page = await readFile(join(root, 'docs/operations.md'), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${HEADLINE}\n`)) ?? '';
  return [...section.matchAll(/^ *```sh\n([\s\S]*?)```/gm)].map(([, block]) => block as string);
}

async function type(block: string): Promise<string> {
  const { stdout } = await run('bash', ['-eu', '-c', block], {
    cwd: folder,
    timeout: 600_000,
    env: {
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      HOME: folder,
      ROOT: root,
      PICTURES: stack.dataDir,
      RUNNING: stack.processes.map(({ process: { pid } }) => pid).join(' '),
      NODE_NO_WARNINGS: '1',
    },
  });
  return stdout;
}

it('an installation moves from its folder to a bucket and three workers, as the runbook types it (docker is a stand-in): old buttons work, what was erased stays erased', async () => {
  const [copy, change, further, ...others] = await commands();
  expect(others).toEqual([]);
  await Promise.all([stack.startBot(), stack.startWorker()]);
  const handle = await stack.imagine('before the move');
  const grid = await stack.grid(handle);
  const gone = await stack.imagine('erased between two copies', 'stranger');
  await stack.grid(gone);
  const { STORE, ...bucketLines } = s3.env;
  const settings = {
    ...bucketLines,
    DISCORD_TOKEN: stack.playground.token,
    DISCORD_API: `${stack.playground.url}/api`,
    REDIS_URL: stack.redis.url,
    MODELS_DIR: stack.env['MODELS_DIR'],
    DEFAULT_MODEL: 'tiny',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  await writeFile(join(folder, '.env'), [`# STORE=${STORE}`, ...lines, ''].join('\n'));

  // 1. while it runs
  expect(await type(copy as string)).toMatch(/^\d\d files copied and read back/);
  const bucket = await openBucketStore({ ...s3, region: 'us-east-1', prefix: 'dreamgrid' });
  expect(await bucket.has(pictureKeys.result(gone.id))).toBe(true);
  await (await openFolderStore(stack.dataDir)).remove(gone.id);

  // 2. the change
  expect(await type(change as string)).toMatch(/^0 files copied .* \d+ removed that the source has not/);
  for (const { process: child } of stack.processes) expect(child.exitCode).toBe(0);
  expect(await bucket.has(pictureKeys.result(gone.id))).toBe(false);
  const env = parseEnv(await readFile(join(folder, '.env'), 'utf8')) as Record<string, string>;
  expect(env['STORE']).toBe(STORE);

  // 3. three machines, none of which has the folder
  const on = (name: string) => ({ ...env, DATA_DIR: join(folder, name) });
  await Promise.all([
    stack.start('bot/main.ts', 'bot ready', on('first')),
    ...['first', 'second', 'third'].map((name) => stack.start('worker/main.ts', 'worker ready', on(name))),
  ]);
  const checked = await type(further as string);
  expect(checked).toMatch(/^ok +store +s3:\/\/pictures\/dreamgrid can be written$/m);
  expect(checked).toMatch(/^ok +redis +3 worker\(s\) at work$/m);

  // 4. buttons of before
  await stack.shown(await stack.press(grid, 'U3'), isSingle);
  await stack.grid(await stack.press(grid, 'V1'));
  expect(stack.gpuRuns(handle.id)).toBe(1); // the parent came out of the bucket
  const { playground } = stack;
  const { member } = playground.users;
  const question = (await playground.run(member, 'mydata erase', {}, ENGLISH)).message?.id as string;
  await playground.click(member, question, 'Erase everything', ENGLISH);
  await playground.waitFor(() => playground.message(question)?.content.startsWith('Erased'), 60_000);
  for await (const { key } of bucket.list()) expect(key).toMatch(/^check\//);
  await stack.expectClean();
  if (process.env['SHOW_TYPED']) console.log(await readFile(join(folder, 'typed.txt'), 'utf8'));
}, 900_000);

it('what the further machines start is what the first one starts, without Redis and bot', async () => {
  const read = async (path: string) =>
    parse(await readFile(join(root, path), 'utf8'), { merge: true }) as {
      name: string;
      services: Record<string, Record<string, unknown>>;
    };
  const [first, further] = [await read('docker-compose.yml'), await read('docs/ops/worker-machine.yml')];
  expect(further.name).toBe(first.name);
  expect(Object.keys(further.services)).toEqual(['worker', 'worker-gpu']);
  for (const [name, service] of Object.entries(further.services)) {
    const { depends_on: _, volumes: __, environment: ___, ...same } = first.services[name] ?? {};
    const { environment, ...own } = service;
    expect(own).toEqual(same);
    expect(JSON.stringify(environment)).toContain('REDIS_URL');
  }
});
