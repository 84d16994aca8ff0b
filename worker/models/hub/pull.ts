import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImportOptions, importModel } from '../import/importModel.ts';
import type { Manifest } from '../manifest.ts';
import { addModel } from './add.ts';
import { checkLayout } from './checkLayout.ts';
import { type Files, fileNames, manifestFor, type Origin, writeManifest } from './describeModel.ts';
import { download, repository, type Source } from './download.ts';
import { diskError, StoreError } from './errors.ts';
import { fitSchedule } from './fitScheduler.ts';
import type { Hub } from './http.ts';
import { checkModelName, idOf, modelNameFrom, parseReference, pathBelow } from './hubReference.ts';
import { type Listing, listFiles, type RemoteFile } from './repositoryListing.ts';
import { selectFiles } from './select.ts';
import { isDiffusers, selectDiffusers, variantsOf } from './selectSafetensors.ts';
import { priorFolder, priorOf, selectUnclip, unclipRepository } from './selectUnclip.ts';
import { findFile, isAddress } from './singleAddress.ts';
import { isAlive, needSpace, refuseExisting } from './stagingFolder.ts';
import type { Variant } from './variant.ts';

/** What a pull would download: shown and agreed to before it starts. */
export interface PullPlan {
  /** As the owner would type it again: `owner/name@revision`, or an address. */
  readonly from: string;
  /** 'onnx': networks that need no import; the others are imported. */
  readonly kind: 'onnx' | 'diffusers' | 'unclip' | 'file';
  /** '' for a file that is not on a hub. */
  readonly commit: string;
  readonly license: string;
  readonly name: string;
  /** The model's folder. */
  readonly dir: string;
  readonly files: readonly RemoteFile[];
  readonly bytes: number;
  /** Bytes of these that an interrupted pull has left here. */
  readonly present: number;
  /** For a repository with weights in two sizes: the chosen one, and the bytes of both. */
  readonly variant?: { readonly taken: Variant; readonly bytes: Readonly<Record<Variant, number>> };
  readonly origin: Origin;
  source(hub: Hub): Source;
}

export interface PullOptions {
  readonly as?: string;
  /** Which weights to take; chosen by `memory` where left out. */
  readonly variant?: Variant;
  /** Bytes of memory that a model may fill. */
  readonly memory?: number;
}

export interface PullProgress {
  readonly file: string;
  readonly done: number;
  readonly total: number;
}

/**
 * @param text `owner/name[@revision]`, `owner/name[@revision]/file.safetensors`, or the address of a .safetensors
 * @throws StoreError where it is not there, is no model, or the name is taken
 */
export async function planPull(
  hub: Hub,
  models: string,
  text: string,
  options: PullOptions = {},
): Promise<PullPlan> {
  const found = isAddress(text) ? await findFile(hub, text) : await findOnHub(hub, text, options);
  const name = options.as === undefined ? modelNameFrom(found.called) : checkModelName(options.as);
  const dir = join(models, name);
  refuseExisting(dir, name);
  const folder = stagingOf(models, name).files;
  let present = 0;
  for (const file of found.files) present += await presentBytes(folder, file);
  return { ...found, name, dir, bytes: sum(found.files), present };
}

/** A plan without the name and folder that it will have here. */
export type Found = Omit<PullPlan, 'name' | 'dir' | 'bytes' | 'present'> & { readonly called: string };

