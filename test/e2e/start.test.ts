import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const homes: string[] = [];
afterAll(() => Promise.all(homes.map((home) => rm(home, { recursive: true, force: true }))));

/** `npm start` itself, with a home of its own. */
function start(home: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(root, 'start.mjs')], {
    cwd: root,
    env: {
      ...process.env,
      DISCORD_TOKEN: '',
      REDIS_URL: '',
      DREAMGRID_HOME: home,
      PLAYGROUND_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const said = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((found, reject) => {
      const look = (line: string): void => {
        lines.push(line);
        const match = pattern.exec(line);
        if (match) found(match);
      };
      createInterface({ input: child.stdout }).on('line', look);
      createInterface({ input: child.stderr }).on('line', look);
      void ended.then((code) =>
        reject(new Error(`npm start ended with ${code}:\n${lines.slice(-20).join('\n')}`)),
      );
    });
  return { child, lines, ended, said };
}

const newHome = async (): Promise<string> => {
  const home = await mkdtemp(join(tmpdir(), 'dreamgrid-home-'));
  homes.push(home);
  return home;
};

it('npm start names one address, serves the page there, and stops cleanly on SIGTERM; twice', async () => {
  const home = await newHome();
  for (const _ of [1, 2]) {
    const run = start(home);
    const [, url] = await run.said(/Dreamgrid is ready .*(http:\/\/127\.0\.0\.1:\d+)/);
    const page = await fetch(url as string);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/text\/html/);
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(run.lines.at(-1)).toMatch(/^Stopped/);
  }
});

it.each([
  ['a wrong setting', { THREADS: 'many' }, /THREADS.*expected/],
  ['a missing model', { DEFAULT_MODEL: 'nowhere' }, /nowhere/],
  [
    'a Redis that is not there',
    { REDIS_URL: 'redis://127.0.0.1:1' },
    /Redis does not answer at 127\.0\.0\.1:1/,
  ],
])('npm start says in one line what is wrong with %s and exits with 1', async (_, env, says) => {
  const run = start(await newHome(), env);
  await run.said(says as RegExp);
  expect(await run.ended).toBe(1);
});
