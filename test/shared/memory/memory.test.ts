import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  MAX_OPTIONS,
  optionName,
  readOptions,
  removeOption,
  setOption,
} from '../../../shared/memory/customOptions.ts';
import {
  FAVOURITES_MAX,
  forgetFavourites,
  HISTORY_MAX,
  type JobRecord,
  readChildren,
  readFavourites,
  readHistory,
  readJobs,
  recordJob,
  toggleFavourite,
} from '../../../shared/memory/jobRecords.ts';
import {
  changeSettings,
  MEMORY_TTL_S,
  readSettings,
  resetSettings,
} from '../../../shared/memory/settings.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

const ANN = '123456789012345678';
let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(() => redis.client.flushall());

const record = (n: number, more: Partial<JobRecord> = {}): JobRecord => ({
  jobId: String(100000000000000000n + BigInt(n)),
  userId: ANN,
  action: 'imagine',
  prompt: 'a fox',
  channelId: '123456789012345670',
  locale: 'vi',
  stealth: false,
  at: 1000 + n,
  ...more,
});

describe('settings', () => {
  it('are kept by field, taken back by field, and forgotten in the end', async () => {
    await Promise.all([
      changeSettings(redis.client, ANN, { stylize: 250 }),
      changeSettings(redis.client, ANN, { remix: true }),
      changeSettings(redis.client, ANN, { lane: 'relax', suffix: '--ar 3:2' }),
    ]);
    expect(await readSettings(redis.client, ANN)).toEqual({
      stylize: 250,
      remix: true,
      lane: 'relax',
      suffix: '--ar 3:2',
    });
    await changeSettings(redis.client, ANN, { stylize: undefined });
    expect(await readSettings(redis.client, ANN)).not.toHaveProperty('stylize');
    expect(await redis.client.ttl(keys.settings(ANN))).toBeGreaterThan(MEMORY_TTL_S - 60);
    await resetSettings(redis.client, ANN);
    expect(await readSettings(redis.client, ANN)).toEqual({});
  });

  it('take nothing out of range, and read past what they do not know', async () => {
    await expect(changeSettings(redis.client, ANN, { stylize: 5000 })).rejects.toThrow();
    await redis.client.hset(
      keys.settings(ANN),
      'lane',
      '"warp"',
      'remix',
      'yes',
      'raw',
      'true',
      'colour',
      '1',
    );
    expect(await readSettings(redis.client, ANN)).toEqual({ raw: true });
  });
});

describe('options', () => {
  it('are named as they are typed in a prompt', async () => {
    expect(await setOption(redis.client, ANN, '—Mine', 'in oil --ar 3:2')).toBe('mine');
    expect(await setOption(redis.client, ANN, 'mực_tàu', 'in ink')).toBe('mực_tàu');
    expect([...(await readOptions(redis.client, ANN))]).toEqual([
      ['mine', 'in oil --ar 3:2'],
      ['mực_tàu', 'in ink'],
    ]);
    expect(await removeOption(redis.client, ANN, 'mine')).toBe(true);
    expect(await removeOption(redis.client, ANN, 'mine')).toBe(false);
  });

  it.each([
    ['two words', 'option-name'],
    ['', 'option-name'],
    ['a{b}', 'option-name'],
    ['--ar', 'option-reserved'],
    ['Stylize', 'option-reserved'],
  ])('%s is no name', (name, code) => {
    expect(() => optionName(name)).toThrow(expect.objectContaining({ code }));
  });

  it('are twenty at most, however many are set at once', async () => {
    const set = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) => setOption(redis.client, ANN, `o${i}`, 'x')),
    );
    expect(set.filter(({ status }) => status === 'fulfilled')).toHaveLength(MAX_OPTIONS);
    expect(await redis.client.hlen(keys.options(ANN))).toBe(MAX_OPTIONS);
    const [first] = (await readOptions(redis.client, ANN)).keys();
    expect(await setOption(redis.client, ANN, first as string, 'changed')).toBe(first);
  });
});

