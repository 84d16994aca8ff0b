import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { InteractionHandle, MessageView } from '../../playground/index.ts';
import { askId } from '../../shared/queue/job.ts';
import { ENGLISH, type FaultStack, startFaultStack, until, withoutWaits } from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';

/**
 * `/describe` on the model that ships. No second job tells the asker how a question ended, as it does of a picture:
 * whatever happens, the question itself must come to a word, or "thinking…" stands for ever.
 */
const models = resolve(import.meta.dirname, '../../models');
let stack: FaultStack;
let folder: string;
let picture: Buffer;
let workers: TestProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-faults-'));
  stack = await startFaultStack({ env: { MODELS_DIR: models, DEFAULT_MODEL: 'pocket' } });
  await stack.startBot();
  const background = { r: 30, g: 60, b: 120 };
  picture = await sharp({ create: { width: 128, height: 128, channels: 3, background } })
    .png()
    .toBuffer();
});
afterAll(async () => {
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

/** These workers instead of those that are there. */
async function work(...envs: Record<string, string>[]): Promise<void> {
  for (const worker of workers) worker.signal('SIGTERM');
  await Promise.all(workers.map(({ ended }) => ended));
  workers = await Promise.all(envs.map((env) => stack.startWorker(env)));
}
const describePicture = (): Promise<InteractionHandle> =>
  stack.playground.run(
    stack.playground.users.member,
    'describe',
    { image: { name: 'sea.png', file: picture } },
    ENGLISH,
  );
const isAnswer = ({ buttons }: MessageView): boolean => buttons.length === 5;
const titleOf = ({ embeds }: MessageView): string => String(embeds[0]?.['title'] ?? '');
const hurry = <T>({ id }: InteractionHandle, until: Promise<T>): Promise<T> =>
  withoutWaits(stack.queues.ask, askId(id), until);

it('a question that fails in passing is asked again, and answered', async () => {
  await work({ DREAMGRID_FAULT: 'mid-question:throw:1' });
  await stack.shown(await describePicture(), isAnswer);
  await stack.expectClean();
});

it('a question that fails each time: the asker is told, and may ask again', async () => {
  await work({});
  await stack.queues.ask.pause();
  const handle = await describePicture();
  const uploads = join(stack.dataDir, 'uploads');
  const [file] = await readdir(uploads);
  await rm(join(uploads, file as string));
  await symlink(file as string, join(uploads, file as string)); // it leads to itself, so that reading it fails
  await stack.queues.ask.resume();
  const told = await hurry(
    handle,
    stack.shown(handle, ({ embeds }) => embeds.length > 0),
  );
  expect(titleOf(told)).toBe('Something broke');
  await stack.expectClean();
  await rm(uploads, { recursive: true });
  await stack.shown(await describePicture(), isAnswer);
});

it('row 14: Discord 500s while an answer is shown: it is found once and shown when Discord is well', async () => {
  await work({});
  stack.playground.trouble.add({ match: /^PATCH \/webhooks/, kind: '500', times: 10 });
  const handle = await describePicture();
  const failed = async () => ((await stack.queues.ask.getJob(askId(handle.id)))?.attemptsMade ?? 0) > 0;
  await until(failed, 'the answer is there, and not shown');
  // The worker is done with it: the asker may ask on.
  expect(await stack.redis.client.keys('{dreamgrid}:asking:*')).toEqual([]);
  expect(isAnswer(handle.message!)).toBe(false);
  await hurry(handle, stack.shown(handle, isAnswer));
  await stack.expectClean();
  const job = (await stack.queues.ask.getJob(askId(handle.id)))!;
  expect(job.attemptsMade).toBe(11);
  expect(await stack.redis.client.keys(`*${handle.id}:answer`)).toEqual([]);
});

it('row 1: worker SIGKILL mid-question: another answers', async () => {
  const marker = join(folder, 'question.once');
  const fault = { DREAMGRID_FAULT: `mid-question:kill:1:${marker}` };
  await work(fault, fault);
  const handle = await describePicture();
  await stack.shown(handle, isAnswer);
  expect(existsSync(marker)).toBe(true);
  await stack.expectClean();
});

it('row 6: poison question: at most three starts, then the asker is told, and the next question is answered', async () => {
  const fault = { DREAMGRID_FAULT: 'mid-question:kill' };
  await work(fault, fault, fault);
  const handle = await describePicture();
  await Promise.all(workers.map(({ ended }) => ended));
  await work({});
  const told = await stack.shown(handle, ({ embeds }) => embeds.length > 0);
  expect(titleOf(told)).toBe('Something broke');
  await stack.expectClean();
  await stack.shown(await describePicture(), isAnswer);
});
