import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../../shared/service/errors.ts';
import { graphIsSound, weightIndexFile } from '../../engine/index.ts';
import { deriveManifest, type Manifest, parseManifest } from '../manifest.ts';
import { checkLayout } from './checkLayout.ts';
import { fileNames, hashFile } from './describeModel.ts';
import { StoreError } from './errors.ts';
import { checkModelName } from './hubReference.ts';
import { type PullNote, stagingOf } from './pull.ts';

export interface StoredModel {
  readonly name: string;
  readonly dir: string;
  readonly bytes: number;
  /** The hash in recipes: the first 16 hex digits of manifest.json's sha256, '' where there is none. */
  readonly hash: string;
  /** False for an export without a manifest. */
  readonly described: boolean;
  readonly manifest?: Manifest;
  /** Why the model cannot be used. */
  readonly problem?: string;
  /** A pull that was interrupted, and how to go on. */
  readonly unfinished?: PullNote;
}

/** Everything in the models folder, sound or not; sizes are compared, contents are not read. */
export async function listModels(models: string): Promise<StoredModel[]> {
  const names = await readdir(models).catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  const found: StoredModel[] = [];
  for (const name of names.sort()) {
    const model = name.startsWith('.pull-')
      ? await readUnfinished(models, name.slice(6))
      : await readModel(models, name);
    if (model) found.push(model);
  }
  return found;
}

async function readModel(models: string, name: string): Promise<StoredModel | undefined> {
  const dir = join(models, name);
  const text = await readFile(join(dir, 'manifest.json'), 'utf8').catch(() => undefined);
  const index = await stat(join(dir, 'model_index.json')).catch(() => undefined);
  if (name.startsWith('.') || (text === undefined && !index)) return undefined;
  const bytes = await bytesBelow(dir);
  const hash = text === undefined ? '' : createHash('sha256').update(text).digest('hex').slice(0, 16);
  const found = { name, dir, bytes, hash, described: text !== undefined };
  try {
    checkModelName(name);
    const manifest =
      text === undefined
        ? await deriveManifest(dir, name)
        : parseManifest(join(dir, 'manifest.json'), text, name);
    const problem = await firstProblem(dir, manifest);
    const named = Object.keys(manifest.files);
    // Other files in the folder (pocket's training data, say) are not part of the model.
    const own = named.length > 0 && problem === undefined ? await bytesOf(dir, named) : bytes;
    return { ...found, bytes: own, manifest, ...(problem ? { problem } : {}) };
  } catch (error) {
    return { ...found, problem: messageOf(error) };
  }
}

async function firstProblem(dir: string, { files }: Manifest): Promise<string | undefined> {
  for (const [name, { bytes }] of Object.entries(files)) {
    const info = await stat(join(dir, name)).catch(() => undefined);
    if (!info) return `${name} is missing`;
    if (info.size !== bytes) return `${name} has ${info.size} bytes instead of ${bytes}`;
  }
  return undefined;
}

async function readUnfinished(models: string, name: string): Promise<StoredModel | undefined> {
  const staging = stagingOf(models, name);
  const text = await readFile(staging.note, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const bytes = await bytesBelow(staging.files);
  return {
    name,
    dir: staging.files,
    bytes,
    hash: '',
    described: false,
    unfinished: JSON.parse(text) as PullNote,
  };
}

/** Bytes of a folder on the disk: a file linked into several parts is counted once. */
export async function bytesBelow(dir: string): Promise<number> {
  return bytesOf(dir, await fileNames(dir).catch(() => []));
}

async function bytesOf(dir: string, names: readonly string[]): Promise<number> {
  const sizes = new Map<string, number>();
  for (const name of names) {
    const { dev, ino, size } = await stat(join(dir, name));
    sizes.set(`${dev}:${ino}`, size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

export interface Verdict {
  readonly name: string;
  /** Files whose content was compared with the manifest. */
  readonly checked: number;
  /** One sentence for each bad file. */
  readonly problems: string[];
}

/** Reads every byte of a model and compares it with its manifest. */
export async function verifyModel(model: StoredModel, onBytes?: (n: number) => void): Promise<Verdict> {
  const problems: string[] = [];
  const files = Object.entries(model.manifest?.files ?? {});
  const hashed = new Map<string, string>();
  const hashOnce = async (path: string, { dev, ino }: Stats): Promise<string> => {
    const key = `${dev}:${ino}`;
    const sha256 = hashed.get(key) ?? (await hashFile(path, onBytes)).sha256;
    hashed.set(key, sha256);
    return sha256;
  };
  if (model.manifest === undefined) problems.push(model.problem ?? 'it has no manifest that can be read');
  for (const [name, { sha256, bytes }] of files) {
    const path = join(model.dir, name);
    const info = await stat(path).catch(() => undefined);
    if (!info?.isFile()) problems.push(`${path} is missing`);
    else if (info.size !== bytes) problems.push(`${path} has ${info.size} bytes instead of ${bytes}`);
    else if ((await hashOnce(path, info)) !== sha256) {
      problems.push(`${path} is damaged (its sha256 is another)`);
    }
  }
  if (problems.length === 0) problems.push(...(await changedGraphs(model.dir)));
  if (problems.length === 0) await checkLayout(model.dir).catch((error) => problems.push(messageOf(error)));
  return { name: model.name, checked: files.length, problems };
}

/** Our own graphs that differ from what their builder writes; no manifest lists them. */
async function changedGraphs(dir: string): Promise<string[]> {
  const problems: string[] = [];
  for (const name of await fileNames(dir)) {
    if (basename(name) !== weightIndexFile) continue;
    const file = join(dir, dirname(name), 'model.onnx');
    if (!graphIsSound(file))
      problems.push(`${file} is not what is built from ${weightIndexFile} beside it: add the model again`);
  }
  return problems;
}

/** @returns where a damaged model can be had again, as a command. */
export function howToFetchAgain({ name, manifest }: StoredModel): string | undefined {
  const source = manifest?.['source'] as { repository?: unknown; commit?: unknown } | undefined;
  if (typeof source?.repository !== 'string' || typeof source.commit !== 'string') return undefined;
  return `dreamgrid models remove ${name} && dreamgrid models pull ${source.repository}@${source.commit} --as ${name}`;
}

export async function findModel(models: string, name: string): Promise<StoredModel> {
  const all = await listModels(models);
  const model =
    all.find((each) => each.name === name && !each.unfinished) ?? all.find((each) => each.name === name);
  if (model) return model;
  const names = all.map((each) => each.name).join(', ');
  throw new StoreError(
    'unknown-model',
    `There is no model "${name}" in ${models}${names ? ` (there are: ${names})` : ''}.`,
  );
}

/** Renames the model off the list, then deletes it; of a linked folder only the link is deleted. */
export async function removeModel(models: string, model: StoredModel): Promise<void> {
  if (model.unfinished) return rm(stagingOf(models, model.name).root, { recursive: true, force: true });
  if ((await lstat(model.dir)).isSymbolicLink()) return unlink(model.dir);
  const grave = join(models, `.remove-${model.name}`);
  await rm(grave, { recursive: true, force: true });
  await rename(model.dir, grave);
  await rm(grave, { recursive: true, force: true });
}
