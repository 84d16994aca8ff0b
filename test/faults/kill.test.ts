import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultStack, startFaultStack } from '../support/faults.ts';
import { isMessage, type TestProcess } from '../support/processes.ts';
import { report, reportWithin } from './report.ts';

/** Processes that end, asked or not, while jobs run: each /imagine ends in exactly one grid. */
let stack: FaultStack;
let folder: string;
const once = (name: string): string => join(folder, `${name}.once`);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-faults-'));
  stack = await startFaultStack();
});
afterAll(async () => {
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('processes end', () => {
  let bot: TestProcess;
  let survivor: TestProcess;
  beforeAll(async () => {
    [bot, survivor] = await Promise.all([stack.startBot(), stack.startWorker()]);
  });

  it('row 5: SIGTERM during a job: it finishes, no new job is begun, exit 0', async () => {
    const handle = await stack.imagine('sigterm --quality 4');
    await survivor.logged((event) => event.msg === 'painting' && event.jobId === handle.id);
    survivor.signal('SIGTERM');
    await survivor.logged(isMessage('stopping'));
    const next = await stack.imagine('after sigterm');
    expect(await survivor.ended).toBe(0);
    await stack.grid(handle);
    expect(stack.gpuRuns(handle.id)).toBe(1);
    expect(stack.gpuRuns(next.id)).toBe(0);
    survivor = await stack.startWorker();
    await stack.grid(next);
  });

  it('row 5: SIGTERM during a job that does not end: at the deadline it is given back, exit 0', async () => {
    survivor.signal('SIGTERM');
    await survivor.ended;
    const stuck = await stack.startWorker({
      SHUTDOWN_S: '1',
      DREAMGRID_FAULT: `engine-step:wait:2:${once('engine-step')}`,
    });
    const handle = await stack.imagine('given back');
    await stuck.logged((event) => event.msg === 'painting' && event.jobId === handle.id);
    stuck.signal('SIGTERM');
    await stuck.logged(isMessage('given back to the queue'));
    expect(await stuck.ended).toBe(0);
    survivor = await stack.startWorker();
    const began = performance.now();
    await stack.grid(handle);
    report('row 5: job given back to the grid on another worker', performance.now() - began);
    expect(stack.messagesOf(handle)).toHaveLength(1);
    await stack.expectClean();
  });

  it('row 20: bot SIGKILL while 20 jobs run: all 20 are delivered, one message each', async () => {
    const { playground } = stack;
    const people = ['member', 'stranger', 'moderator', 'owner'] as const;
    const handles = await Promise.all(
      Array.from({ length: 20 }, (_, i) => stack.imagine(`number ${i}`, people[i % people.length])),
    );
    bot.signal('SIGKILL');
    expect(await bot.ended).toBe('SIGKILL');
    const killed = performance.now();
    await Promise.all(handles.map((handle) => stack.grid(handle)));
    report('row 20: 20 jobs delivered without a bot', performance.now() - killed);
    for (const handle of handles) expect(stack.messagesOf(handle)).toHaveLength(1);
    bot = await stack.startBot();
    expect(playground.gatewayConnected).toBe(true);
    await stack.expectClean();
  });

  it('row 20: bot SIGKILL and started again: /imagine is answered within 10 s', async () => {
    bot.signal('SIGKILL');
    await bot.ended;
    const killed = performance.now();
    bot = await stack.startBot();
    const handle = await stack.imagine('after the restart of the bot');
    const ms = performance.now() - killed;
    await stack.grid(handle);
    reportWithin('row 20: bot SIGKILL, started again, to the first acknowledgement', ms, 10_000);
  });

  it('a bot that fell behind begins nothing for people who were told that it does not respond', async () => {
    bot.signal('SIGSTOP');
    const late = await Promise.all([1, 2, 3].map((n) => stack.imagine(`too late ${n}`)));
    expect(late.map(({ state }) => state)).toEqual(['failed', 'failed', 'failed']);
    bot.signal('SIGCONT');
    await stack.grid(await stack.imagine('in time'));
    await bot.logged(isMessage('nobody to answer'));
    for (const { id } of late) expect(await stack.queues.deliver.getJob(`d-${id}`)).toBeUndefined();
    for (const handle of late) expect(stack.messagesOf(handle)).toEqual([]);
    await stack.expectClean();
  });

  it('row 19: two bots get the same interaction: one job, one message', async () => {
    const twin = await stack.startBot();
    const handles = [await stack.imagine('twin'), await stack.imagine('twin again')];
    for (const handle of handles) {
      await stack.grid(handle);
      expect(stack.gpuRuns(handle.id)).toBe(1);
      expect(stack.messagesOf(handle)).toHaveLength(1);
    }
    const further = await stack.imagine('three --repeat 3');
    await stack.grid(further);
    await stack.expectClean();
    expect(stack.playground.messages().filter(({ content }) => content.includes('three'))).toHaveLength(3);
    twin.signal('SIGTERM');
    expect(await twin.ended).toBe(0);
  });
});
