import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LANES, type Lane } from '../../../shared/memory/settings.ts';
import { LANE_COST, release, reserve, started } from '../../../shared/queue/fairness.ts';
import type { DeliverJob, RenderRequest, RenderResult } from '../../../shared/queue/job.ts';
import { addJob, openQueues, openRenderWorker, type Queues } from '../../../shared/queue/queue.ts';
import { keys, producerConnection, workerConnection } from '../../../shared/queue/redis.ts';
import { holdBack, wakeNext } from '../../../worker/giveBack/userLimit.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

/** Two hundred users, three lanes, the real queue: turns are fair, caps hold, a restart loses nothing. */
const USERS = 200;
const CAP = 13;

let redis: TestRedis;
let queues: Queues;
const open = (): Queues => openQueues({ ...producerConnection(redis.url), enableOfflineQueue: true });
beforeEach(async () => {
  redis = await startRedis();
  queues = open();
});
afterEach(async () => {
  await queues.close();
  await redis.close();
});

const userId = (n: number): string => String(200000000000000000n + BigInt(n));
const laneOf = (n: number): Lane => LANES[n % LANES.length] as Lane;
let asked = 0;

const jobFor = (n: number, lane: Lane): DeliverJob => {
  const jobId = String(100000000000000000n + BigInt(asked++));
  return {
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
      lane,
      user: { id: userId(n), name: 'ann' },
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
  };
};

/** What happened, in order: who came, whose job began. */
type Event = { kind: 'came' | 'began'; user: number; jobId: string };

async function ask(events: Event[], n: number, lane: Lane): Promise<boolean> {
  const job = jobFor(n, lane);
  const { jobId } = job.render;
  const place = await reserve(redis.client, {
    userId: userId(n),
    jobId,
    maxPerUser: CAP,
    maxAll: 5000,
    lane,
  });
  if (!place.ok) return false;
  await addJob(queues, job, place.priority);
  events.push({ kind: 'came', user: n, jobId });
  return true;
}

const userOf = (request: RenderRequest): number => Number(BigInt(request.user.id) - 200000000000000000n);

/** Serves the queue as a worker does, without painting, until `enough`. */
function serve(events: Event[], enough: () => boolean): { done: Promise<void>; stop(): Promise<void> } {
  let tell: () => void;
  const done = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const worker = openRenderWorker(workerConnection(redis.url), async ({ data }) => {
    await started(redis.client, data.jobId);
    events.push({ kind: 'began', user: userOf(data), jobId: data.jobId });
    await release(redis.client, data.user.id, data.jobId);
    if (enough()) tell();
    return {} as RenderResult;
  });
  worker.on('error', () => undefined); // Redis is killed under it
  void worker.run();
  return { done, stop: () => worker.close(true) };
}

/**
 * Self-clocked fair queueing promises, where all jobs are alike: while a job of u waits, and W jobs of u are begun before it, any v gets at
 * most (cost of u / cost of v) · (W + 1) + 1 jobs. What is over that is somebody's unfair wait, in jobs.
 */
function worstUnfairness(events: readonly Event[]): number {
  const came = new Map(events.flatMap((e, i) => (e.kind === 'came' ? [[e.jobId, i] as const] : [])));
  let worst = Number.NEGATIVE_INFINITY;
  for (const [at, event] of events.entries()) {
    if (event.kind !== 'began') continue;
    const begun = new Map<number, number>();
    for (const other of events.slice((came.get(event.jobId) as number) + 1, at))
      if (other.kind === 'began') begun.set(other.user, (begun.get(other.user) ?? 0) + 1);
    const own = begun.get(event.user) ?? 0;
    for (const [user, jobs] of begun) {
      if (user === event.user) continue;
      const share = LANE_COST[laneOf(event.user)] / LANE_COST[laneOf(user)];
      worst = Math.max(worst, jobs - share * (own + 1));
    }
  }
  return worst;
}

