import { constants, existsSync } from 'node:fs';
import { copyFile, link, mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { wayOfPainting } from '../../../shared/picture/wayOfPainting.ts';
import { messageOf } from '../../../shared/service/errors.ts';
import { EngineError, loadModel, weightIndexFile } from '../../engine/index.ts';
import { importUnclip, isUnclipSource } from '../import/unclip.ts';
import type { Manifest } from '../manifest.ts';
import { checkLayout } from './checkLayout.ts';
import { type Files, hashFile, manifestFor, type Origin, writeManifest } from './describeModel.ts';
import { diskError, StoreError } from './errors.ts';
import { fitSchedule } from './fitScheduler.ts';
import { pathBelow } from './hubReference.ts';
import type { RemoteFile } from './repositoryListing.ts';
import { selectFiles } from './select.ts';
import { needSpace, openStaging, refuseExisting } from './stagingFolder.ts';

export interface AddOptions {
  /** Hard links instead of copies: no space taken, and the folder given may be deleted afterwards. */
  readonly link: boolean;
  /** The providers to try loading with; left out = do not try. */
  readonly load?: { readonly providers: readonly string[]; readonly threads?: number };
  /** The folder of Kandinsky's prior, where `from` is its decoder's folder. */
  readonly prior?: string;
  /** Where the model comes from; its name becomes its title where none is given. */
  readonly origin?: Origin;
  readonly onBytes?: (file: string, done: number, total: number) => void;
  /** Called with each sentence that the owner should read. */
  readonly onNote?: (note: string) => void;
}

/** Adds an exporter's folder to the models; it is listed once it is whole and has loaded. */
export async function addModel(
  models: string,
  from: string,
  name: string,
  options: AddOptions,
): Promise<Manifest> {
  const source = resolve(from);
  const dir = join(models, name);
  refuseExisting(dir, name);
  const staging = await openStaging(models, name);
  const { made, files } = await chooseFiles(source, options, join(staging, 'made')).catch(
    async (error: unknown) => {
      await rm(staging, { recursive: true, force: true });
      throw diskError(error, models);
    },
  );
  const target = join(staging, 'files');
  try {
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    if (!options.link && !made) await needSpace(models, total);
    const hashes: Files = {};
    const names = new Set(files.map(({ path }) => path));
    let done = 0;
    for (const { path, bytes } of files) {
      options.onBytes?.(path, done, total);
      const to = pathBelow(target, path);
      await mkdir(dirname(to), { recursive: true });
      // In caches the files are links; a model holds the files themselves.
      await take(await realpath(join(made ?? source, path)), to, made !== undefined || options.link);
      // A newer builder may write our own graphs anew, so no manifest names them.
      const ours = path.endsWith('/model.onnx') && names.has(`${dirname(path)}/${weightIndexFile}`);
      if (path !== 'manifest.json' && !ours) hashes[path] = await hashFile(to);
      done += bytes;
    }
    await checkLayout(target);
    const described = await manifestFor(target, name, { title: name, ...options.origin }, hashes);
    const { manifest, notes } = fitSchedule(target, described);
    if (options.load) await tryLoading(target, options.load);
    for (const note of [...notes, ...(await lackingParts(target, manifest))]) options.onNote?.(note);
    await writeManifest(target, manifest);
    refuseExisting(dir, name);
    await rename(target, dir);
    return manifest;
  } catch (error) {
    throw named(diskError(error, models), target, source);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Sentences on what a picture-embedding model cannot do without the parts it lacks. */
async function lackingParts(dir: string, { family, pictureEmbedding }: Manifest): Promise<string[]> {
  if (wayOfPainting(family) === 'latent-diffusion') return [];
  const notes: string[] = [];
  const places = ['prior', 'prior_prior'].map((part) => join(dir, part, 'model.onnx'));
  if (!places.some((file) => existsSync(file)))
    notes.push('It has no prior: it paints from pictures (V, /blend, an image prompt) and from no words.');
  if (!pictureEmbedding)
    notes.push(
      'It has no image encoder: it reads no pictures, so V and /blend work as of other models, and Reword is not there.',
    );
  return notes;
}

/** The error with the given folder's name instead of its copy's, which is deleted by now. */
function named(error: unknown, target: string, source: string): unknown {
  if (!(error instanceof StoreError) || !error.message.includes(target)) return error;
  return new StoreError(error.code, error.message.replaceAll(target, source), { cause: error });
}

/** The folder written from its makers' safetensors; undefined for a folder that holds ONNX. */
async function imported(
  source: string,
  { link: asLink, prior }: AddOptions,
  made: string,
): Promise<string | undefined> {
  const onnx = ['decoder', 'unet', 'prior'].map((part) => join(source, part, 'model.onnx'));
  if (onnx.some((file) => existsSync(file)) || !(await isUnclipSource(source))) return undefined;
  await mkdir(made, { recursive: true });
  const from = { folder: source, ...(prior === undefined ? {} : { prior: resolve(prior) }) };
  await importUnclip(from, made, async (file, to) => take(await realpath(file), to, asLink)).catch(
    (error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
      throw new StoreError('unsupported', `${source} cannot be built: ${error.message}`, { cause: error });
    },
  );
  return made;
}

/** The files of a model's folder: its own, or those written from them. */
async function chooseFiles(
  source: string,
  options: AddOptions,
  into: string,
): Promise<{ made: string | undefined; files: RemoteFile[] }> {
  const made = await imported(source, options, into);
  return { made, files: made ? await walk(made) : selectFiles(await walk(source), source) };
}

async function take(from: string, to: string, asLink: boolean): Promise<void> {
  if (!asLink) return copyFile(from, to, constants.COPYFILE_FICLONE);
  await link(from, to).catch((error) => {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    throw new StoreError(
      'usage',
      `${from} lies on another disk than the models: leave out --link to copy it, or set MODELS_DIR.`,
    );
  });
}

async function tryLoading(dir: string, load: NonNullable<AddOptions['load']>): Promise<void> {
  try {
    const model = await loadModel(dir, load);
    await model.release();
  } catch (error) {
    throw new StoreError('damaged', `The engine cannot load it: ${messageOf(error)}`, { cause: error });
  }
}

/** A folder's files in the form of a hub's listing. */
async function walk(folder: string): Promise<RemoteFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
    throw new StoreError('usage', `Cannot read ${folder} (${(error as NodeJS.ErrnoException).code}).`);
  });
  const files: RemoteFile[] = [];
  for (const entry of entries) {
    const full = join(entry.parentPath, entry.name);
    const info = await stat(full).catch(() => undefined);
    if (!info?.isFile()) continue;
    files.push({ path: relative(folder, full).replaceAll('\\', '/'), bytes: info.size });
  }
  return files.sort((a, b) => a.path.localeCompare(b.path));
}
