import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBucketStore } from '../../../shared/picture/s3Store.ts';
import { openFolderStore, pictureKeys, type Store, type StoredFile } from '../../../shared/picture/store.ts';
import { startS3rver, type TestS3 } from '../../support/s3.ts';
import { hasSwift, startSwift } from '../../support/swift.ts';

const A = '123456789012345678';
const B = '123456789012345679';

async function all<T>(from: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of from) found.push(one);
  return found;
}
const keysOf = (files: StoredFile[]): string[] => files.map(({ key }) => key).sort();

interface Kind {
  name: string;
  able: boolean;
  /** A store with nothing in it. */
  open(): Promise<Store>;
  begin(): Promise<void>;
  end(): Promise<void>;
}

function folderKind(): Kind {
  let dir = '';
  let n = 0;
  return {
    name: 'a folder',
    able: true,
    begin: async () => {
      dir = await mkdtemp(join(tmpdir(), 'dreamgrid-contract-'));
    },
    open: () => openFolderStore(join(dir, String(++n))),
    end: () => rm(dir, { recursive: true, force: true }),
  };
}

function bucketKind(name: string, able: boolean, start: () => Promise<TestS3>): Kind {
  let s3: TestS3 | undefined;
  let n = 0;
  return {
    name,
    able,
    begin: async () => {
      s3 = await start();
    },
    open: () => {
      const { bucket, endpoint, credentials } = s3 as TestS3;
      return openBucketStore({
        bucket,
        endpoint,
        credentials,
        region: 'us-east-1',
        prefix: `own/place-${++n}`,
      });
    },
    end: async () => s3?.close(),
  };
}

const kinds = [
  folderKind(),
  bucketKind('a bucket of s3rver', true, startS3rver),
  bucketKind('a bucket of OpenStack Swift (apt-get install python3-swift)', hasSwift(), startSwift),
];

