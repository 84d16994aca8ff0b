import pLimit from 'p-limit';
import { ConfigError } from '../service/errors.ts';
import type { Store, StoredFile } from './store.ts';

/** Copying one store into another, as when an installation moves from its folder to a bucket or back. */
export interface CopyOptions {
  /** Files copied at the same time. */
  atOnce?: number;
  /** Also read files that both stores have, and copy those that differ. */
  compare?: boolean;
  /** Remove from the target what the source no longer has: what members erased since the last copy. */
  mirror?: boolean;
  onProgress?: (done: CopyReport, total: number) => void;
}

export interface CopyReport {
  /** Files written to the target and read back equal. */
  copied: number;
  /** Files that were there before: of the same size and no older, or compared equal. */
  kept: number;
  /** Files that the source lost while it was copied. */
  vanished: number;
  removed: number;
  bytes: number;
}

/** Files of readiness checks (`check/…`) are not copied. */
const isOurs = ({ key }: StoredFile): boolean => !key.startsWith('check/');
const isResult = ({ key }: StoredFile): boolean => key.endsWith('/result.json');

/**
 * Copies what the target lacks and reads each file back. After an interruption the next run continues: a
 * file is whole or not there. A job's `result.json` comes after its pictures, as when it was painted, so a target
 * store that is in use shows whole jobs only.
 * @throws ConfigError for `mirror` of an empty source; Error where a file reads back differently, and what the
 * stores throw
 */
export async function copyStore(from: Store, to: Store, options: CopyOptions = {}): Promise<CopyReport> {
  const { atOnce = 8, compare = false, mirror = false, onProgress } = options;
  const there = new Map<string, StoredFile>();
  for await (const file of to.list()) if (isOurs(file)) there.set(file.key, file);
  const files: StoredFile[] = [];
  for await (const file of from.list()) if (isOurs(file)) files.push(file);
  if (mirror && files.length === 0)
    throw new ConfigError('The source is empty; to mirror it would empty the target. Is it the right one?');

  const report: CopyReport = { copied: 0, kept: 0, vanished: 0, removed: 0, bytes: 0 };
  const copyOne = async (file: StoredFile): Promise<void> => {
    const old = there.get(file.key);
    const seemsSame = old !== undefined && old.bytes === file.bytes && isNoOlder(old, file);
    if (seemsSame && !compare) report.kept++;
    else {
      const bytes = await from.get(file.key);
      if (bytes === undefined) report.vanished++;
      else if (seemsSame && (await to.get(file.key))?.equals(bytes)) report.kept++;
      else {
        await to.put(file.key, bytes);
        if (!(await to.get(file.key))?.equals(bytes)) throw new Error(`${file.key} reads back differently`);
        report.copied++;
        report.bytes += bytes.length;
      }
    }
    onProgress?.(report, files.length);
  };
  await each(
    files.filter((file) => !isResult(file)),
    atOnce,
    copyOne,
  );
  await each(files.filter(isResult), atOnce, copyOne);

  if (mirror) {
    const had = new Set(files.map(({ key }) => key));
    await each([...there.keys()], atOnce, async (key) => {
      // The file was painted or uploaded after the source was listed.
      if (had.has(key) || (await from.has(key))) return;
      await to.remove(key);
      report.removed++;
    });
  }
  return report;
}

/** Compared in whole seconds, as S3 gives times. */
const isNoOlder = (one: StoredFile, than: StoredFile): boolean =>
  Math.floor(one.written / 1000) >= Math.floor(than.written / 1000);

/** Runs work on items, `atOnce` at a time; after the first failure no further work starts. */
async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const limit = pLimit(atOnce);
  let failure: { error: unknown } | undefined;
  const one = async (item: T): Promise<void> => {
    if (failure) return;
    await work(item).catch((error: unknown) => {
      failure ??= { error };
    });
  };
  await Promise.all(items.map((item) => limit(() => one(item))));
  if (failure) throw (failure as { error: unknown }).error;
}
