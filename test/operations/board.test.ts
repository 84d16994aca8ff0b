import { randomBytes } from 'node:crypto';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openQueues, type Queues } from '../../shared/queue/queue.ts';
import { workerConnection } from '../../shared/queue/redis.ts';
import { type Board, openBoard } from '../../worker/cli/boardServer.ts';
import { chromiumPath, launch } from '../playground/browser.ts';
import { startProcess } from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { speak } from '../support/speak.ts';

/** bull-board behind its signed link, on a real queue. */
let redis: TestRedis;
let queues: Queues;
let board: Board;
let now = Date.now();
const secret = randomBytes(32).toString('base64url');
const expiresAt = now + 3_600_000;

beforeAll(async () => {
  redis = await startRedis();
  queues = openQueues(workerConnection(redis.url));
  await queues.ask.add('ask', { prompt: 'a fox on the board' } as never, { jobId: 'a-1190000000000000001' });
  board = await openBoard({ queues, port: 0, host: '127.0.0.1', secret, expiresAt, now: () => now });
});
afterAll(async () => {
  await board?.close();
  await queues?.close();
  await redis?.close();
});

const base = (): string => new URL(board.link).origin;
const key = (): string => new URL(board.link).searchParams.get('key') as string;
const withCookie = (value: string) => ({ headers: { cookie: `dreamgrid_board=${value}` } });

it('lets nobody in without the link, with a changed one, or with one of another secret', async () => {
  const other = await openBoard({ queues, port: 0, host: '127.0.0.1', secret: `${secret}x`, expiresAt });
  const foreign = new URL(other.link).searchParams.get('key') as string;
  await other.close();
  for (const path of [
    '/',
    '/api/queues',
    '/api/redis/stats',
    '/queue/ask',
    '/static/favicon.ico',
    '/nothing',
  ])
    for (const wrong of ['', 'x', `${key().slice(0, -1)}${key().endsWith('A') ? 'B' : 'A'}`, foreign]) {
      const answer = await fetch(`${base()}${path}`, withCookie(wrong));
      expect([path, wrong, answer.status]).toEqual([path, wrong, 401]);
      expect(await answer.text()).toBe('Not without the link.\n');
    }
});

it.each(['//', 'http://[', '/\\\\', '/%'])('outlives a request for %j', async (path) => {
  const answers = (cookie: string) =>
    speak(
      base(),
      `GET ${path} HTTP/1.1\r\nhost: x\r\ncookie: dreamgrid_board=${cookie}\r\nconnection: close\r\n\r\n`,
    );
  for (const cookie of ['', key()]) expect(await answers(cookie)).toMatch(/^HTTP\/1.1 4\d\d /);
  expect((await fetch(`${base()}/api/queues`, withCookie(key()))).status).toBe(200);
});

it('takes the link once and keeps it as a cookie that scripts do not see, out of the address', async () => {
  const answer = await fetch(board.link, { redirect: 'manual' });
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/');
  expect(answer.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Lax; Path=\/; Max-Age=35\d\d|3600/);
  const list = await fetch(`${base()}/api/queues`, withCookie(key()));
  const { queues: found } = (await list.json()) as { queues: { name: string; readOnlyMode: boolean }[] };
  expect(found.map(({ name }) => name).sort()).toEqual(['ask', 'deliver', 'render']);
  expect(found.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
});

it('only shows: nothing can be changed, and no other file is served', async () => {
  for (const [method, path] of [
    ['PUT', '/api/queues/ask/pause'],
    ['PUT', '/api/queues/ask/a-1190000000000000001/clean'],
    ['POST', '/api/queues/ask/add'],
    ['PATCH', '/api/queues/ask/a-1190000000000000001/update-data'],
    ['DELETE', '/'],
  ] as const)
    expect((await fetch(`${base()}${path}`, { method, ...withCookie(key()) })).status).toBe(405);
  expect((await fetch(`${base()}/api/queues/ask/pause`, withCookie(key()))).status).not.toBe(200);
  for (const path of ['/static/../index.ejs', '/static/%2e%2e/%2e%2e/package.json', '/api/nothing'])
    expect((await fetch(`${base()}${path}`, withCookie(key()))).status).toBe(404);
  expect(await queues.ask.isPaused()).toBe(false);
  expect(await queues.ask.getJob('a-1190000000000000001')).toBeDefined();
});

it.skipIf(!chromiumPath)('shows the queues and a job in a browser, and asks no other host', async () => {
  let browser: Browser | undefined;
  try {
    browser = await launch();
    const page = await browser.newPage();
    const answered = new Set<string>();
    page.on('response', (response) => answered.add(new URL(response.url()).origin));
    await page.goto(board.link);
    await page.getByText('deliver', { exact: false }).first().waitFor({ timeout: 60_000 });
    expect(page.url()).not.toContain('key=');
    await page.goto(`${base()}/queue/ask/a-1190000000000000001`);
    await page.getByText('a fox on the board').first().waitFor({ timeout: 60_000 });
    if (process.env['BOARD_SHOT']) await page.screenshot({ path: process.env['BOARD_SHOT'] });
    expect([...answered]).toEqual([base()]);
  } finally {
    await browser?.close();
  }
});

it('lets nobody in any more when the link has expired', async () => {
  now = expiresAt + 1_000;
  for (const path of ['/', '/api/queues', `/?key=${key()}`])
    expect((await fetch(`${base()}${path}`, withCookie(key()))).status).toBe(401);
});

it('dreamgrid board prints the link, opens on this machine alone, and ends when told', async () => {
  const cli = startProcess('test/operations/runBoard.ts', { REDIS_URL: redis.url });
  const line = await expect
    .poll(() => cli.lines.find((one) => one.includes('/?key=')), { timeout: 90_000 })
    .toBeDefined()
    .then(() => cli.lines.find((one) => one.includes('/?key=')) as string);
  const link = /http:\S+/.exec(line)?.[0] as string;
  expect(new URL(link).hostname).toBe('127.0.0.1');
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(303);
  cli.signal('SIGTERM');
  expect(await cli.ended).toBe(0);
});