describe.each(kinds)('the store in $name', ({ able, begin, open, end }) => {
  let store: Store;
  beforeAll(async () => {
    if (able) await begin();
  });
  beforeEach(async () => {
    if (able) store = await open();
  });
  afterAll(async () => {
    if (able) await end();
  });

  it.runIf(able)('gives back what it was given, the last of it, and knows what it has not', async () => {
    const key = pictureKeys.picture(A, 2);
    expect(await store.has(key)).toBe(false);
    expect(await store.get(key)).toBeUndefined();
    await store.put(key, Buffer.from('first'));
    await store.put(key, new Uint8Array([0, 255, 10, 13]));
    expect([...((await store.get(key)) as Buffer)]).toEqual([0, 255, 10, 13]);
    expect(await store.has(key)).toBe(true);
    await store.put(pictureKeys.upload('0'.repeat(64)), new Uint8Array(0));
    expect((await store.get(pictureKeys.upload('0'.repeat(64))))?.length).toBe(0);
    const large = Buffer.alloc(3_000_000, 'picture');
    await store.put(pictureKeys.grid(A), large);
    expect((await store.get(pictureKeys.grid(A)))?.equals(large)).toBe(true);
    // What is above a file is no file.
    expect(await store.has(A)).toBe(false);
    expect(await store.get(A)).toBeUndefined();
  });

  it.runIf(able)('removes a key, or all below it, and no neighbour', async () => {
    const kept = [`${A}.1/0.png`, `${A.slice(0, -1)}/0.png`, pictureKeys.picture(B, 0)];
    for (const key of [`${A}/0.png`, `${A}/deep/1.png`, `${A}/result.json`, ...kept])
      await store.put(key, Buffer.from(key));
    await store.remove(`${A}/0.png`);
    expect(keysOf(await all(store.list(`${A}/`)))).toEqual([`${A}/deep/1.png`, `${A}/result.json`]);
    await store.remove(A);
    await store.remove(A); // again, as after a crash
    expect(keysOf(await all(store.list()))).toEqual([...kept].sort());
  });

  it.runIf(able)('lists files with their sizes, and jobs with when they were written', async () => {
    const before = Date.now() - 2_000; // S3 tells whole seconds
    await store.put(pictureKeys.picture(A, 0), Buffer.from('one'));
    await store.put(pictureKeys.result(A), Buffer.from('{}'));
    await store.put(`${A}.2/0.png`, Buffer.from('four'));
    await store.put(pictureKeys.upload('a'.repeat(64)), Buffer.from('upload'));
    await store.check();
    const files = await all(store.list());
    expect(Object.fromEntries(files.map(({ key, bytes }) => [key, bytes]))).toMatchObject({
      [pictureKeys.picture(A, 0)]: 3,
      [pictureKeys.result(A)]: 2,
      [`${A}.2/0.png`]: 4,
      [pictureKeys.upload('a'.repeat(64))]: 6,
    });
    const jobs = await all(store.jobs());
    expect(jobs.map(({ jobId }) => jobId).sort()).toEqual([A, `${A}.2`]);
    for (const { written } of [...files, ...jobs]) {
      expect(written).toBeGreaterThan(before);
      expect(written).toBeLessThan(Date.now() + 2_000);
    }
    expect(await all(store.list(`${B}/`))).toEqual([]);
  });

  it.runIf(able)('two writers of one key leave one of the two, whole', async () => {
    const key = pictureKeys.grid(A);
    const [x, y] = [Buffer.alloc(200_000, 'x'), Buffer.alloc(300_000, 'y')];
    await Promise.all([store.put(key, x), store.put(key, y), store.put(key, x)]);
    const left = (await store.get(key)) as Buffer;
    expect(left.equals(x) || left.equals(y)).toBe(true);
  });

  it
    .runIf(able)
    .each(['../x', 'a/../../x', '/etc/passwd', 'a//b', '.hidden', 'a/.b', 'a\\b', '', 'a\0b', 'a/'])(
    'refuses the key %j, whatever is asked',
    async (key) => {
      await store.put(pictureKeys.picture(A, 0), Buffer.from('kept'));
      await expect(async () => store.put(key, Buffer.from('x'))).rejects.toThrow();
      await expect(async () => store.get(key)).rejects.toThrow();
      await expect(async () => store.has(key)).rejects.toThrow();
      await expect(async () => store.remove(key)).rejects.toThrow();
      if (key !== '' && key !== 'a/') await expect(async () => all(store.list(key))).rejects.toThrow();
      expect(keysOf(await all(store.list()))).toEqual([pictureKeys.picture(A, 0)]);
    },
  );
});

describe('a prefix of a bucket', () => {
  let s3: TestS3;
  beforeAll(async () => {
    s3 = await startS3rver();
  });
  afterAll(() => s3.close());

  it('is never left: not by reading, listing or removing, also beside a prefix that begins alike', async () => {
    const { bucket, endpoint, credentials } = s3;
    const open = (prefix: string) =>
      openBucketStore({ bucket, endpoint, credentials, region: 'us-east-1', prefix });
    const [one, alike, whole] = [await open('one'), await open('one-more'), await open('')];
    const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials });
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'one/.secret', Body: 'not a key' }));
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: `${A}/0.png`, Body: 'above' }));
    client.destroy();
    await one.put(`${A}/0.png`, Buffer.from('one'));
    await alike.put(`${A}/0.png`, Buffer.from('alike'));
    expect(await all(one.list())).toMatchObject([{ key: `${A}/0.png`, bytes: 3 }]);
    expect(await all(one.jobs())).toMatchObject([{ jobId: A }]);
    await one.remove(A);
    expect((await alike.get(`${A}/0.png`))?.toString()).toBe('alike');
    expect((await whole.get(`${A}/0.png`))?.toString()).toBe('above');
    expect(await one.get(`${A}/0.png`)).toBeUndefined();
  });
});
