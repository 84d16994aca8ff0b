import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { copyStore } from '../../../shared/picture/copyStore.ts';
import { openBucketStore } from '../../../shared/picture/s3Store.ts';
import { openFolderStore, pictureKeys, type Store } from '../../../shared/picture/store.ts';
import { store as storeCommand } from '../../../worker/cli/pictureStore.ts';
import { startS3rver, type TestS3 } from '../../support/s3.ts';

const ids = ['123456789012345678', '123456789012345679', '123456789012345678.1'];
const upload = pictureKeys.upload('b'.repeat(64));

let s3: TestS3;
let dir: string;
let folder: Store;
let bucket: Store;
let n = 0;
const openBucket = (): Promise<Store> => openBucketStore({ ...s3, region: 'us-east-1', prefix: `copy-${n}` });

beforeAll(async () => {
  s3 = await startS3rver();
});
afterAll(() => s3.close());
beforeEach(async () => {
  n++;
  dir = await mkdtemp(join(tmpdir(), 'dreamgrid-copy-'));
  folder = await openFolderStore(dir);
  for (const id of ids) {
    for (const index of [0, 1])
      await folder.put(pictureKeys.picture(id, index), Buffer.from(`${id} ${index}`));
    await folder.put(pictureKeys.result(id), Buffer.from('{}'));
  }
  await folder.put(upload, Buffer.from('uploaded'));
  await folder.check();
  bucket = await openBucket();
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function contents(store: Store): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for await (const { key } of store.list())
    if (!key.startsWith('check/')) all[key] = String(await store.get(key));
  return all;
}

describe('copying a store', () => {
  it('brings every file over and back, and the second time none', async () => {
    const first = await copyStore(folder, bucket);
    expect(first).toMatchObject({ copied: 10, kept: 0, vanished: 0, removed: 0 });
    expect(await contents(bucket)).toEqual(await contents(folder));
    expect(await copyStore(folder, bucket)).toMatchObject({ copied: 0, kept: 10 });
    const back = await openFolderStore(join(dir, 'back'));
    await copyStore(bucket, back);
    expect(await contents(back)).toEqual(await contents(bucket));
  });

  it('goes on where it was stopped', async () => {
    let left = 4;
    const breaking: Store = {
      ...bucket,
      put: async (key, bytes) => {
        if (left-- === 0) throw new Error('the line is cut');
        await bucket.put(key, bytes);
      },
    };
    await expect(copyStore(folder, breaking, { atOnce: 1 })).rejects.toThrow('the line is cut');
    // Results come last: no half of a job looks whole.
    expect(Object.keys(await contents(bucket)).filter((key) => key.endsWith('result.json'))).toEqual([]);
    expect(await copyStore(folder, bucket)).toMatchObject({ copied: 6, kept: 4 });
    expect(await contents(bucket)).toEqual(await contents(folder));
  });

  it('is not content with a file that reads back as something else', async () => {
    const lying: Store = { ...bucket, get: async () => Buffer.from('bent') };
    await expect(copyStore(folder, lying)).rejects.toThrow(/reads back differently/);
  });

  it('compares what is there already where it is asked to', async () => {
    await copyStore(folder, bucket);
    await bucket.put(upload, Buffer.from('UPLOADED'));
    expect(await copyStore(folder, bucket)).toMatchObject({ copied: 0, kept: 10 });
    expect(await copyStore(folder, bucket, { compare: true })).toMatchObject({ copied: 1, kept: 9 });
    expect(await contents(bucket)).toEqual(await contents(folder));
  });

  it('takes away what was erased meanwhile where it mirrors, and never all', async () => {
    await copyStore(folder, bucket);
    await folder.remove(ids[0] as string);
    expect(await copyStore(folder, bucket)).toMatchObject({ removed: 0 });
    expect(await copyStore(folder, bucket, { mirror: true })).toMatchObject({ removed: 3 });
    expect(await contents(bucket)).toEqual(await contents(folder));
    const empty = await openFolderStore(join(dir, 'empty'));
    await expect(copyStore(empty, bucket, { mirror: true })).rejects.toThrow(/source is empty/);
    expect(Object.keys(await contents(bucket))).toHaveLength(7);
  });
});

describe('dreamgrid store copy', () => {
  it('takes its places as they are written, and refuses what is none', async () => {
    const before = { ...process.env };
    Object.assign(process.env, s3.env);
    try {
      expect(await storeCommand(['copy', dir, `s3://${s3.bucket}/copy-${n}`, '--json'])).toBe(0);
      expect(await contents(bucket)).toEqual(await contents(folder));
      for (const [args, words] of [
        [['move'], /expected copy; got "move"/],
        [['copy', dir], /takes two places; got 1/],
        [['copy', dir, dir], /both places are the same/],
        [['copy', join(dir, 'not there'), 's3://pictures'], /there is no folder/],
        [['copy', dir, 's3://pictures/../up'], /expected s3:\/\/bucket\/prefix/],
      ] as const)
        await expect(storeCommand([...args])).rejects.toThrow(words);
    } finally {
      process.env = before;
    }
  });
});
