import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { InteractionHandle } from '../../playground/index.ts';
import { ENGLISH, type FaultStack, startFaultStack, until } from '../support/faults.ts';
import { isMessage, type TestProcess } from '../support/processes.ts';
import { isSingle } from '../support/stack.ts';

/**
 * An upgrade without a pause: the next version, which writes jobs of another schema, starts beside this one on the
 * same Redis and store. The next version is this tree with one number changed.
 */
/** Up to four processes start, on cores that others use too. */
const SLOW_MS = 300_000;
const root = resolve(import.meta.dirname, '../..');
let next: string;
let stack: FaultStack;
let oldBot: TestProcess;
let oldWorker: TestProcess;
let newWorker: TestProcess;

const startNew = (what: 'bot' | 'worker'): Promise<TestProcess> =>
  stack.start(join(next, what, 'main.ts'), `${what} ready`);
const stop = async (process: TestProcess): Promise<void> => {
  process.signal('SIGTERM');
  expect(await process.ended).toBe(0);
};
const shorten = (): Promise<InteractionHandle> =>
  stack.playground.run(
    stack.playground.users.member,
    'shorten',
    { prompt: 'a very lovely fox in the snow at night' },
    ENGLISH,
  );
const titleOf = ({ message }: InteractionHandle): string => String(message?.embeds[0]?.['title'] ?? '');
/** Who painted: the process that logged it. */
const paintedBy = (process: TestProcess, jobId: string): boolean =>
  process.events.some((event) => event['msg'] === 'painted' && event['jobId'] === jobId);

beforeAll(async () => {
  next = await mkdtemp(join(tmpdir(), 'dreamgrid-next-'));
  for (const part of ['bot', 'worker', 'shared', 'package.json'])
    await cp(join(root, part), join(next, part), { recursive: true });
  await symlink(join(root, 'node_modules'), join(next, 'node_modules'));
  const file = join(next, 'shared/queue/job.ts');
  const text = await readFile(file, 'utf8');
  expect(text).toContain('SCHEMA_VERSION = 1;');
  await writeFile(file, text.replace('SCHEMA_VERSION = 1;', 'SCHEMA_VERSION = 2;'));
  stack = await startFaultStack({ startMs: SLOW_MS });
  [oldBot, oldWorker, newWorker] = await Promise.all([
    stack.startBot(),
    stack.startWorker(),
    startNew('worker'),
  ]);
}, SLOW_MS);
afterAll(async () => {
  await stack?.close();
  await rm(next, { recursive: true, force: true });
});

it(
  'a new version beside the old one: each paints the jobs of its own schema, and nothing is lost either way',
  async () => {
    const before = await Promise.all(
      ['one', 'two', 'three', 'four'].map((word) => stack.imagine(`old ${word}`)),
    );
    for (const handle of before) {
      await stack.grid(handle);
      expect(paintedBy(oldWorker, handle.id)).toBe(true);
      expect(paintedBy(newWorker, handle.id)).toBe(false);
    }

    await stop(oldBot);
    await startNew('bot');
    const after = await Promise.all(
      ['one', 'two', 'three', 'four'].map((word) => stack.imagine(`new ${word}`)),
    );
    for (const handle of after) {
      await stack.grid(handle);
      expect(paintedBy(newWorker, handle.id)).toBe(true);
    }
    // A picture of the old version, asked for on the new one.
    await stack.shown(await stack.press((await stack.grid(before[0]!))!, 'U1'), isSingle);
    for (const handle of [...before, ...after]) expect(stack.messagesOf(handle)).toHaveLength(1);
    await stack.expectClean();
  },
  SLOW_MS,
);

