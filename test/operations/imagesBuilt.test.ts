import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultStack, startFaultStack } from '../support/faults.ts';
import { watchLog } from '../support/secrets.ts';

/**
 * The images themselves, built from the Dockerfile and started: IMAGES=1 npx vitest run test/operations/imagesBuilt.
 * As root on Debian with buildah and debootstrap (apt-get install buildah debootstrap); the first run takes ten
 * minutes on two cores and 3 GB of disk, later ones start from the base that it keeps. `worker-gpu` is not built: its
 * base is NVIDIA's.
 */
const wanted = process.env['IMAGES'] === '1';
const has = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const able = process.getuid?.() === 0 && has('buildah') && has('debootstrap');
const why = !wanted ? 'IMAGES=1 builds them' : 'buildah, debootstrap and root are needed';
const work = process.env['IMAGES_WORK'] ?? join(tmpdir(), 'dreamgrid-images');

const buildah = (...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync('buildah', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`buildah ${args.join(' ')}: ${stderr.slice(-600)}`);
  return stdout.trim();
};

describe.skipIf(!wanted || !able)(`the images of the Dockerfile${wanted && able ? '' : ` (${why})`}`, () => {
  let stack: FaultStack;
  const containers: Record<string, string> = {};
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    const script = resolve(import.meta.dirname, 'buildImages.sh');
    const built = spawnSync(script, [work, 'bot', 'worker'], { encoding: 'utf8' });
    expect(built.status, built.stderr.slice(-3_000)).toBe(0);
    for (const name of ['bot', 'worker']) containers[name] = buildah('from', `dreamgrid-${name}`);
    stack = await startFaultStack();
    chmodSync(stack.models?.root as string, 0o755);
    chownSync(stack.dataDir, 1000, 1000);
  }, 3_600_000);
  afterAll(async () => {
    for (const child of running) if (child.pid) process.kill(-child.pid, 'SIGKILL');
    for (const container of Object.values(containers)) buildah('rm', container);
    await stack?.close();
  });

  const inside = (name: string, env: Record<string, string>): string[] => [
    'run',
    '--isolation=chroot',
    ...['-v', `${stack.dataDir}:/data`, '-v', `${stack.models?.root}:/app/models:ro`],
    ...Object.entries(env).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
    containers[name] as string,
    '--',
  ];
  const ready = (name: string, program: string): Promise<void> => {
    const env = { ...stack.env, DATA_DIR: '/data', MODELS_DIR: '/app/models', NODE_ENV: 'test' };
    const args = [...inside(name, env), 'node', '--enable-source-maps', program];
    const child = spawn('buildah', args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    running.push(child);
    const lines: string[] = [];
    watchLog(`image ${name}`, lines, env);
    return new Promise((found, reject) => {
      const look = (line: string): void => {
        lines.push(line);
        if (line.includes(`"msg":"${name} ready"`)) found();
      };
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', look);
      createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', look);
      child.once('exit', (code) =>
        reject(new Error(`${name} ended with ${code}: ${lines.slice(-8).join('\n')}`)),
      );
    });
  };

  it('run a supported Node, as user 1000, with the command line in the worker', () => {
    for (const name of ['bot', 'worker']) {
      const node = buildah(...inside(name, {}), 'node', '--version');
      expect(Number(/^v(\d+)/.exec(node)?.[1])).toBeGreaterThanOrEqual(22);
      expect(buildah(...inside(name, {}), 'id', '-u')).toBe('1000');
    }
    expect(buildah(...inside('worker', {}), 'node', 'worker/cli/bin.mjs', 'help')).toMatch(/^dreamgrid /);
    const plan = ['plan', '--users', '10', '--per-day', '5', '--seconds', '3', '--model', 'tiny'];
    expect(buildah(...inside('worker', {}), 'node', 'worker/cli/bin.mjs', ...plan)).toContain('Assumed:');
  });

  it('paint a grid', async () => {
    await Promise.all([ready('bot', 'dist/bot/main.js'), ready('worker', 'dist/worker/main.js')]);
    await stack.grid(await stack.imagine('out of an image'), 600_000);
  }, 900_000);
});
