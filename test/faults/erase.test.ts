import { readdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { keys } from '../../shared/queue/redis.ts';
import {
  countOpen,
  ENGLISH,
  type FaultStack,
  holdEngine,
  startFaultStack,
  until,
} from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';

/** What a member erases while a worker holds it stays erased: nothing is posted, stored or remembered afterwards. */
let stack: FaultStack;
let worker: TestProcess;
beforeAll(async () => {
  stack = await startFaultStack();
  [worker] = await Promise.all([stack.startWorker(), stack.startBot()]);
});
afterEach(() => stack.expectClean());
afterAll(() => stack?.close());

const remembered = async (jobId: string): Promise<string[]> => {
  const { client } = stack.redis;
  const found = await client.keys(`*${jobId}*`);
  // Marks that go by themselves, and the queue's own record of a job that ended.
  return found.filter((key) => !/:(claim|clicked|cancelled|delivered|erased|render|deliver):/.test(key));
};
const filesOf = async (jobId: string): Promise<string[]> =>
  (await readdir(stack.dataDir)).filter((name) => name.includes(jobId));

describe('erased while it is painted', () => {
  it('/mydata erase: its message goes, and no other comes', async () => {
    const { playground } = stack;
    const { member } = playground.users;
    const handle = await stack.imagine('erased');
    const letGo = await holdEngine(worker, handle.id);
    await until(() => handle.message !== undefined, 'the acknowledgement');
    const before = playground.messages().filter((message) => message.id !== handle.message?.id).length;
    const question = (await playground.run(member, 'mydata erase', {}, ENGLISH)).message?.id as string;
    await playground.click(member, question, 'Erase everything', ENGLISH);
    await playground.waitFor(() => playground.message(question)?.content.startsWith('Erased'), 60_000);
    letGo();
    await until(async () => (await countOpen(stack.queues)) === 0, 'an empty queue');
    const after = playground.messages().filter(({ ephemeral }) => !ephemeral);
    expect(after.map(({ content }) => content)).toHaveLength(before);
    expect(await remembered(handle.id)).toEqual([]);
    expect(await filesOf(handle.id)).toEqual([]);
  });

  it('erased when it can be cancelled no more: what is stored is removed again', async () => {
    const handle = await stack.imagine('erased late');
    const letGo = await holdEngine(worker, handle.id);
    await stack.redis.client.set(keys.erased(handle.id), '1', 'EX', 60);
    letGo();
    await worker.logged((event) => event.jobId === handle.id && event.msg === 'delivered');
    expect(handle.message?.attachments).toEqual([]);
    expect(await stack.redis.client.exists(keys.recipe(handle.id))).toBe(0);
    expect(await filesOf(handle.id)).toEqual([]);
  });
});
