import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AskRequest } from '../../../shared/queue/job.ts';
import {
  addJob,
  openAskWorker,
  openQueues,
  openRenderWorker,
  type Queues,
} from '../../../shared/queue/queue.ts';
import { workerConnection } from '../../../shared/queue/redis.ts';
import { announce } from '../../../shared/queue/registry.ts';
import { loadMs, openPlacement } from '../../../worker/giveBack/placement.ts';
import { card } from '../../shared/prompt/models.ts';
import { until } from '../../support/faults.ts';
import { makeJob } from '../../support/jobs.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
let queues: Queues;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client.flushall();
  queues = openQueues(workerConnection(redis.url));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await queues.close();
});
afterAll(() => redis.close());

/** So large that loading is never worth it, and so small that it soon is. */
const HUGE = 1e12;
const SMALL = 1;

interface TestWorker {
  painted: string[];
  /** Questions that it answered. */
  answered: string[];
  /** Resolves when it has begun with a job; it goes on when `let go`. */
  hold(): { begun: Promise<void>; letGo(): void };
  starts: number[];
}

/** A worker without an engine: takes jobs by the real queue, announces itself, and paints in no time. */
async function openWorker(
  id: string,
  models: Record<string, { warm: boolean; bytes?: number }>,
  patienceMs = 60_000,
): Promise<TestWorker> {
  const warm = new Set(Object.keys(models).filter((name) => models[name]?.warm));
  const painted: string[] = [];
  const answered: string[] = [];
  const starts: number[] = [];
  let busy = false;
  let gate: { begin(): void; wait: Promise<void> } | undefined;
  const client = redis.client.duplicate();
  const placement = openPlacement({
    redis: client,
    queues,
    id,
    sizeOf: (name) => (models[name] ? (models[name].bytes ?? HUGE) : undefined),
    models: () => Object.keys(models),
    warm: () => [...warm],
    free: () => !busy,
    patienceMs,
  });
  const tell = () =>
    announce(client, { id, models: Object.keys(models).map((name) => card({ name })), warm: [...warm] });
  await tell();
  const subscriber = client.duplicate();
  subscriber.on('message', () => void placement.takeUp());
  await subscriber.subscribe('{dreamgrid}:left');
  const worker = openRenderWorker(workerConnection(redis.url), async (job, token) => {
    await placement.leaveToBetter(job, token);
    busy = true;
    starts.push(job.attemptsStarted);
    warm.add(job.data.model);
    gate?.begin();
    await gate?.wait;
    painted.push(job.data.jobId);
    busy = false;
    await placement.takeUp();
    return { jobId: job.data.jobId } as never;
  });
  const asks = openAskWorker(workerConnection(redis.url), async (job) => {
    await placement.leaveToBetter(job, job.token);
    answered.push(String(job.id));
  });
  void worker.run();
  void asks.run();
  await worker.waitUntilReady();
  await placement.takeUp(); // as the heartbeat does
  closing.push(async () => {
    await Promise.all([worker.close(true), asks.close(true)]);
    subscriber.disconnect();
    client.disconnect();
  });
  return {
    painted,
    answered,
    starts,
    hold: () => {
      let letGo = () => {};
      let begin = () => {};
      const wait = new Promise<void>((go) => {
        letGo = go;
      });
      const begun = new Promise<void>((go) => {
        begin = go;
      });
      gate = { begin, wait };
      return {
        begun,
        letGo: () => {
          gate = undefined;
          letGo();
        },
      };
    },
  };
}

async function ask(model: string, priority = 1): Promise<string> {
  const job = makeJob({ model });
  await addJob(queues, job, priority);
  return job.render.jobId;
}

describe('models where the work is', () => {
  it('a worker that lacks a model never takes its job, however idle it is', async () => {
    const lacks = await openWorker('a', { one: { warm: true } });
    const other = await openWorker('b', { one: { warm: true } });
    const has = await openWorker('c', { two: { warm: true } });
    const ids = [];
    for (let i = 0; i < 8; i++) ids.push(await ask('two', i + 1));
    await until(() => has.painted.length === 8, 'eight jobs');
    expect([...has.painted].sort()).toEqual([...ids].sort());
    expect([...lacks.painted, ...other.painted]).toEqual([]);
    // To be passed on is no start: a job has four.
    expect(Math.max(...has.starts)).toBe(1);
  });

  it('nor answers a question to it', async () => {
    const lacks = await openWorker('a', { one: { warm: true } });
    const has = await openWorker('b', { two: { warm: true } });
    const ask = { v: 1, model: 'two' } as unknown as AskRequest; // no more of it is read here
    for (let i = 0; i < 6; i++) await queues.ask.add('ask', ask, { jobId: `a-${i}` });
    await until(() => has.answered.length === 6, 'six answers');
    expect(lacks.answered).toEqual([]);
  });

  it('jobs that were left are painted in the fair order, as soon as whoever has the model is free', async () => {
    const has = await openWorker('a', { two: { warm: true } });
    const first = has.hold();
    const running = await ask('two', 1);
    await first.begun;
    const lacks = await openWorker('b', { one: { warm: true } });
    const later = await ask('two', 30);
    const sooner = await ask('two', 20);
    const own = await ask('one', 40);
    await until(() => lacks.painted.includes(own), 'the other model');
    await until(async () => (await queues.render.getDelayedCount()) === 2, 'both were left');
    first.letGo();
    await until(() => has.painted.length === 3, 'all three');
    expect(has.painted).toEqual([running, sooner, later]);
  });

  it('prefers a worker that has it loaded', async () => {
    const cold = await openWorker('a', { two: { warm: false } });
    const warm = await openWorker('b', { two: { warm: true } });
    for (let i = 0; i < 8; i++) await ask('two', i + 1);
    await until(() => warm.painted.length === 8, 'eight jobs');
    expect(cold.painted).toEqual([]);
  });

  it('and starves nobody: where that one is busy for longer than loading takes, another loads it', async () => {
    const warm = await openWorker('a', { two: { warm: true, bytes: SMALL } });
    const held = warm.hold();
    await ask('two', 1);
    await held.begun;
    const cold = await openWorker('b', { two: { warm: false, bytes: SMALL } });
    const second = await ask('two', 2);
    await until(() => cold.painted.includes(second), 'it is loaded elsewhere');
    held.letGo();
    expect(cold.starts).toEqual([1]);
  });

  it('loads it at once where nobody has it loaded', async () => {
    const cold = await openWorker('a', { two: { warm: false } });
    const id = await ask('two');
    await until(() => cold.painted.includes(id), 'it is painted');
    expect(await queues.render.getDelayedCount()).toBe(0);
  });

  it('waits for a model that nobody has, for as long as a worker takes to come back', async () => {
    const lacks = await openWorker('a', { one: { warm: true } });
    const id = await ask('two');
    await until(async () => (await queues.render.getDelayedCount()) === 1, 'it was left');
    const has = await openWorker('b', { two: { warm: false } });
    await until(() => has.painted.includes(id), 'it is painted');
    expect(lacks.painted).toEqual([]);
  });

  it('and no longer: then whoever takes it says that there is no such model', async () => {
    const lacks = await openWorker('a', { one: { warm: true } }, 0);
    const id = await ask('two');
    await until(() => lacks.painted.includes(id), 'it is taken');
  });

  it('takes loading for as long as a disk needs, half a second to half a minute', () => {
    expect([loadMs(0), loadMs(46e6), loadMs(2e9), loadMs(1e12)]).toEqual([500, 500, 10_000, 30_000]);
  });
});
