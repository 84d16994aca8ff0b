import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { spread } from './figures.ts';

const root = resolve(import.meta.dirname, '../..');

/** Seconds from `npm start` (installed) to the line with the address. */
export async function benchStart(): Promise<void> {
  const seconds: number[] = [];
  for (let i = 0; i < 3; i++) {
    const home = await mkdtemp(join(tmpdir(), 'dreamgrid-bench-'));
    const began = performance.now();
    const child = spawn(process.execPath, [join(root, 'start.mjs')], {
      cwd: root,
      env: { ...process.env, DISCORD_TOKEN: '', REDIS_URL: '', DREAMGRID_HOME: home, PLAYGROUND_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith('Dreamgrid is ready')) continue;
      seconds.push((performance.now() - began) / 1000);
      child.kill('SIGTERM');
    }
    if (child.exitCode === null) await once(child, 'exit');
    await rm(home, { recursive: true, force: true });
  }
  console.log('| npm start to ready | min | median | max |\n|---|---|---|---|');
  console.log(`| seconds | ${spread(seconds)} |`);
}
