import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { release, reserve, started } from '../../../shared/queue/fairness.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { workOf } from '../../../shared/queue/workOf.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(() => redis.client.flushall());

const ask = (
  userId: string,
  jobId: string,
  o: { maxPerUser?: number; maxAll?: number; now?: number; work?: number } = {},
) =>
  reserve(redis.client, {
    userId,
    jobId,
    maxPerUser: o.maxPerUser ?? 1000,
    maxAll: o.maxAll ?? 10_000,
    ...(o.now === undefined ? {} : { now: o.now }),
    ...(o.work === undefined ? {} : { work: o.work }),
  });

/** Serves everything in order of tags, as the queue does, and says whose job came when. */
async function serve(tags: { user: string; job: string; tag: number }[]): Promise<string[]> {
  const order: string[] = [];
  for (const { user, job } of tags.sort((a, b) => a.tag - b.tag)) {
    await started(redis.client, job);
    await release(redis.client, user, job);
    order.push(user);
  }
  return order;
}

describe('fairness', () => {
  it('lets one who types one prompt wait for one job of one who typed forty', async () => {
    const tags = [];
    for (let i = 0; i < 40; i++) {
      const got = await ask('1', `1000${i}`);
      if (got.ok) tags.push({ user: 'greedy', job: `1000${i}`, tag: got.priority });
    }
    const late = await ask('2', '20000');
    if (late.ok) tags.push({ user: 'modest', job: '20000', tag: late.priority });
    expect(tags).toHaveLength(41);
    expect((await serve(tags)).indexOf('modest')).toBeLessThanOrEqual(1);
  });

  it('serves three busy users in turn', async () => {
    const tags = [];
    for (const user of ['1', '2', '3']) {
      for (let i = 0; i < 20; i++) {
        const got = await ask(user, `${user}000${i}`);
        if (got.ok) tags.push({ user, job: `${user}000${i}`, tag: got.priority });
      }
    }
    const order = await serve(tags);
    for (const at of [3, 12, 30, 57]) {
      const served = ['1', '2', '3'].map((user) => order.slice(0, at).filter((who) => who === user).length);
      expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(1);
    }
  });

  it('serves who asks for little before who asks for much, and who asks for much before long', async () => {
    const tagOf = async (user: string, job: string, work: number): Promise<number> => {
      const got = await ask(user, job, { work });
      return got.ok ? got.priority : Number.NaN;
    };
    const tags = [];
    for (const user of ['1', '2', '3'])
      tags.push({ user: 'grid', job: `${user}0000`, tag: await tagOf(user, `${user}0000`, 4) });
    tags.push({ user: 'much', job: '40000', tag: await tagOf('4', '40000', 40) });
    tags.push({ user: 'little', job: '50000', tag: await tagOf('5', '50000', 1) });
    expect((await serve(tags)).slice(0, 4)).toEqual(['little', 'grid', 'grid', 'grid']);
    // However many with small wishes come while it waits, one after the other.
    await ask('4', '40001', { work: 40 });
    const much = await tagOf('4', '40001', 40);
    let before = 0;
    for (let n = 0; n < 200; n++) {
      const job = `6000${n}`;
      if ((await tagOf(`6${n}`, job, 1)) < much) before++;
      await started(redis.client, job);
      await release(redis.client, `6${n}`, job);
    }
    expect(before).toBeLessThan(80);
    expect(before).toBeGreaterThan(20);
  });

  it.each([
    [{ action: 'imagine', count: 4, params: {} }, 4],
    [{ action: 'imagine', count: 4, params: { draft: true } }, 2],
    [{ action: 'imagine', count: 4, params: { quality: 4 } }, 16],
    [{ action: 'imagine', count: 1, params: { quality: 0.25 } }, 1],
    [{ action: 'upscale-subtle', count: 1, params: { quality: 4 } }, 1],
    [{ action: 'vary-strong', count: 4, params: {} }, 4],
  ] as const)('%j is the work of %d pictures', (request, work) => expect(workOf(request)).toBe(work));

  it('does not make a newcomer pay for what was served before', async () => {
    for (let i = 0; i < 10; i++) {
      await ask('1', `1000${i}`);
      if (i < 9) {
        await started(redis.client, `1000${i}`);
        await release(redis.client, '1', `1000${i}`);
      }
    }
    const newcomer = await ask('2', '20000');
    const again = await ask('1', '10010');
    expect(newcomer.ok && again.ok && newcomer.priority < again.priority).toBe(true);
  });

  it('gives the same place when asked twice, and frees it once', async () => {
    const first = await ask('1', '10000');
    expect(await ask('1', '10000')).toEqual(first);
    await release(redis.client, '1', '10000');
    await release(redis.client, '1', '10000');
    expect(await redis.client.exists(keys.fair, keys.openAll, keys.open('1'))).toBe(0);
  });

  it('caps one user and all users, and says which', async () => {
    for (let i = 0; i < 3; i++) expect((await ask('1', `1000${i}`, { maxPerUser: 3 })).ok).toBe(true);
    expect(await ask('1', '10009', { maxPerUser: 3 })).toEqual({ ok: false, why: 'user', open: 3 });
    expect(await ask('2', '20000', { maxAll: 3 })).toEqual({ ok: false, why: 'all', open: 3 });
  });

  it('drops the reservation of a process that died before it queued the job', async () => {
    await ask('1', '10000', { maxPerUser: 1, now: 1_000_000 });
    expect((await ask('1', '10001', { maxPerUser: 1, now: 1_025_000 })).ok).toBe(false);
    expect((await ask('1', '10001', { maxPerUser: 1, now: 1_031_000 })).ok).toBe(true);
  });

  it('drops it when anybody asks, though its owner never comes back', async () => {
    await ask('1', '10000', { now: 1_000_000 });
    await ask('2', '20000', { now: 1_031_000 });
    await release(redis.client, '2', '20000');
    expect(await redis.client.exists(keys.fair, keys.openAll)).toBe(0);
  });

  it('charges nothing for what was given back before it began', async () => {
    await ask('3', '30000'); // so that the queue is never empty
    for (let i = 0; i < 50; i++) {
      const jobs = [`1${i}0`, `1${i}1`, `1${i}2`].map((id) => `1000${id}`);
      for (const job of jobs) await ask('1', job);
      for (const job of jobs.toReversed()) await release(redis.client, '1', job);
    }
    const [one, other] = [await ask('1', '10000'), await ask('2', '20000')];
    expect(one.ok && other.ok && one.priority === other.priority).toBe(true);
  });

  it('charges what has begun, however it ends', async () => {
    const waiting = await ask('3', '30000');
    await ask('1', '10000');
    await started(redis.client, '10000');
    await release(redis.client, '1', '10000');
    const [one, newcomer] = [await ask('1', '10001'), await ask('2', '20000')];
    expect(one.ok && waiting.ok && one.priority > waiting.priority).toBe(true);
    expect(one.ok && newcomer.ok && one.priority === newcomer.priority).toBe(true);
  });

  it('keeps the reservation of a job that still waits, however long', async () => {
    await ask('1', '10000', { maxPerUser: 1, now: 1_000_000 });
    await redis.client.hset('{dreamgrid}:deliver:d-10000', 'name', 'deliver');
    expect((await ask('1', '10001', { maxPerUser: 1, now: 9_000_000 })).ok).toBe(false);
  });
});
