import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore, parsePlace, printPlace } from '../../../shared/picture/openStore.ts';
import { waitingFor } from '../../../shared/picture/retryingStore.ts';
import { type BucketOptions, openBucketStore } from '../../../shared/picture/s3Store.ts';
import { StoreAwayError } from '../../../shared/picture/store.ts';
import { readEnv } from '../../../shared/service/env.ts';
import { type FaultProxy, startProxy } from '../../support/proxy.ts';
import { startS3rver, type TestS3 } from '../../support/s3.ts';

let s3: TestS3;
let proxy: FaultProxy;
beforeAll(async () => {
  s3 = await startS3rver();
  proxy = await startProxy(s3.port);
});
afterAll(async () => {
  await proxy.close();
  await s3.close();
});

const open = (options: Partial<BucketOptions> = {}) =>
  openBucketStore({
    bucket: s3.bucket,
    prefix: 'away',
    endpoint: `http://127.0.0.1:${proxy.port}`,
    region: 'us-east-1',
    credentials: s3.credentials,
    // Longer than a busy machine is late; a refusal is told at once.
    connectMs: 20_000,
    requestMs: 20_000,
    attempts: 2,
    ...options,
  });

const KEY = '123456789012345678/0.png';

describe('a bucket that is away', () => {
  it.each([
    ['refuse', 20_000, /does not answer \((?:ECONNRESET|ECONNREFUSED|EPIPE)\)/],
    ['blackhole', 300, /does not answer in time/],
  ] as const)('(%s) is named with its address, and answers again by itself', async (mode, ms, words) => {
    await (await open()).put(KEY, Buffer.from('before'));
    const store = await open({ connectMs: ms, requestMs: ms });
    proxy.set(mode);
    for (const call of [
      () => store.get(KEY),
      () => store.put(KEY, Buffer.from('x')),
      () => store.has(KEY),
      () => store.remove(KEY),
      () => store.check(),
    ]) {
      const error = await call().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StoreAwayError);
      expect((error as Error).message).toMatch(words);
      expect((error as Error).message).toContain(`"${s3.bucket}" at http://127.0.0.1:${proxy.port}`);
    }
    proxy.set('pass');
    await expect.poll(async () => (await store.get(KEY).catch(() => undefined))?.toString()).toBe('before');
  });

  it('is no reason not to start; a bucket that is none, and a key that is refused, are', async () => {
    proxy.set('refuse');
    const store = await open();
    await expect(store.check()).rejects.toThrow(StoreAwayError);
    proxy.set('pass');
    await store.check();
    await expect(open({ bucket: 'nobodys' })).rejects.toThrow(
      /^STORE: the bucket "nobodys" at http\S+ does not exist\. Create it, or correct STORE\.$/,
    );
    const credentials = { ...s3.credentials, accessKeyId: 'nobody' };
    await expect(open({ credentials })).rejects.toThrow(/^STORE: .* refuses this key \(InvalidAccessKeyId\)/);
  });

  it('is tried again within one call', async () => {
    const store = await open({ attempts: 5 });
    await store.put(KEY, Buffer.from('kept'));
    const cut = proxy.cutAt(/GET \/pictures/, 'before');
    const got = store.get(KEY);
    await cut;
    proxy.set('pass');
    expect((await got)?.toString()).toBe('kept');
  });
});

describe('waiting for a store', () => {
  it('goes on when it is back, and tells once that it waits', async () => {
    const store = await open();
    const told: string[] = [];
    const patient = waitingFor(store, {
      forMs: 60_000,
      soonestMs: 10,
      latestMs: 20,
      onWait: ({ message }) => {
        told.push(message);
        setTimeout(() => proxy.set('pass'), 0);
      },
    });
    proxy.set('refuse');
    await patient.put(KEY, Buffer.from('late'));
    expect(told).toHaveLength(1);
    expect((await store.get(KEY))?.toString()).toBe('late');
  });

  it('ends at once when it is stopped, and when its time is over', async () => {
    proxy.set('refuse');
    const store = await open();
    const stop = new AbortController();
    const stopped = waitingFor(store, {
      forMs: 3_600_000,
      soonestMs: 3_000_000,
      signal: stop.signal,
      onWait: () => stop.abort(),
    });
    await expect(stopped.get(KEY)).rejects.toThrow(StoreAwayError);
    await expect(waitingFor(store, { forMs: 0 }).get(KEY)).rejects.toThrow(StoreAwayError);
    proxy.set('pass');
  });

  it('does not wait for what waiting does not mend', async () => {
    const patient = waitingFor(await open(), { forMs: 3_600_000, soonestMs: 3_000_000 });
    await expect(async () => patient.get('../x')).rejects.toThrow(/store key/);
  });
});

describe('where pictures are', () => {
  it.each([
    ['s3://pictures/a/b', { kind: 'bucket', bucket: 'pictures', prefix: 'a/b' }],
    ['s3://pictures', { kind: 'bucket', bucket: 'pictures', prefix: '' }],
    ['s3://my.bucket-1/x/', { kind: 'bucket', bucket: 'my.bucket-1', prefix: 'x' }],
    ['/data', { kind: 'folder', path: '/data' }],
  ])('%s', (text, place) => {
    expect(parsePlace(text)).toEqual(place);
    expect(parsePlace(printPlace(parsePlace(text)))).toEqual(place);
  });

  it.each(['s3://', 's3:/x', 's3://a', 's3://key:secret@bucket/x', 's3://bucket/../other', 's3://bucket//x'])(
    'refuses %s',
    (text) => {
      expect(() => parsePlace(text)).toThrow(/^STORE: expected s3:\/\/bucket\/prefix; got /);
      expect(() => readEnv({ STORE: text })).toThrow(/^Wrong setting: STORE: expected s3:/);
    },
  );

  it('one half of a key is a wrong setting, and its value is not shown', async () => {
    const env = readEnv({ STORE: 's3://pictures', S3_SECRET_KEY: 'half-of-a-pair' });
    const error = await openStore(env).catch((thrown: unknown) => thrown as Error);
    expect((error as Error).message).toBe(
      'S3_ACCESS_KEY and S3_SECRET_KEY: expected both or neither; got one.',
    );
  });
});
