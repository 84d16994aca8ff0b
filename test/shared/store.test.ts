import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFolderStore, pictureKeys } from '../../shared/store.ts';

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

  it.each(['../x', 'a/../../x', '/etc/passwd', 'a//b', '.hidden', 'a/.b', 'a\\b', '', 'a\0b'])(
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
    expect(await readdir(dir, { recursive: true })).toEqual(['job', join('job', 'a.png')]);
  });

  it('removes at start what a killed writer left, and nothing that may still be written', async () => {
    await writeFile(join(dir, 'old.png.1.tmp'), 'half');
    await writeFile(join(dir, 'new.png.2.tmp'), 'half');
    const hoursAgo = Date.now() / 1000 - 7200;
    await utimes(join(dir, 'old.png.1.tmp'), hoursAgo, hoursAgo);
    await openFolderStore(dir);
    expect(await readdir(dir)).toEqual(['new.png.2.tmp']);
  });
});
