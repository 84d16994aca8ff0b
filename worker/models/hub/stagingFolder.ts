/** A free name, and free space, in the models folder. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, StoreError } from './errors.ts';
import { formatBytes } from './formatUnits.ts';

export function refuseExisting(dir: string, name: string): void {
  if (!existsSync(dir)) return;
  throw new StoreError(
    'exists',
    `There is a model "${name}" already (${dir}). Remove it first (dreamgrid models remove ${name}), or give the new one another name with --as NAME.`,
  );
}

export async function needSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new StoreError(
    'disk-full',
    `${formatBytes(bytes)} are needed in ${folder}, but only ${formatBytes(free)} are free. Free some space, or set MODELS_DIR to another disk.`,
  );
}

/**
 * Deletes the staging folders of killed processes.
 * @returns names of models that other processes are adding, with the process ids
 */
export async function sweepStaging(models: string): Promise<ReadonlyMap<string, number>> {
  const busy = new Map<string, number>();
  for (const entry of await readdir(models).catch(() => [] as string[])) {
    if (!entry.startsWith('.add-')) continue;
    const owner = Number(await readFile(join(models, entry, 'pid'), 'utf8').catch(() => ''));
    if (owner > 0 && owner !== process.pid && isAlive(owner)) busy.set(entry.slice('.add-'.length), owner);
    else await rm(join(models, entry), { recursive: true, force: true });
  }
  return busy;
}

/**
 * An empty folder beside the models for one that is being added; its dot keeps it off lists of models. Staging folders
 * of killed processes are deleted.
 * @throws StoreError('busy') where another process is adding a model of that name, 'unsupported' where the folder
 * cannot be written
 */
export async function openStaging(models: string, name: string): Promise<string> {
  const owner = (await sweepStaging(models).catch(() => new Map<string, number>())).get(name);
  if (owner !== undefined)
    throw new StoreError('busy', `The model "${name}" is being added by process ${owner} already.`);
  const staging = join(models, `.add-${name}`);
  try {
    await mkdir(join(staging, 'files'), { recursive: true });
    await writeFile(join(staging, 'pid'), String(process.pid));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const full = diskError(error, models);
    if (full !== error) throw full;
    throw new StoreError(
      'unsupported',
      `Nothing can be written into ${models} (${code}): models are added by whoever may, or into another folder (MODELS_DIR).`,
      { cause: error },
    );
  }
  return staging;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