describe('pictures', () => {
  it('know their parent, their children and their owner’s history', async () => {
    const parent = record(1);
    const child = record(2, { action: 'vary-strong', parent: { jobId: parent.jobId, index: 2 } });
    await recordJob(redis.client, parent);
    await recordJob(redis.client, child);
    await recordJob(redis.client, child);
    expect(await readHistory(redis.client, ANN)).toEqual([child.jobId, parent.jobId]);
    expect(await readChildren(redis.client, parent.jobId)).toEqual([child.jobId]);
    expect(await readJobs(redis.client, [child.jobId, '100000000000000099', parent.jobId])).toEqual([
      child,
      undefined,
      parent,
    ]);
  });

  it('are remembered up to a number, the newest', async () => {
    const old = Array.from({ length: HISTORY_MAX }, (_, n) => [String(1000 + n), record(n).jobId]).flat();
    await redis.client.zadd(keys.history(ANN), ...old);
    for (let n = HISTORY_MAX; n < HISTORY_MAX + 5; n++) await recordJob(redis.client, record(n));
    const history = await readHistory(redis.client, ANN);
    expect(history).toHaveLength(HISTORY_MAX);
    expect(history[0]).toBe(record(HISTORY_MAX + 4).jobId);
  });

  it('that somebody keeps do not expire', async () => {
    const one = record(1);
    await recordJob(redis.client, one);
    const kept = { jobId: one.jobId, index: 3 };
    expect(await toggleFavourite(redis.client, ANN, kept, 5)).toBe(true);
    expect(await redis.client.ttl(keys.job(one.jobId))).toBe(-1);
    expect(await readFavourites(redis.client, ANN)).toEqual([kept]);
    expect(await toggleFavourite(redis.client, ANN, kept, 6)).toBe(false);
    expect(await redis.client.ttl(keys.job(one.jobId))).toBeGreaterThan(0);
    expect(await readFavourites(redis.client, ANN)).toEqual([]);
  });

  it('that several keep expire when the last lets go', async () => {
    const one = record(1);
    const kept = { jobId: one.jobId, index: 0 };
    await recordJob(redis.client, one);
    const ttl = () => redis.client.ttl(keys.job(one.jobId));
    await toggleFavourite(redis.client, ANN, kept, 5);
    await toggleFavourite(redis.client, ANN, { ...kept, index: 1 }, 5);
    await toggleFavourite(redis.client, '223456789012345678', kept, 6);
    await toggleFavourite(redis.client, '223456789012345678', kept, 7);
    expect(await ttl()).toBe(-1);
    await toggleFavourite(redis.client, ANN, kept, 8);
    expect(await ttl()).toBe(-1);
    await forgetFavourites(redis.client, ANN);
    expect(await ttl()).toBeGreaterThan(0);
    expect(await redis.client.exists(keys.favourites(ANN), keys.keepers(one.jobId))).toBe(0);
  });

  it('expire again when newer favourites push them out', async () => {
    const one = record(1);
    await recordJob(redis.client, one);
    await toggleFavourite(redis.client, ANN, { jobId: one.jobId, index: 0 }, 1);
    for (let n = 2; n <= FAVOURITES_MAX + 1; n++)
      await toggleFavourite(redis.client, ANN, { jobId: record(n).jobId, index: 0 }, n);
    expect(await readFavourites(redis.client, ANN)).toHaveLength(FAVOURITES_MAX);
    expect(await redis.client.ttl(keys.job(one.jobId))).toBeGreaterThan(0);
    expect(await redis.client.exists(keys.keepers(one.jobId))).toBe(0);
  });

  it('keep note of uploads, once for each who sent the file', async () => {
    const image = `uploads/${'a'.repeat(64)}.png`;
    await recordJob(redis.client, record(1, { image }));
    await recordJob(redis.client, record(2, { image, userId: '223456789012345678' }));
    expect((await redis.client.smembers(keys.uploaders(image))).sort()).toEqual([ANN, '223456789012345678']);
    expect(await redis.client.smembers(keys.uploads(ANN))).toEqual([image]);
  });
});
