import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { CANARY, countOpen, type FaultStack, startFaultStack, until } from '../support/faults.ts';
import { isSingle } from '../support/stack.ts';

/**
 * The commands of docs/operations.md, "Backup and restore", typed as they stand there. There is no engine for
 * containers here: `docker` is docker.sh, which runs the same programs on this machine.
 */
const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
let stack: FaultStack;
let folder: string;
/** Folders in place of the volumes. */
let volume: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-backup-'));
  volume = join(folder, 'redis');
  await mkdir(join(folder, 'bin'));
  await copyFile(join(import.meta.dirname, 'docker.sh'), join(folder, 'bin/docker'));
  await chmod(join(folder, 'bin/docker'), 0o755);
  stack = await startFaultStack();
});
afterAll(async () => {
  await stack?.close();
  const pid = Number(await readFile(`${volume}.pid`, 'utf8').catch(() => ''));
  if (pid > 0) await run('kill', ['-9', String(pid)]).catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
});

/** The blocks of shell commands under a headline of the runbook. */
async function commands(headline: string): Promise<string[]> {
  const page = await readFile(join(root, 'docs/operations.md'), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${headline}\n`)) ?? '';
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block as string);
}

async function type(block: string): Promise<void> {
  const compose = parse(await readFile(join(root, 'docker-compose.yml'), 'utf8'), { merge: true });
  const { port, client } = stack.redis;
  const redisPid = /process_id:(\d+)/.exec(await client.info('server'))?.[1];
  await run('bash', ['-eu', '-c', block], {
    cwd: folder,
    timeout: 120_000,
    env: {
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      REDIS_PORT: String(port),
      REDISCLI_AUTH: CANARY.redisPassword,
      REDIS_VOLUME: volume,
      PICTURES: stack.dataDir,
      COMPOSE_REDIS: String(compose.services.redis.command).replace(/\$\{.+\}/, CANARY.redisPassword),
      RUNNING: [...stack.processes.map(({ process: { pid } }) => pid), redisPid].join(' '),
    },
  });
}

it('backup and restore as the runbook types them (docker itself is a stand-in): the job that waited is painted, old buttons work, nothing is painted anew', async () => {
  const [backup, restore, ...others] = await commands('Backup and restore');
  expect(others).toEqual([]);
  const [, worker] = await Promise.all([stack.startBot(), stack.startWorker()]);
  const grid = await stack.grid(await stack.imagine('kept'));
  worker.signal('SIGTERM');
  await worker.ended;
  const waiting = await stack.imagine('waiting when the backup was made');

  await type(backup as string);
  expect((await stat(join(folder, 'pictures.tar'))).size).toBeGreaterThan(10_000);
  const all = await readdir(stack.dataDir);
  const pictures = all.filter((name) => name !== '.tmp').sort();
  expect(pictures).not.toEqual([]);
  for (const name of all) await rm(join(stack.dataDir, name), { recursive: true });

  await type(restore as string);
  const { client } = stack.redis;
  await until(async () => (await client.ping().catch(() => '')) === 'PONG', 'the restored Redis');
  expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
  expect(await client.exists(`{dreamgrid}:recipe:${grid.interaction!.id}`)).toBe(1);
  expect(await countOpen(stack.queues)).toBe(2); // to paint, and to post
  expect((await readdir(stack.dataDir)).sort()).toEqual(pictures);

  const [, next] = await Promise.all([stack.startBot(), stack.startWorker()]);
  await stack.grid(waiting);
  await stack.shown(await stack.press(grid, 'U2'), isSingle);
  // The one that waited, and the U out of the stored grid.
  expect(next.events.filter(({ msg }) => msg === 'painted')).toHaveLength(2);
  await stack.expectClean();
});
