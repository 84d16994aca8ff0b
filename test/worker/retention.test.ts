import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { toggleFavourite } from '../../shared/memory/jobRecords.ts';
import { openFolderStore, pictureKeys, type Store } from '../../shared/picture/store.ts';
import { keys } from '../../shared/queue/redis.ts';
import { openLog } from '../../shared/service/log.ts';
import { openRetention, sweep } from '../../worker/retention.ts';
import { snowflake } from '../support/jobs.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** Old pictures leave by themselves; what a member keeps, what is new and what was uploaded stays. */
let redis: TestRedis;
let root: string;
let store: Store;
beforeAll(async () => {
  redis = await startRedis();
  root = await mkdtemp(join(tmpdir(), 'dreamgrid-retention-'));
  store = await openFolderStore(root);
});
afterAll(async () => {
  await redis.close();
  await rm(root, { recursive: true, force: true });
});

const DAY_MS = 24 * 3600_000;
const upload = pictureKeys.upload('a'.repeat(64));
async function jobOf(daysAgo: number): Promise<string> {
  const jobId = snowflake();
  await store.put(pictureKeys.picture(jobId, 0), Buffer.from('picture'));
  await age(jobId, daysAgo);
  return jobId;
}
const age = (name: string, daysAgo: number): Promise<void> => {
  const at = new Date(Date.now() - daysAgo * DAY_MS);
  return utimes(join(root, name), at, at);
};
const has = (jobId: string): Promise<boolean> => store.has(pictureKeys.picture(jobId, 0));
const deps = () => ({ redis: redis.client, store, log: openLog('test', 'silent') });

it('removes what is old, and neither favourites nor what is new nor uploads', async () => {
  const [old, young, kept] = [await jobOf(91), await jobOf(89), await jobOf(91)];
  await store.put(upload, Buffer.from('upload'));
  await store.check();
  await Promise.all(['uploads', 'check', '.tmp'].map((name) => age(name, 1000)));
  await toggleFavourite(redis.client, '123456789012345678', { jobId: kept, index: 2 }, 1);
  expect(await sweep(deps(), Date.now() - 90 * DAY_MS)).toBe(1);
  expect(await Promise.all([has(old), has(young), has(kept), store.has(upload)])).toEqual([
    false,
    true,
    true,
    true,
  ]);
  await store.check();
});

it('by one worker of all, and by none where it is off', async () => {
  const old = await jobOf(91);
  openRetention(deps(), 0)();
  await redis.client.set(keys.swept, '1');
  openRetention(deps(), 90)();
  await expect.poll(() => has(old)).toBe(true);
  await redis.client.del(keys.swept);
  const end = openRetention(deps(), 90);
  await expect.poll(() => has(old)).toBe(false);
  end();
  expect(await redis.client.ttl(keys.swept)).toBeGreaterThan(3600);
});
