import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dayOf, giveBackQuota, takeQuota, usedToday } from '../../../bot/server/dailyQuota.ts';
import { takeServerPlaces } from '../../../bot/server/serverCap.ts';
import { changeServer, readServer, SERVER_DEFAULTS } from '../../../bot/server/settings.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

const MAI = '1190000000000000010';
const GUILD = '1190000000000000100';
const all = { scope: 'all', max: 3 };
const here = { scope: GUILD, max: 2 };
/** A minute before midnight UTC, and a minute after. */
const EVENING = Date.UTC(2026, 10, 23, 23, 59);
const NIGHT = Date.UTC(2026, 10, 24, 0, 1);

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.client.flushall());
afterAll(() => redis?.close());

describe('jobs a day', () => {
  const take = (jobIds: string[], now = EVENING, quotas = [all, here]) =>
    takeQuota(redis.client, MAI, quotas, jobIds, now);

  it('all of a request or none of it, by the limit that is reached first', async () => {
    expect(await take(['1'])).toBeUndefined();
    expect(await take(['2', '3'])).toEqual({ over: here, used: 1 });
    expect(await usedToday(redis.client, MAI, 'all', EVENING)).toBe(1);
    expect(await take(['2'])).toBeUndefined();
    expect(await take(['3'])).toEqual({ over: here, used: 2 });
    expect(await take(['3'], EVENING, [all])).toBeUndefined();
    expect(await take(['4'], EVENING, [all])).toEqual({ over: all, used: 3 });
  });

  it('the same job twice is one job', async () => {
    for (let i = 0; i < 3; i++) expect(await take(['1', '2'])).toBeUndefined();
    expect(await usedToday(redis.client, MAI, GUILD, EVENING)).toBe(2);
  });

  it('what was not queued counts no more', async () => {
    await take(['1', '2']);
    await giveBackQuota(redis.client, MAI, [all, here], ['2'], EVENING);
    expect(await usedToday(redis.client, MAI, 'all', EVENING)).toBe(1);
    expect(await take(['3'])).toBeUndefined();
  });

  it('a new day begins at midnight UTC, and the old one is forgotten', async () => {
    await take(['1', '2']);
    expect(await take(['3'])).toBeDefined();
    expect([dayOf(EVENING), dayOf(NIGHT)]).toEqual(['2026-11-23', '2026-11-24']);
    expect(await take(['3'], NIGHT)).toBeUndefined();
    expect(await redis.client.ttl(keys.used(GUILD, MAI, '2026-11-23'))).toBeGreaterThan(0);
  });

  it('holds when a hundred come at once', async () => {
    const taken = await Promise.all(Array.from({ length: 100 }, (_, i) => take([String(i)])));
    expect(taken.filter((over) => over === undefined)).toHaveLength(2);
  });
});

describe('jobs of one server', () => {
  const open = (...ids: string[]) =>
    redis.client.zadd(keys.openAll, ...ids.flatMap((id) => [1, id] as [number, string]));
  const take = (...ids: string[]) => takeServerPlaces(redis.client, GUILD, ids, 3);

  it('counts those that are open, forgets those that have ended', async () => {
    await open('1', '2', '3', '4');
    expect(await take('1', '2')).toBeUndefined();
    expect(await take('3', '4')).toBe(2);
    expect(await take('3')).toBeUndefined();
    expect(await take('1', '2', '3')).toBeUndefined();
    expect(await take('4')).toBe(3);
    await redis.client.zrem(keys.openAll, '2');
    expect(await take('4')).toBeUndefined();
    expect(await redis.client.ttl(keys.openServer(GUILD))).toBeGreaterThan(0);
  });

  it('holds when a hundred come at once', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => String(i));
    await open(...ids);
    const taken = await Promise.all(ids.map((id) => take(id)));
    expect(taken.filter((full) => full === undefined)).toHaveLength(3);
  });
});

describe('what a server chose', () => {
  it('is kept field by field, so that two who choose at once both win', async () => {
    await Promise.all([
      changeServer(redis.client, GUILD, { daily: 5 }),
      changeServer(redis.client, GUILD, { words: ['pumpkin'] }),
    ]);
    expect(await readServer(redis.client, GUILD)).toEqual({
      ...SERVER_DEFAULTS,
      daily: 5,
      words: ['pumpkin'],
    });
    expect(await readServer(redis.client, undefined)).toEqual(SERVER_DEFAULTS);
  });

  it.each([
    { daily: -1 },
    { daily: 1.5 },
    { slowSeconds: 21_601 },
    { channels: ['here'] },
    { channels: Array.from({ length: 26 }, () => GUILD) },
    { words: ['x'.repeat(61)] },
    { audit: 'somewhere' },
  ])('refuses $0', async (change) => {
    await expect(changeServer(redis.client, GUILD, change)).rejects.toThrow();
    expect(await redis.client.exists(keys.server(GUILD))).toBe(0);
  });
});
