import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { startPlayground } from '../../playground/index.ts';
import { npmStart } from '../support/npmStart.ts';

const homes: string[] = [];
afterAll(() => Promise.all(homes.map((home) => rm(home, { recursive: true, force: true }))));

const newHome = async (): Promise<string> => {
  const home = await mkdtemp(join(tmpdir(), 'dreamgrid-home-'));
  homes.push(home);
  return home;
};

it('npm start names one address, serves the page there, and stops cleanly on SIGTERM; twice', async () => {
  const home = await newHome();
  for (const time of [1, 2]) {
    // What a launcher leaves that was killed while it wrote.
    if (time === 2) await writeFile(join(home, 'pids.json'), '{"launcher":1');
    const run = npmStart(home);
    const page = await fetch(await run.ready);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/text\/html/);
    expect(await run.stop()).toBe(0);
    expect(run.lines.at(-1)).toMatch(/^Stopped/);
  }
});

it('npm start refuses to fight another one in its folder, and clears away what a killed one left', async () => {
  const home = await newHome();
  const first = npmStart(home);
  const address = await first.ready;
  const second = npmStart(home);
  await second.said(/runs here already/);
  expect(await second.ended).toBe(1);
  expect((await fetch(address)).status).toBe(200);

  const { launcher, children } = JSON.parse(await readFile(join(home, 'pids.json'), 'utf8'));
  process.kill(launcher, 'SIGKILL');
  await first.ended;
  const third = npmStart(home);
  expect((await fetch(await third.ready)).status).toBe(200);
  // Redis by its title; none may still serve the folder beside the new one. A process that ended has no command line.
  const left = await Promise.all(
    children.map(({ pid }: { pid: number }) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  expect(left.join('')).toBe('');
  expect(await third.stop()).toBe(0);
});

it('npm start outlives a bot that dies while Discord is away, for as long as that takes', async () => {
  const home = await newHome();
  let discord = await startPlayground();
  const port = Number(new URL(discord.url).port);
  const run = npmStart(home, {
    DISCORD_TOKEN: discord.token,
    DISCORD_API: discord.api,
    DISCORD_CDN: discord.url,
  });
  await run.said(/Dreamgrid is ready/);
  const { children } = JSON.parse(await readFile(join(home, 'pids.json'), 'utf8'));
  const bot = children.find(({ name }: { name: string }) => name === 'bot').pid as number;
  await discord.close();
  process.kill(bot, 'SIGKILL');
  await run.said(/bot +ended \(SIGKILL\); starting again/);
  // Four in a row are what a start gives up at.
  for (let i = 0; i < 4; i++) await run.said(/bot +ended \(exit 1\); starting again/);
  discord = await startPlayground({ port });
  await run.said(/bot ready/);
  expect(await run.stop()).toBe(0);
  await discord.close();
});

it('npm start beyond this machine: the page by its printed address alone, and no bot by the usual token', async () => {
  const run = npmStart(await newHome(), { PLAYGROUND_HOST: '0.0.0.0' });
  const [, page] = await run.said(/Dreamgrid is ready .*Open (\S+) and type/);
  const { origin } = new URL(page as string);
  expect((await fetch(page as string)).status).toBe(200);
  expect((await fetch(origin)).status).toBe(403);
  const headers = { authorization: 'Bot playground' };
  expect((await fetch(`${origin}/api/v10/users/@me`, { headers })).status).toBe(401);
  expect(await run.stop()).toBe(0);
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
  const run = npmStart(await newHome(), env);
  await run.said(says as RegExp);
  expect(await run.ended).toBe(1);
});
