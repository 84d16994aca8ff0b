import { afterEach, describe, expect, it } from 'vitest';
import { openBucketStore } from '../../shared/picture/s3Store.ts';
import { pictureKeys, type Store } from '../../shared/picture/store.ts';
import { type FaultStack, problemsOf, startFaultStack, until } from '../support/faults.ts';
import { type FaultProxy, startProxy } from '../support/proxy.ts';
import { freePort } from '../support/redis.ts';
import { startS3rver, type TestS3 } from '../support/s3.ts';

/** BUCKET_JOBS=20 BUCKET_AWAY_S=120: as long as an operator would notice. */
const JOBS = Number(process.env['BUCKET_JOBS'] ?? 6);
const AWAY_S = Number(process.env['BUCKET_AWAY_S'] ?? 0);

let s3: TestS3;
let proxy: FaultProxy;
let stack: FaultStack;
afterEach(async () => {
  await stack.close();
  await proxy.close();
  await s3.close();
});

async function begin(env: Record<string, string> = {}): Promise<void> {
  s3 = await startS3rver();
  proxy = await startProxy(s3.port);
  stack = await startFaultStack({ env: { MAX_RUNNING_JOBS: '40', MAX_OPEN_JOBS: '40', ...env } });
}
const inBucket = (): Record<string, string> => ({
  ...s3.env,
  S3_ENDPOINT: `http://127.0.0.1:${proxy.port}`,
});
const openBucket = (): Promise<Store> => openBucketStore({ ...s3, prefix: 'dreamgrid', region: 'us-east-1' });

describe('pictures in a bucket', () => {
  it(`the bucket is away in the middle of ${JOBS} jobs: all are delivered once, and it is said meanwhile`, async () => {
    await begin();
    const port = await freePort();
    const [bot, worker] = await Promise.all([
      stack.start('bot/main.ts', 'bot ready', inBucket()),
      stack.start('worker/main.ts', 'worker ready', { ...inBucket(), HEALTH_PORT: String(port) }),
    ]);
    const first = await stack.imagine('before');
    const shown = await stack.grid(first);
    const handles = await Promise.all(
      Array.from({ length: JOBS }, (_, i) => stack.imagine(`job ${i}`, i % 2 ? 'member' : 'stranger')),
    );
    await stack.shown(handles[0] as (typeof handles)[0], ({ content }) => content.includes('%'));
    proxy.set('refuse');
    const wentAway = performance.now();
    await worker.logged(({ msg }) => msg === 'the picture waits for the store');
    expect((await problemsOf(port))?.join()).toMatch(
      /^the store: the bucket "pictures" at http\S+ does not answer/,
    );
    // What needs no store goes on: a variation's recipe is known, and a click is taken.
    const variation = await stack.press(shown, 'V2');
    expect(variation.state).toBe('acknowledged');
    await until(() => performance.now() - wentAway > AWAY_S * 1000, 'the outage', (AWAY_S + 60) * 1000);
    expect(await problemsOf(port)).not.toEqual([]);
    proxy.set('pass');
    await until(async () => (await problemsOf(port))?.length === 0, 'readiness');
    for (const handle of [...handles, variation]) {
      await stack.grid(handle, 300_000);
      expect(stack.messagesOf(handle)).toHaveLength(1);
      expect(stack.gpuRuns(handle.id)).toBe(1);
    }
    const store = await openBucket();
    for (const handle of handles) expect(await store.has(pictureKeys.result(handle.id))).toBe(true);
    expect(bot.events.filter(({ level }) => level === 'error')).toEqual([]);
    await stack.expectClean();
  });
});
