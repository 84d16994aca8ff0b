import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { keys } from '../../../shared/queue/redis.ts';
import { openLog } from '../../../shared/service/log.ts';
import { type Discord, openDiscord } from '../../../worker/deliver/discord.ts';
import { markDelivered } from '../../../worker/deliver/messages.ts';
import { openProgress, type Progress } from '../../../worker/deliver/progress.ts';
import type { StepNews } from '../../../worker/process/protocol.ts';
import { makeJob } from '../../support/jobs.ts';
import { type Recorder, startRecorder } from '../../support/recorder.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
let recorder: Recorder;
let discord: Discord;
let now = 0;
const log = openLog('test', 'silent');

beforeAll(async () => {
  [redis, recorder] = await Promise.all([startRedis(), startRecorder()]);
  discord = openDiscord({ api: recorder.api, botToken: undefined, timeoutMs: 60_000 });
});
beforeEach(() => {
  recorder.requests.length = 0;
  recorder.answer = () => undefined;
  now = 0;
});
afterAll(() => Promise.all([redis.close(), recorder.close()]));

const news = (step: number, grey?: number): StepNews => ({
  step,
  steps: 10,
  ...(grey === undefined ? {} : { previews: [{ width: 2, height: 2, data: new Uint8Array(12).fill(grey) }] }),
});

async function begin(): Promise<{ progress: Progress; jobId: string }> {
  const job = makeJob();
  const { jobId } = job.render;
  await redis.client.set(keys.token(jobId), 'token');
  const options = { redis: redis.client, discord, log, everyMs: 2500, now: () => now };
  return { progress: openProgress(job, { width: 64, height: 64 }, options), jobId };
}
const percents = (): string[] =>
  recorder.requests.map(({ body }) => /\d+%/.exec(String(body['content']))?.[0] ?? '');

it('shows the newest news, at most one edit every 2.5 s', async () => {
  const { progress } = await begin();
  progress.show(news(1, 0));
  await recorder.saw(() => percents().includes('10%'));
  progress.show(news(2, 50));
  now = 2499;
  progress.show(news(3, 60));
  now = 2500;
  // the edit before it may still be on its way: news is offered until it is taken
  while (!percents().includes('40%')) {
    progress.show(news(4));
    await new Promise((turn) => setImmediate(turn));
  }
  await progress.stop();
  expect(percents()).toEqual(['10%', '40%']);
  expect(recorder.requests.map(({ files }) => files[0]?.name)).toEqual(['preview.webp', 'preview.webp']);
});

it('says nothing after it was stopped, and an edit that hangs does not hold up the final one', async () => {
  recorder.answer = () => 'hang';
  const { progress } = await begin();
  progress.show(news(1));
  await recorder.saw(({ method }) => method === 'PATCH');
  const began = performance.now();
  await progress.stop();
  expect(performance.now() - began).toBeLessThan(10_000);
  now = 60_000;
  progress.show(news(5));
  await progress.stop();
  expect(recorder.requests).toHaveLength(1);
});

it('a 429 drops the news and keeps quiet as long as told', async () => {
  recorder.answer = () => ({ status: 429, body: { retry_after: 30 } });
  const { progress } = await begin();
  progress.show(news(1));
  await recorder.saw(({ method }) => method === 'PATCH');
  await progress.stop();
  const { progress: other } = await begin();
  recorder.answer = () => undefined;
  now = 31_000;
  other.show(news(2));
  await recorder.saw(() => percents().includes('20%'));
  await other.stop();
  expect(recorder.requests).toHaveLength(2);
});

it('puts nothing over a grid that was delivered, nor where no message is known', async () => {
  const { progress, jobId } = await begin();
  await markDelivered(redis.client, jobId);
  progress.show(news(1));
  await progress.stop();
  const unknown = await begin();
  await redis.client.del(keys.token(unknown.jobId));
  unknown.progress.show(news(1));
  await unknown.progress.stop();
  expect(recorder.requests).toEqual([]);
});
