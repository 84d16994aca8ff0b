import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFolderStore, pictureKeys } from '../../../shared/picture/store.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dreamgrid-store-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('folder store', () => {
  it('keeps and gives back bytes, and knows what it has not', async () => {
    const store = await openFolderStore(dir);
    const key = pictureKeys.picture('123456789012345678', 2);
    expect(await store.has(key)).toBe(false);
    expect(await store.get(key)).toBeUndefined();
    await store.put(key, Buffer.from('png'));
    await store.put(key, Buffer.from('png again'));
    expect((await store.get(key))?.toString()).toBe('png again');
    expect(await readdir(join(dir, '123456789012345678'))).toEqual(['2.png']);
    await store.remove('123456789012345678');
    expect(await store.has(key)).toBe(false);
  });

  it.each(['../x', 'a/../../x', '/etc/passwd', 'a//b', '.hidden', '.tmp/x', 'a/.b', 'a\\b', '', 'a\0b'])(
    'refuses the key %j',
    async (key) => {
      const store = await openFolderStore(dir);
      await expect(async () => store.put(key, Buffer.from('x'))).rejects.toThrow();
      await expect(async () => store.get(key)).rejects.toThrow();
    },
  );

  it('leaves nothing half-written when the target cannot be written', async () => {
    const store = await openFolderStore(dir);
    await store.put('job/a.png', Buffer.from('x'));
    await expect(store.put('job/a.png/b.png', Buffer.from('y'))).rejects.toThrow();
    expect(await readdir(dir, { recursive: true })).toEqual(['.tmp', 'job', join('job', 'a.png')]);
  });

  it('removes at start what a killed writer left, and nothing that may still be written', async () => {
    const hoursAgo = Date.now() / 1000 - 7200;
    const old = async (path: string): Promise<void> => {
      await writeFile(path, 'half');
      await utimes(path, hoursAgo, hoursAgo);
    };
    await mkdir(join(dir, '.tmp'));
    await old(join(dir, '.tmp', '1.tmp'));
    await writeFile(join(dir, '.tmp', '2.tmp'), 'half');
    // A start does not look through all jobs.
    await mkdir(join(dir, 'job'));
    await old(join(dir, 'job', 'whatever.tmp'));
    const store = await openFolderStore(dir);
    expect(await readdir(join(dir, '.tmp'))).toEqual(['2.tmp']);
    expect(await readdir(join(dir, 'job'))).toEqual(['whatever.tmp']);

    // Whoever empties the store may remove this folder too.
    await rm(join(dir, '.tmp'), { recursive: true });
    await store.put('job/a.png', Buffer.from('x'));
    expect(await readdir(join(dir, '.tmp'))).toEqual([]);
  });
});
