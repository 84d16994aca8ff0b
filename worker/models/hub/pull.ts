import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../manifest.ts';
import { type Files, fileNames, manifestFor, writeManifest } from './describeModel.ts';
import { download } from './download.ts';
import { diskError, StoreError } from './errors.ts';
import { formatBytes } from './format.ts';
import type { Hub } from './http.ts';
import { checkLayout } from './layout.ts';
import { listFiles, type RemoteFile } from './listing.ts';
import {
  checkModelName,
  idOf,
  modelNameFrom,
  parseReference,
  pathBelow,
  type Reference,
} from './reference.ts';
import { fitSchedule } from './schedule.ts';
import { selectFiles } from './select.ts';

/** What a pull would fetch: shown and agreed to before the first byte of it. */
export interface PullPlan {
  readonly wanted: Reference;
  readonly commit: string;
  readonly license: string;
  readonly name: string;
  /** Where it will lie. */
  readonly dir: string;
  readonly files: readonly RemoteFile[];
  readonly bytes: number;
  /** Of those, what an interrupted pull has left here. */
  readonly present: number;
}

export interface PullProgress {
  readonly file: string;
  readonly done: number;
  readonly total: number;
}

export async function planPull(hub: Hub, models: string, text: string, as?: string): Promise<PullPlan> {
  const wanted = parseReference(text);
  const name = as === undefined ? modelNameFrom(wanted.name) : checkModelName(as);
  const dir = join(models, name);
  refuseExisting(dir, name);
  const { commit, files: all, license } = await listFiles(hub, wanted);
  const files = selectFiles(all, idOf(wanted));
  const folder = stagingOf(models, name).files;
  let present = 0;
  for (const file of files) present += await presentBytes(folder, file);
  return { wanted, commit, license, name, dir, files, bytes: sum(files), present };
}

/**
 * Fetches into `.pull-<name>` beside the models and renames the finished folder into place: whoever lists models
 * meanwhile sees all of it or nothing. What an interruption leaves there is continued by the next pull.
 */
export async function pull(
  hub: Hub,
  models: string,
  plan: PullPlan,
  onProgress: (progress: PullProgress) => void = () => undefined,
  onNote: (note: string) => void = () => undefined,
): Promise<Manifest> {
  const staging = stagingOf(models, plan.name);
  await mkdir(staging.files, { recursive: true });
  const unlock = await lock(staging.lock, plan.name);
  try {
    await writeFile(staging.note, JSON.stringify(noteOf(plan)));
    await needSpace(models, plan.bytes - plan.present);
    const hashes: Files = {};
    let before = 0;
    for (const file of plan.files) {
      const sha256 = await download(
        { hub, wanted: plan.wanted, commit: plan.commit },
        file,
        staging.files,
        (there) => onProgress({ file: file.path, done: before + there, total: plan.bytes }),
      );
      hashes[file.path] = { sha256, bytes: file.bytes };
      before += file.bytes;
    }
    await dropStrays(staging.files, hashes);
    await checkLayout(staging.files);
    const { 'manifest.json': _own, ...files } = hashes;
    const origin = {
      title: plan.wanted.name,
      license: plan.license,
      source: { repository: idOf(plan.wanted), commit: plan.commit },
    };
    const described = await manifestFor(staging.files, plan.name, origin, files);
    const { manifest, notes } = fitSchedule(staging.files, described);
    notes.forEach(onNote);
    await writeManifest(staging.files, manifest);
    refuseExisting(plan.dir, plan.name);
    await rename(staging.files, plan.dir);
    await rm(staging.root, { recursive: true, force: true });
    return manifest;
  } catch (error) {
    throw diskError(error, models);
  } finally {
    await unlock();
  }
}

/** The dot keeps it off every list of models; the files lie one deeper than a model's would. */
export const stagingOf = (models: string, name: string) => {
  const root = join(models, `.pull-${name}`);
  return { root, files: join(root, 'files'), lock: join(root, 'lock'), note: join(root, 'note.json') };
};

/** What a list of models says of an interrupted pull. */
export interface PullNote {
  readonly from: string;
  readonly as: string;
  readonly bytes: number;
}

const noteOf = ({ wanted, name, bytes }: PullPlan): PullNote => ({
  from: `${idOf(wanted)}${wanted.revision === 'main' ? '' : `@${wanted.revision}`}`,
  as: name,
  bytes,
});

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

/** Two pulls of one model would write into the same files. */
async function lock(path: string, name: string): Promise<() => Promise<void>> {
  const holder = Number(await readFile(path, 'utf8').catch(() => ''));
  if (holder > 0 && holder !== process.pid && isAlive(holder)) {
    throw new StoreError('busy', `The model "${name}" is being pulled by process ${holder} already.`);
  }
  await rm(path, { force: true });
  await writeFile(path, String(process.pid), { flag: 'wx' });
  return () => unlink(path).catch(() => undefined);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Leftovers of a pull of another revision do not become part of this model. */
async function dropStrays(folder: string, wanted: Files): Promise<void> {
  for (const name of await fileNames(folder)) {
    if (!(name in wanted)) await rm(join(folder, name));
  }
}

async function presentBytes(folder: string, file: RemoteFile): Promise<number> {
  const path = pathBelow(folder, file.path);
  for (const candidate of [path, `${path}.part`]) {
    const info = await stat(candidate).catch(() => undefined);
    if (info) return Math.min(info.size, file.bytes);
  }
  return 0;
}

const sum = (files: readonly RemoteFile[]): number => files.reduce((total, file) => total + file.bytes, 0);
