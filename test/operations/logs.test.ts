import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CANARY, expectNoLeak, type FaultStack, startFaultStack, until } from '../support/faults.ts';
import { npmStart } from '../support/npmStart.ts';
import { engineOf, startProcess, type TestProcess } from '../support/processes.ts';

/** What is written down: one id from click to grid, and no secret anywhere, also when things break. */
const HF_TOKEN = 'hf_canaryOfTheModelHub';
const root = resolve(import.meta.dirname, '../..');
const SECRETS = [CANARY.botToken, CANARY.redisPassword, HF_TOKEN];
/** Nine processes are started here, one after the other and at once. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });
let stack: FaultStack;
let bot: TestProcess;
let worker: TestProcess;

beforeAll(async () => {
  stack = await startFaultStack({ env: { HF_TOKEN } });
  [bot, worker] = await Promise.all([stack.startBot(), stack.startWorker()]);
});
afterAll(() => stack?.close());

const linesWith = (process: TestProcess, id: string) =>
  process.events.filter((event) => Object.values(event).includes(id)).map(({ msg }) => msg);

it('one id leads from the click to the grid, through bot and worker', async () => {
  const asked = await stack.imagine('followed');
  const grid = await stack.grid(asked);
  await worker.logged(({ msg, jobId }) => msg === 'delivered' && jobId === asked.id);
  expect(linesWith(bot, asked.id)).toEqual(['queued']);
  expect(linesWith(worker, asked.id)).toEqual(['painting', 'painted', 'delivered']);
  expect(grid.attachments[0]?.filename).toContain(asked.id);
  for (const { customId } of grid.buttons) expect(customId).toContain(asked.id);
  for (const event of [...bot.events, ...worker.events])
    expect(Object.keys(event)).toEqual(expect.arrayContaining(['level', 'time', 'name', 'pid', 'msg']));
});

it('a failure of ours shows a number that is in the log, beside the id of the interaction', async () => {
  await stack.redis.client.set('{dreamgrid}:fix:1190000000000000010:1190000000000000011', 'not JSON');
  const grid = await stack.grid(await stack.imagine('broken on purpose'));
  const forged = await stack.playground.click(
    stack.playground.users.member,
    grid.id,
    'v1|fix|0|1190000000000000011',
    { locale: 'en-US', forge: true },
  );
  const failed = await bot.logged(
    ({ msg, interactionId }) => msg === 'interaction failed' && interactionId === forged.id,
  );
  const told = await stack.playground.waitFor(() => forged.followups[0] ?? forged.message, 60_000);
  expect(JSON.stringify(told?.embeds)).toContain(String(failed['errorId']));
});

it('at debug, while Discord and Redis fail, no secret and no token of an interaction is written', async () => {
  const loud = { LOG_LEVEL: 'debug' };
  for (const process of [bot, worker]) process.signal('SIGTERM');
  await Promise.all([bot.ended, worker.ended]);
  const [loudBot, loudWorker] = await Promise.all([stack.startBot(loud), stack.startWorker(loud)]);

  stack.playground.trouble.add({ kind: '500', match: /^PATCH \/webhooks/, times: 2 });
  stack.playground.trouble.add({ kind: 'lost-answer', match: /callback/, times: 1 });
  await stack.shown(await stack.imagine('through trouble'), ({ attachments }) => attachments.length === 1);
  stack.playground.trouble.clear();
  await stack.imagine('refused --ar 0:0');

  await stack.redis.kill('SIGKILL');
  const refused = await stack.imagine('without Redis');
  expect(refused.message?.ephemeral).toBe(true);
  await stack.redis.start();
  await until(async () => {
    const again = await stack.imagine('with Redis again');
    return again.message?.ephemeral === false;
  }, 'Redis again');

  const text = [loudBot, loudWorker].flatMap(({ lines }) => lines).join('\n');
  expect(text).toContain('"level":"debug"');
  for (const secret of SECRETS) expect(text).not.toContain(secret);
  const tokens = stack.playground.requests.flatMap(
    ({ path }) => /\/(?:webhooks|interactions)\/\d+\/([^/?]{20,})/.exec(path)?.[1] ?? [],
  );
  expect(tokens.length).toBeGreaterThan(5);
  for (const token of new Set(tokens)) expect(text.includes(token), 'an interaction token').toBe(false);
});

it('the engine, which runs a stranger’s model, is given no secret', async () => {
  const running = stack.processes.at(-1) as TestProcess;
  const environment = await readFile(`/proc/${await engineOf(running)}/environ`, 'utf8');
  expect(environment).toContain('DATA_DIR=');
  for (const secret of SECRETS) expect(environment).not.toContain(secret);
});

it('who refuses to start shows no secret', async () => {
  const canary = CANARY.redisPassword;
  const refusals: [file: string, env: Record<string, string>][] = [
    ['bot/main.ts', { DISCORD_TOKEN: `${CANARY.botToken}x` }],
    ['bot/main.ts', { DISCORD_API: `http://user:${canary}@127.0.0.1:1/api` }],
    ['bot/main.ts', { REDIS_URL: `redis://:${canary}@127.0.0.1:1` }],
    ['worker/main.ts', { REDIS_URL: `redis://:${canary}@127.0.0.1:1` }],
    ['worker/main.ts', { REDIS_URL: `https://:${canary}@127.0.0.1:1` }],
  ];
  await Promise.all(
    refusals.map(async ([file, env]) => {
      const child = startProcess(file, { ...stack.env, HF_TOKEN, ...env });
      expect(await child.ended).toBe(1);
      for (const secret of SECRETS) expect(child.lines.join('\n')).not.toContain(secret);
    }),
  );
});

it('neither the launcher nor the doctor shows one', async () => {
  const home = await mkdtemp(join(tmpdir(), 'dreamgrid-logs-'));
  try {
    const env = { ...stack.env, HF_TOKEN, LOG_LEVEL: 'debug', DATA_DIR: join(home, 'data') };
    const launcher = npmStart(home, env);
    await launcher.said(/Dreamgrid is ready/);
    await stack.imagine('by the launcher');
    expect(await launcher.stop()).toBe(0);
    const doctor = spawn(process.execPath, [join(root, 'worker/cli/bin.mjs'), 'doctor'], {
      cwd: home,
      env: { PATH: process.env['PATH'], ...env },
    });
    const said: string[] = [];
    for await (const text of doctor.stdout) said.push(String(text));
    expect(said.join('')).toMatch(/ok +redis/);
    const text = [...launcher.lines, ...said].join('\n');
    for (const secret of SECRETS) expect(text).not.toContain(secret);
    expect(spawnSync('grep', ['-rlE', SECRETS.join('|'), home], { encoding: 'utf8' }).stdout).toBe('');
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

it('every process that a test starts is searched for what it was given', async () => {
  const tokens = Buffer.from('interaction:1190000000000000007:random').toString('base64url');
  const careless = (level: string) =>
    startProcess('test/operations/careless.ts', {
      LOG_LEVEL: level,
      HF_TOKEN,
      REDIS_URL: `redis://:${CANARY.redisPassword}@127.0.0.1:1`,
      SAYS: tokens,
    });
  const [info, debug] = [careless('info'), careless('debug')];
  await Promise.all([once(info.process, 'close'), once(debug.process, 'close')]);
  const all = [HF_TOKEN, `at ${CANARY.redisPassword}`, tokens, 'a fox in the snow'];
  expect(info.log.leaks().sort()).toEqual(all.sort());
  expect(debug.log.leaks()).toHaveLength(3);
  for (const { log } of [info, debug]) log.forgive();
});

it('and nobody’s prompt is written at info', async () => {
  const info = [bot, worker];
  expectNoLeak({ processes: info });
});