describe('three lanes', { timeout: 180_000 }, () => {
  it('two hundred users: fair to one job, caps hold, a restart in the middle loses nothing', async () => {
    const events: Event[] = [];
    let refused = 0;
    // One in ten asks for as much as they can get, the others for one to four.
    for (let round = 0; round < 20; round++) {
      const asking = [];
      for (let n = 0; n < USERS; n++) {
        const wants = n % 10 === 0 ? 20 : 1 + (n % 4);
        if (round < wants) asking.push(ask(events, n, laneOf(n)));
      }
      refused += (await Promise.all(asking)).filter((ok) => !ok).length;
    }
    expect(refused).toBe((20 - CAP) * (USERS / 10));
    for (let n = 0; n < USERS; n += 10) expect(await redis.client.zcard(keys.open(userId(n)))).toBe(CAP);
    const before = events.length;

    const began = () => events.filter(({ kind }) => kind === 'began').length;
    const first = serve(events, () => began() >= 200);
    await first.done;
    // Newcomers while the queue is full.
    await Promise.all(Array.from({ length: 20 }, (_, i) => ask(events, USERS + i, laneOf(USERS + i))));
    // Redis dies under the worker; what it had written to its log is there again.
    await redis.kill('SIGKILL');
    await first.stop().catch(() => undefined);
    await queues.close();
    await redis.start();
    queues = open();
    const all = before + 20;
    const unique = () => new Set(events.flatMap((e) => (e.kind === 'began' ? [e.jobId] : []))).size;
    const second = serve(events, () => unique() >= all);
    await second.done;
    await second.stop();

    const came = events.flatMap((e) => (e.kind === 'came' ? [e.jobId] : []));
    expect(new Set(events.flatMap((e) => (e.kind === 'began' ? [e.jobId] : [])))).toEqual(new Set(came));
    // At most the one that was running when Redis died began twice.
    expect(began() - all).toBeLessThanOrEqual(1);
    const worst = worstUnfairness(events);
    expect(worst).toBeLessThanOrEqual(1);
    expect(worst).toBeGreaterThan(Number.NEGATIVE_INFINITY);
  });

  it('serves turbo, fast and relax 4 : 2 : 1 while all of them wait', async () => {
    const events: Event[] = [];
    for (let i = 0; i < 28; i++)
      for (const n of [0, 1, 2]) await ask(events, n, laneOf(n)).catch(() => undefined);
    const first = serve(events, () => events.filter(({ kind }) => kind === 'began').length >= 14);
    await first.done;
    await first.stop();
    const began = events.filter(({ kind }) => kind === 'began').slice(0, 14);
    expect([0, 1, 2].map((n) => began.filter(({ user }) => user === n).length)).toEqual([8, 4, 2]);
  });

  it('three jobs of one user run at a time over five workers, and all of them in the end', async () => {
    const events: Event[] = [];
    for (let i = 0; i < CAP; i++) await ask(events, 0, 'fast');
    let running = 0;
    let most = 0;
    let done = 0;
    let tell: () => void;
    const all = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const waiting: (() => void)[] = [];
    let idle = 0;
    const workers = Array.from({ length: 5 }, () =>
      openRenderWorker(workerConnection(redis.url), async (job, token) => {
        const { jobId, user } = job.data;
        await holdBack(redis.client, job, token, { userId: user.id, jobId, maxRunning: 3 }).catch((held) => {
          idle++;
          throw held;
        });
        running++;
        most = Math.max(most, running);
        // Each runs until three run, or nothing more can come: the cap is reached, not only kept.
        if (running < 3 && done + running < CAP) await new Promise<void>((resolve) => waiting.push(resolve));
        for (const go of waiting.splice(0)) go();
        running--;
        if (++done === CAP) tell();
        await wakeNext(queues, redis.client, user.id, jobId);
        return {} as RenderResult;
      }),
    );
    for (const worker of workers) void worker.run();
    await all;
    await Promise.all(workers.map((worker) => worker.close()));
    expect(most).toBe(3);
    expect(idle).toBeGreaterThan(0);
    expect(await redis.client.exists(keys.running(userId(0)), keys.held(userId(0)))).toBe(0);
  });
});
