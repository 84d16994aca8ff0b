import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FaultStack, figureOf, holdEngine, startFaultStack } from '../support/faults.ts';
import { engineOf, isMessage, type TestProcess } from '../support/processes.ts';
import { freePort } from '../support/redis.ts';
import { report, reportWithin } from './report.ts';

/** The engine's process dies or hangs; the worker stays, tries once more, and tells the user where that failed too. */
let stack: FaultStack;
let folder: string;
let worker: TestProcess;

const replaced = (process: TestProcess): number[] =>
  process.events.filter(isMessage('the engine process is replaced')).map(({ time }) => Number(time));

async function restart(env: Record<string, string>): Promise<void> {
  worker.signal('SIGTERM');
  await worker.ended;
  worker = await stack.startWorker(env);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-faults-'));
  stack = await startFaultStack();
  [, worker] = await Promise.all([stack.startBot(), stack.startWorker()]);
});
afterAll(async () => {
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

it('row 3: engine process SIGKILLed from outside, as for memory: one retry in a new process, then the grid', async () => {
  const handle = await stack.imagine('killed engine');
  await holdEngine(worker, handle.id);
  const pid = await engineOf(worker);
  const killed = Date.now();
  process.kill(pid, 'SIGKILL');
  const told = await worker.logged(isMessage('the engine process is replaced'));
  reportWithin('row 3: engine SIGKILL until the worker knows', Number(told['time']) - killed, 2_000);
  await stack.grid(handle);
  expect(await engineOf(worker)).not.toBe(pid);
  expect(stack.gpuRuns(handle.id)).toBe(1);
});

it('row 3: engine process crashes every time: the user is told after one retry, restarts back off, the worker lives', async () => {
  const port = await freePort();
  await restart({ DREAMGRID_FAULT: 'engine-step:kill:2', HEALTH_PORT: String(port) });
  for (const prompt of ['first crash', 'second crash']) {
    const failed = await stack.shown(await stack.imagine(prompt), ({ content }) =>
      content.includes('(Failed)'),
    );
    expect(failed.embeds[0]?.['description']).toContain('engine stopped twice');
  }
  const at = replaced(worker);
  expect(at).toHaveLength(4);
  const gaps = at.slice(1).map((time, i) => time - (at[i] as number));
  for (const [i, least] of [1_000, 2_000, 4_000].entries()) expect(gaps[i]).toBeGreaterThanOrEqual(least);
  expect(worker.process.exitCode).toBeNull();
  expect(await figureOf(port, 'dreamgrid_engine_restarts_total{code="crashed"}')).toBe(4);
  expect(await figureOf(port, 'dreamgrid_failures_total{code="engine"}')).toBe(2);
  expect(await figureOf(port, 'dreamgrid_jobs_total{how="failed"}')).toBe(2);
});

it('row 4: engine hangs once: SIGKILL at the deadline, one retry, the grid', async () => {
  const marker = join(folder, 'hang.once');
  await restart({ JOB_DEADLINE_S: '5', DREAMGRID_FAULT: `engine-step:hang:2:${marker}` });
  const pid = await engineOf(worker);
  const handle = await stack.imagine('hang once');
  await stack.grid(handle);
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  const hung = (await stat(marker)).mtimeMs;
  report('row 4: engine hangs (deadline 5 s) until it is replaced', (replaced(worker)[0] as number) - hung);
  expect(stack.messagesOf(handle)).toHaveLength(1);
});

it('row 4: engine hangs every time: the user is told that it took too long, and the next job works', async () => {
  await restart({ JOB_DEADLINE_S: '5', DREAMGRID_FAULT: 'engine-step:hang:2' });
  const handle = await stack.imagine('hang for ever');
  const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
  expect(failed.embeds[0]?.['title']).toBe('Took too long');
  await restart({});
  await stack.grid(await stack.press(failed, '🔄 Try again'));
  await stack.expectClean();
});
