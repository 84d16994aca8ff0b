import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { announce, expectedWait, recordPace } from '../../../shared/queue/registry.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { card } from '../prompt/models.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(() => redis.client.flushall());

const works = (id: string, model = 'pocket') =>
  announce(redis.client, { id, models: [card({ name: model })] });
const wait = (ahead: number, action?: Parameters<typeof expectedWait>[3]) =>
  expectedWait(redis.client, 'pocket', ahead, action);

describe('the expected wait', () => {
  it('is unknown until something was painted, and while nobody paints', async () => {
    await works('a');
    expect(await wait(0)).toBeUndefined();
    await redis.client.flushall();
    await recordPace(redis.client, 'pocket', 'imagine', 8_000);
    expect(await wait(0)).toBeUndefined();
  });

  it('is the jobs ahead, shared by the workers, and one’s own', async () => {
    await recordPace(redis.client, 'pocket', 'imagine', 10_000);
    await works('a');
    expect([await wait(0), await wait(2)]).toEqual([10_000, 30_000]);
    await works('b');
    expect([await wait(0), await wait(1), await wait(2), await wait(4)]).toEqual([
      10_000, 10_000, 20_000, 30_000,
    ]);
  });

  it('knows that a picture out of a grid is sooner ready than a grid', async () => {
    await works('a');
    await recordPace(redis.client, 'pocket', 'imagine', 10_000);
    await recordPace(redis.client, 'pocket', 'upscale-subtle', 1_000);
    expect([await wait(0, 'imagine'), await wait(0, 'upscale-subtle')]).toEqual([10_000, 1_000]);
    expect(await wait(0, 'pan-left')).toBe(8_200); // never measured: as any job, 0.8 · 10 s + 0.2 · 1 s
    expect(await wait(1, 'upscale-subtle')).toBe(9_200);
  });
});
