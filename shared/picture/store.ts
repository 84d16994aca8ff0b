import { randomUUID } from 'node:crypto';
import { mkdir, open, opendir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { jobIdSchema, storeKeySchema } from './recipe.ts';

/** One file of a store. */
export interface StoredFile {
  key: string;
  bytes: number;
  /** ms since 1970, by the store's clock. */
  written: number;
}

/** The store does not answer now, or not as at the start; the same call may work later. */
export class StoreAwayError extends Error {
  override readonly name = 'StoreAwayError';
}

/**
 * Pictures by key: a folder here, a bucket in `s3Store.ts`. A key is visible only when its bytes are whole
 * and kept. Every method refuses a key that `storeKeySchema` does not allow.
 */
export interface Store {
  /**
   * @throws StoreAwayError; another Error (transient) when a disk is full or read-only; nothing is left half-written
   */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** A key's bytes; undefined when there is no such key. */
  get(key: string): Promise<Buffer | undefined>;
  has(key: string): Promise<boolean>;
  /** Removes a key or everything below it. */
  remove(key: string): Promise<void>;
  /** Every file, in no order; `below` a folder's key with its slash. Files of others in the same place are left out. */
  list(below?: string): AsyncIterable<StoredFile>;
  /** Jobs that have files, and when the last of them was written (ms since 1970); in no order. */
  jobs(): AsyncIterable<{ jobId: string; written: number }>;
  /** Throws where the store cannot be written; for readiness and doctor. */
  check(): Promise<void>;
  /** Whether removed files live on as older versions; absent for stores without versions. */
  versioned?(): Promise<boolean>;
}

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Folder of files that are not whole yet: no key can have this name; on the store's own file system. */
const TEMPORARY = '.tmp';
/** ms; a younger temporary file may still be written by another process. */
const STALE_MS = 3600_000;

/** A folder: temporary file, fsync, rename. Files of a writer that died (in `.tmp`, older than an hour) go at start. */
export async function openFolderStore(root: string): Promise<Store> {
  const base = resolve(root);
  await mkdir(base, { recursive: true });
  await removeStaleTemporaries(base);

  const pathOf = (key: string): string => {
    storeKeySchema.parse(key);
    const path = resolve(base, key);
    if (!path.startsWith(base + sep)) throw new Error(`store key leaves the store: ${JSON.stringify(key)}`);
    return path;
  };

  const put = async (key: string, bytes: Uint8Array): Promise<void> => {
    const path = pathOf(key);
    await mkdir(dirname(path), { recursive: true });
    const temporary = join(base, TEMPORARY, `${randomUUID()}.tmp`);
    await mkdir(dirname(temporary), { recursive: true });
    try {
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  };

  return {
    put,
    get: (key) =>
      readFile(pathOf(key)).catch((error) => {
        if (isMissing(error)) return undefined;
        throw error;
      }),
    has: (key) =>
      stat(pathOf(key)).then(
        (entry) => entry.isFile(),
        (error) => {
          if (isMissing(error)) return false;
          throw error;
        },
      ),
    remove: (key) => rm(pathOf(key), { recursive: true, force: true }),
    async *list(below = '') {
      const from = below === '' ? base : pathOf(below.replace(/\/$/, ''));
      const entries = await opendir(from, { recursive: true }).catch((error) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (!entries) return;
      for await (const entry of entries) {
        const path = join(entry.parentPath, entry.name);
        const key = relative(base, path).split(sep).join('/');
        if (!entry.isFile() || !storeKeySchema.safeParse(key).success) continue;
        const info = await stat(path).catch(() => undefined); // removed meanwhile
        if (info) yield { key, bytes: info.size, written: info.mtimeMs };
      }
    },
    async *jobs() {
      for await (const entry of await opendir(base)) {
        if (!entry.isDirectory() || !jobIdSchema.safeParse(entry.name).success) continue;
        const info = await stat(join(base, entry.name)).catch(() => undefined);
        if (info) yield { jobId: entry.name, written: info.mtimeMs };
      }
    },
    check: async () => {
      await put('check/write.txt', Buffer.from('ok'));
    },
  };
}

/** Temporaries have their own folder, so that a start does not read a store of a hundred thousand jobs. */
async function removeStaleTemporaries(base: string): Promise<void> {
  const folder = join(base, TEMPORARY);
  const names = await readdir(folder).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const path of names.map((name) => join(folder, name))) {
    const info = await stat(path).catch(() => undefined);
    if (info && Date.now() - info.mtimeMs > STALE_MS) await rm(path, { force: true });
  }
}

/** Keys of one job's files. */
export const pictureKeys = {
  picture: (jobId: string, index: number): string => `${jobId}/${index}.png`,
  latents: (jobId: string, index: number): string => `${jobId}/${index}.latents.f32`,
  grid: (jobId: string): string => `${jobId}/grid.png`,
  /** Written last: where it exists, all files of the job do. */
  result: (jobId: string): string => `${jobId}/result.json`,
  upload: (sha256: string): string => `uploads/${sha256}.png`,
} as const;
