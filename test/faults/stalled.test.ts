import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultStack, startFaultStack } from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';
import { isGrid } from '../support/stack.ts';
import { report, reportWithin } from './report.ts';

/**
 * Workers that die without a word. Their jobs come back when the lock runs out, some 15 s later, so each row has
 * a stack of its own and they wait side by side.
 */
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const died = (worker: TestProcess): Promise<TestProcess> => worker.ended.then(() => worker);

async function withStack(run: (stack: FaultStack) => Promise<void>): Promise<void> {
  const stack = await startFaultStack();
  try {
    await stack.startBot();
    await run(stack);
    await stack.expectClean();
  } finally {
    await stack.close();
  }
}

/** Two workers; whichever meets the fault point first is killed there, and the other must do the rest. */
async function killOneOfTwo(stack: FaultStack, point: string, pass = 1) {
  const fault = { DREAMGRID_FAULT: `${point}:kill:${pass}:${join(folder, `${point}.once`)}` };
  const [a, b] = await Promise.all([stack.startWorker(fault), stack.startWorker(fault)]);
  const handle = await stack.imagine(point);
  const dead = await Promise.race([died(a), died(b)]);
  expect(await dead.ended).toBe('SIGKILL');
  return { handle, survivor: dead === a ? b : a, killed: performance.now() };
}

describe.concurrent('a worker dies without a word', () => {
  it('row 1: worker SIGKILL mid-step: another finishes within 20 s, one message, at most two GPU runs', () =>
    withStack(async (stack) => {
      const { handle, killed } = await killOneOfTwo(stack, 'mid-step', 2);
      await stack.grid(handle);
      const ms = performance.now() - killed;
      reportWithin('row 1: worker SIGKILL to the grid', ms, 20_000);
      await stack.expectClean(); // what comes late would come now
      expect(stack.gpuRuns(handle.id)).toBeLessThanOrEqual(2);
      expect(stack.messagesOf(handle).map(isGrid)).toEqual([true]);
    }));

  it('row 2: SIGKILL after saving, before the ack: no second GPU run, one message', () =>
    withStack(async (stack) => {
      const { handle, killed } = await killOneOfTwo(stack, 'after-store');
      await stack.grid(handle);
      report('row 2: SIGKILL after saving to the grid', performance.now() - killed);
      expect(stack.gpuRuns(handle.id)).toBe(1);
      expect(stack.messagesOf(handle)).toHaveLength(1);
    }));

  it.each(['before-deliver', 'after-deliver'])(
    'row 2: SIGKILL at %s: the posting alone is repeated, one message',
    (point) =>
      withStack(async (stack) => {
        const { handle, survivor } = await killOneOfTwo(stack, point);
        await stack.grid(handle);
        await survivor.logged((event) => event.msg === 'delivered' && event.jobId === handle.id);
        expect(stack.gpuRuns(handle.id)).toBe(1);
        expect(stack.messagesOf(handle)).toHaveLength(1);
      }),
  );

  it('row 6: poison job: at most three starts, then a failure message, and the queue goes on', () =>
    withStack(async (stack) => {
      const fault = { DREAMGRID_FAULT: 'mid-step:kill' };
      const victims = await Promise.all([1, 2, 3].map(() => stack.startWorker(fault)));
      const handle = await stack.imagine('poison');
      await Promise.all(victims.map(({ ended }) => ended));
      await stack.startWorker();
      const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
      expect(failed.embeds[0]?.['title']).toBe('Painting failed');
      expect(failed.buttons.map(({ label }) => label)).toEqual(['🔄 Try again']);
      expect(stack.gpuRuns(handle.id)).toBe(3);
      expect(stack.messagesOf(handle)).toHaveLength(1);
      await stack.grid(await stack.press(failed, '🔄 Try again'));
    }));
});

/** Apart from those whose time is measured. */
it('row 6: poison delivery: at most three starts, then its owner is told, and the queue goes on', () =>
  withStack(async (stack) => {
    const fault = { DREAMGRID_FAULT: 'before-deliver:kill' };
    const victims = await Promise.all([1, 2, 3].map(() => stack.startWorker(fault)));
    const handle = await stack.imagine('deadly to show');
    await Promise.all(victims.map(({ ended }) => ended));
    await stack.startWorker();
    const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
    expect(stack.gpuRuns(handle.id)).toBe(1);
    expect(stack.messagesOf(handle)).toHaveLength(1);
    await stack.grid(await stack.press(failed, '🔄 Try again'));
  }));