it(
  'jobs that only the other version reads wait for it, however often they are looked at',
  async () => {
    await stop(newWorker);
    const handle = await stack.imagine('for the new version alone');
    const question = await shorten();
    // It waits for longer than anybody who does not come is waited for: that alone fails no job.
    const sinceLong = Date.now() - 16 * 60_000;
    for (const [queue, id] of [
      ['render', `g-${handle.id}`],
      ['ask', `a-${question.id}`],
    ]) {
      const job = `{dreamgrid}:${queue}:${id}`;
      await until(async () => (await stack.redis.client.exists(job)) === 1, 'it is queued');
      await stack.redis.client.hset(job, 'timestamp', sinceLong);
    }
    // Sent back more often than a poisoned job may be started.
    const key = `{dreamgrid}:render:g-${handle.id}`;
    let looks = 0;
    const lookSooner = async (): Promise<boolean> => {
      const job = await stack.queues.render.getJob(`g-${handle.id}`);
      if (await job?.isDelayed()) {
        looks++;
        await job?.promote().catch(() => undefined);
      }
      return looks > 8;
    };
    await until(lookSooner, 'eight looks');
    expect(await stack.redis.client.hexists(key, 'finishedOn')).toBe(0);
    // What the runbook waits for before it stops the old workers.
    expect(await readFile(join(root, 'docs/operations.md'), 'utf8')).toContain(
      "redis-cli zcount '{dreamgrid}:open' -inf $since)\" = 0 ]",
    );
    const openBefore = () => stack.redis.client.zcount('{dreamgrid}:open', '-inf', Date.now());
    expect(await openBefore()).toBe(1);
    newWorker = await startNew('worker');
    await stack.grid(handle);
    await until(async () => (await openBefore()) === 0, 'nothing open of before');
    expect(paintedBy(newWorker, handle.id)).toBe(true);
    await stack.shown(question, () => titleOf(question) !== '');
    expect(titleOf(question)).toBe('Shorter prompts');
    await stack.expectClean();
  },
  SLOW_MS,
);

it(
  'jobs of a version that nobody reads for a quarter of an hour: their owner is told on the message that waits',
  async () => {
    const { client } = stack.redis;
    await stop(newWorker);
    const handle = await stack.imagine('for nobody');
    const question = await shorten();
    for (const { id } of [handle, question]) {
      const key = `{dreamgrid}:refused:${id}`;
      await until(async () => (await client.exists(key)) === 1, 'the first refusal');
      await client.decrby(key, 16 * 60_000);
    }
    const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
    expect(failed.content).toContain('for nobody');
    expect(failed.embeds[0]?.['title']).toBe('Painting failed');
    await stack.shown(question, () => titleOf(question) === 'Something broke');
    await stack.expectClean();
    expect(stack.messagesOf(handle)).toHaveLength(1);
    newWorker = await startNew('worker');
    await stack.grid(await stack.press(failed, '🔄 Try again'));
    await stop(oldWorker);
  },
  SLOW_MS,
);

it(
  'a version whose worker is there is waited for, however long its queue is',
  async () => {
    const { client } = stack.redis;
    await stop(newWorker);
    oldWorker = await stack.startWorker();
    await stack.queues.render.pause();
    const handle = await stack.imagine('in a long queue');
    await client.set(`{dreamgrid}:refused:${handle.id}`, Date.now() - 16 * 60_000);
    // Announced as a worker of the next version, which is busy with others.
    await client.sadd('{dreamgrid}:workers', 'busy');
    await client.set('{dreamgrid}:worker:busy', '{"schema":2}', 'EX', 60);
    await stack.queues.render.resume();
    const sentBack = async (): Promise<boolean> =>
      (await (await stack.queues.render.getJob(`g-${handle.id}`))?.isDelayed()) === true;
    await until(sentBack, 'it is sent back');
    await client.del('{dreamgrid}:worker:busy');
    newWorker = await startNew('worker');
    await stack.grid(handle);
    await stop(oldWorker);
    await stack.expectClean();
  },
  SLOW_MS,
);

it(
  'asked twice to stop, a worker gives its job back at once',
  async () => {
    const slow = await stack.start(join(next, 'worker/main.ts'), 'worker ready', {
      SHUTDOWN_S: '60',
      DREAMGRID_FAULT: 'engine-step:wait:2',
    });
    await stop(newWorker);
    const handle = await stack.imagine('asked twice');
    await slow.logged((event) => event['msg'] === 'painting' && event['jobId'] === handle.id);
    slow.signal('SIGTERM');
    await slow.logged(isMessage('stopping'));
    slow.signal('SIGTERM');
    await slow.logged(isMessage('given back to the queue'), 20_000);
    expect(await slow.ended).toBe(0);
    newWorker = await startNew('worker');
    await stack.grid(handle);
    await stack.expectClean();
  },
  SLOW_MS,
);
