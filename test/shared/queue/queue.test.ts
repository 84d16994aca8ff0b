import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DeliverJob } from '../../../shared/queue/job.ts';
import { deliverId, renderId } from '../../../shared/queue/job.ts';
import {
  addJob,
  attemptsWithin,
  cancelJob,
  type Outcome,
  openDeliverWorker,
  openQueues,
  openRenderWorker,
  outcomeOf,
  placeInLine,
  type Queues,
  waitAfter,
} from '../../../shared/queue/queue.ts';
import { producerConnection, workerConnection } from '../../../shared/queue/redis.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
let queues: Queues;
beforeAll(async () => {
  redis = await startRedis();
  queues = openQueues({ ...producerConnection(redis.url), enableOfflineQueue: true });
});
afterAll(async () => {
  await queues.close();
  await redis.close();
});
beforeEach(() => redis.client.flushall());

const job = (jobId: string): DeliverJob => ({
  render: {
    v: 1,
    jobId,
    action: 'imagine',
    prompt: 'a fox',
    parts: [{ text: 'a fox', weight: 1 }],
    negative: '',
    params: {},
    model: 'pocket',
    seed: 1,
    count: 4,
    user: { id: '123456789012345678', name: 'ann' },
    createdAt: 0,
  },
  deliver: {
    v: 1,
    jobId,
    applicationId: '123456789012345678',
    channelId: '123456789012345678',
    locale: 'en-US',
    attachmentLimit: 10_485_760,
    original: true,
  },
});

/** Runs the deliver side until `jobId` arrives there, and tells how its child ended. */
async function delivered(jobId: string): Promise<Outcome> {
  let tell: (outcome: Outcome) => void;
  const outcome = new Promise<Outcome>((resolve) => {
    tell = resolve;
  });
  const worker = openDeliverWorker(workerConnection(redis.url), async (at) => {
    if (at.id === deliverId(jobId)) tell(await outcomeOf(at));
  });
  void worker.run();
  const result = await outcome;
  await worker.close();
  return result;
}

describe('the flow of two jobs', () => {
  it('is the same job when it is added twice', async () => {
    await addJob(queues, job('100000000000000001'), 5);
    await addJob(queues, job('100000000000000001'), 9);
    expect(await queues.render.getJobCountByTypes('prioritized', 'waiting')).toBe(1);
    expect(await queues.deliver.getJobCountByTypes('waiting-children')).toBe(1);
  });

  it('hands the result, or the failure, to the delivery', async () => {
    const render = openRenderWorker(workerConnection(redis.url), async (at) => {
      if (at.data.jobId.endsWith('2')) throw new Error('cannot paint');
      return { painted: at.data.jobId } as never;
    });
    void render.run();
    await addJob(queues, job('100000000000000001'), 1);
    expect(await delivered('100000000000000001')).toEqual({
      kind: 'done',
      result: { painted: '100000000000000001' },
    });
    await addJob(queues, job('100000000000000002'), 1);
    expect(await delivered('100000000000000002')).toEqual({ kind: 'failed', reason: 'cannot paint' });
    await render.close();
  });

  it('removes a waiting job and lets its delivery say so', async () => {
    await addJob(queues, job('100000000000000001'), 1);
    expect(await cancelJob(queues, redis.client, '100000000000000001')).toBe(true);
    expect(await queues.render.getJob(renderId('100000000000000001'))).toBeUndefined();
    expect(await delivered('100000000000000001')).toEqual({ kind: 'cancelled' });
    expect(await cancelJob(queues, redis.client, '100000000000000001')).toBe(false);
  });

  it('knows the place in line by priority, not by arrival', async () => {
    await addJob(queues, job('100000000000000001'), 7);
    await addJob(queues, job('100000000000000002'), 3);
    await addJob(queues, job('100000000000000003'), 5);
    const places = await Promise.all(
      [1, 2, 3].map((n) => placeInLine(queues, redis.client, `10000000000000000${n}`)),
    );
    expect(places).toEqual([2, 0, 1]);
    expect(await placeInLine(queues, redis.client, '100000000000000009')).toBeUndefined();
  });
});

describe('what Discord does not take', () => {
  it('is offered again soon, then every two minutes, for a day', () => {
    const waits = Array.from({ length: attemptsWithin(24 * 3600) - 1 }, (_, i) => waitAfter(i + 1));
    expect(waits.slice(0, 10)).toEqual([500, 1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 64e3, 120e3, 120e3]);
    const hours = waits.reduce((sum, ms) => sum + ms, 0) / 3600_000;
    expect(hours).toBeGreaterThanOrEqual(24);
    expect(hours).toBeLessThan(24.1);
  });

  it.each([
    ['that names no time', {}, 500],
    ['that names a longer time', { retryAfterMs: 600_000 }, 600_000],
    ['that names a day', { retryAfterMs: 86_400_000 }, 3600_000],
  ])('after an answer %s', async (_, fields, delay) => {
    await addJob(queues, job('100000000000000001'), 1);
    await (await queues.render.getJob(renderId('100000000000000001')))!.remove();
    const worker = openDeliverWorker(workerConnection(redis.url), async () => {
      throw Object.assign(new Error('not now'), fields);
    });
    const failed = new Promise((resolve) => worker.once('failed', resolve));
    void worker.run();
    await failed;
    await worker.close();
    const waiting = (await queues.deliver.getJob(deliverId('100000000000000001')))!;
    expect(await waiting.isDelayed()).toBe(true);
    expect(waiting.delay).toBe(delay);
  });
});
