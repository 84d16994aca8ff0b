import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MessageView, type Playground, startPlayground } from '../../playground/index.ts';
import { CANARY, type FaultStack, startFaultStack } from '../support/faults.ts';
import { isGrid, isSingle } from '../support/stack.ts';
import { report } from './report.ts';

/** The machine loses power: every process of ours and Redis are killed at once, and all start anew. */
let folder: string;
let stack: FaultStack;
let later: Playground | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-faults-'));
  stack = await startFaultStack({ playground: { statePath: join(folder, 'discord.json') } });
  await Promise.all([stack.startBot(), stack.startWorker()]);
});
afterAll(async () => {
  await later?.close();
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

it('SIGKILL of bot, worker and Redis with jobs running, and a new start: exactly one grid for each /imagine; old buttons work', async () => {
  const old = await stack.grid(await stack.imagine('before the power cut'));
  const handles = await Promise.all([1, 2, 3, 4].map((n) => stack.imagine(`running ${n} --quality 4`)));

  for (const process of stack.processes) process.signal('SIGKILL');
  await stack.redis.kill('SIGKILL');
  await Promise.all(stack.processes.map(({ ended }) => ended));
  const port = Number(new URL(stack.playground.url).port);
  await stack.playground.close();

  const began = performance.now();
  const playground = await startPlayground({
    port,
    statePath: join(folder, 'discord.json'),
    token: CANARY.botToken,
  });
  later = playground;
  await stack.redis.start();
  await Promise.all([stack.startBot(), stack.startWorker()]);
  const of = (id: string): MessageView[] => playground.messages().filter((m) => m.interaction?.id === id);
  for (const { id } of handles)
    await playground.waitFor(() => of(id).some(isGrid), 90_000, 'the grid of a job that ran');
  report('everything SIGKILLed: new start to the last of 4 grids', performance.now() - began);
  for (const { id } of handles) expect(of(id)).toHaveLength(1);
  expect(playground.messages()).toHaveLength(5);

  for (const [label, done] of [
    ['U2', isSingle],
    ['V1', isGrid],
    ['🔄', isGrid],
  ] as const) {
    const handle = await playground.click(playground.users.member, old.id, label);
    await playground.waitFor(() => handle.message && done(handle.message), 90_000, `the answer to ${label}`);
  }
  expect(playground.violations).toEqual([]);
  await stack.expectClean();
});