async function findOnHub(hub: Hub, text: string, options: PullOptions): Promise<Found> {
  const { file, ...wanted } = parseReference(text);
  const listing = await listFiles(hub, wanted);
  const { commit, license } = listing;
  const id = idOf(wanted);
  const revision = wanted.revision === 'main' ? '' : `@${wanted.revision}`;
  const common = {
    from: `${id}${revision}${file === undefined ? '' : `/${file}`}`,
    commit,
    license,
    source: (port: Hub) => repository(port, wanted, commit),
    origin: { title: wanted.name, license, source: { repository: id, commit } },
  };
  if (file !== undefined) {
    const title = file.replace(/^.*\//, '').replace(/\.safetensors$/, '');
    const files = [fileIn(listing, file, id)];
    return { ...common, kind: 'file', called: title, files, origin: { ...common.origin, title } };
  }
  const through = unclipRepository(listing.files);
  if (through) {
    const taken = options.variant ?? 'full';
    const files = selectUnclip(listing.files, through, taken);
    if (through === 'kandinsky-prior')
      throw new StoreError(
        'unsupported',
        `${id} is the prior's half of Kandinsky 2.2. Pull the repository of its decoder: the prior comes along.`,
      );
    if (through !== 'kandinsky-decoder') return { ...common, kind: 'unclip', called: wanted.name, files };
    return withPrior(hub, wanted, { ...common, kind: 'unclip', called: wanted.name, files }, taken);
  }
  if (!isDiffusers(listing.files))
    return { ...common, kind: 'onnx', called: wanted.name, files: selectFiles(listing.files, id) };
  const bytes = variantsOf(listing.files);
  // Weights are mapped from their files, and half floats are cast to float32 in use: that doubles them.
  const short = bytes.full > (options.memory ?? Number.POSITIVE_INFINITY) / 2;
  const taken = options.variant ?? (short ? 'fp16' : 'full');
  const files = selectDiffusers(listing.files, taken);
  const choice = bytes.full === bytes.fp16 ? {} : { variant: { taken, bytes } };
  return { ...common, kind: 'diffusers', called: wanted.name, files, ...choice };
}

/** Adds Kandinsky's second repository, by the same owner; its files get a folder beside the first's. */
async function withPrior(hub: Hub, wanted: Repository, found: Found, variant: Variant): Promise<Found> {
  const other: Repository = { ...wanted, name: priorOf(wanted.name), revision: 'main' };
  const listing = await listFiles(hub, other);
  if (unclipRepository(listing.files) !== 'kandinsky-prior')
    throw new StoreError(
      'unsupported',
      `${idOf(wanted)} is the decoder's half of Kandinsky 2.2, and ${idOf(other)} is no prior for it. Fetch both by hand, then: dreamgrid models add DECODER --prior PRIOR`,
    );
  const before = `${priorFolder}/`;
  const theirs = selectUnclip(listing.files, 'kandinsky-prior', variant).map((file) => ({
    ...file,
    path: `${before}${file.path}`,
  }));
  return {
    ...found,
    files: [...found.files, ...theirs],
    source(port) {
      const [own, prior] = [found.source(port), repository(port, other, listing.commit)];
      const bare = (file: RemoteFile): RemoteFile => ({ ...file, path: file.path.slice(before.length) });
      return {
        hub: port,
        address: (file) => (file.path.startsWith(before) ? prior.address(bare(file)) : own.address(file)),
        refuse: (answer, file) =>
          file.path.startsWith(before) ? prior.refuse(answer, bare(file)) : own.refuse(answer, file),
      };
    },
  };
}

type Repository = Parameters<typeof listFiles>[1];

function fileIn({ files }: Listing, path: string, id: string): RemoteFile {
  const file = files.find((each) => each.path === path);
  if (file) return file;
  const others = files.filter((each) => each.path.endsWith('.safetensors')).map((each) => each.path);
  throw new StoreError(
    'not-found',
    `${id} has no ${path} (there are: ${others.slice(0, 8).join(', ') || 'no .safetensors'}).`,
  );
}

/**
 * Downloads into `.pull-<name>` beside the models and renames the finished folder: a list of models shows it whole or
 * not at all. The next pull continues what an interrupted one left there.
 */
export async function pull(
  hub: Hub,
  models: string,
  plan: PullPlan,
  onProgress: (progress: PullProgress) => void = () => undefined,
  settings: ImportOptions = {},
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
      const sha256 = await download(plan.source(hub), file, staging.files, (there) =>
        onProgress({ file: file.path, done: before + there, total: plan.bytes }),
      );
      hashes[file.path] = { sha256, bytes: file.bytes };
      before += file.bytes;
    }
    await dropStrays(staging.files, hashes);
    const manifest = await (plan.kind === 'onnx'
      ? finish(staging.files, plan, hashes, settings.say ?? (() => undefined))
      : takeIn(models, staging.files, plan, settings));
    await rm(staging.root, { recursive: true, force: true });
    return manifest;
  } catch (error) {
    throw diskError(error, models);
  } finally {
    await unlock();
  }
}

/** Finishes a pull of ONNX networks: the downloaded folder is the model. */
async function finish(
  folder: string,
  plan: PullPlan,
  hashes: Files,
  say: (note: string) => void,
): Promise<Manifest> {
  await checkLayout(folder);
  const { 'manifest.json': _own, ...files } = hashes;
  const described = await manifestFor(folder, plan.name, plan.origin, files);
  const { manifest, notes } = fitSchedule(folder, described);
  notes.forEach(say);
  await writeManifest(folder, manifest);
  refuseExisting(plan.dir, plan.name);
  await rename(folder, plan.dir);
  return manifest;
}

/** Imports the downloaded files by links; they stay here until that is done. */
function takeIn(models: string, folder: string, plan: PullPlan, settings: ImportOptions): Promise<Manifest> {
  if (plan.kind === 'unclip') {
    const prior = join(folder, priorFolder);
    const { load, origin } = { ...settings, origin: plan.origin };
    return addModel(models, folder, plan.name, {
      link: true,
      origin,
      ...(load ? { load } : {}),
      ...(existsSync(prior) ? { prior } : {}),
      ...(settings.say ? { onNote: settings.say } : {}),
    });
  }
  const from = plan.kind === 'file' ? pathBelow(folder, plan.files[0]!.path) : folder;
  const variant = plan.variant ? { variant: plan.variant.taken } : {};
  return importModel(models, from, plan.name, { ...settings, ...variant, origin: plan.origin });
}

/** The dot keeps the folder off lists of models; the files lie one level deeper than a model's would. */
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

const noteOf = ({ from, name, bytes }: PullPlan): PullNote => ({ from, as: name, bytes });

/** Locks a pull, because two pulls of one model would write the same files. */
async function lock(path: string, name: string): Promise<() => Promise<void>> {
  const holder = Number(await readFile(path, 'utf8').catch(() => ''));
  if (holder > 0 && holder !== process.pid && isAlive(holder)) {
    throw new StoreError('busy', `The model "${name}" is being pulled by process ${holder} already.`);
  }
  await rm(path, { force: true });
  await writeFile(path, String(process.pid), { flag: 'wx' });
  return () => unlink(path).catch(() => undefined);
}

/** Deletes files that an earlier pull of another revision left. */
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
