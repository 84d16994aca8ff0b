/** Imports a model that people share (.safetensors, single or in diffusers' folder) for the engine. */
import { readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { messageOf } from '../../../shared/service/errors.ts';
import { findScheduler, tryModel } from '../../engine/index.ts';
import { checkLayout } from '../hub/checkLayout.ts';
import {
  describeModel,
  type Files,
  fileNames,
  hashFile,
  type Origin,
  writeManifest,
} from '../hub/describeModel.ts';
import { diskError, StoreError } from '../hub/errors.ts';
import { fitSchedule } from '../hub/fitScheduler.ts';
import { formatBytes } from '../hub/formatUnits.ts';
import { openStaging, refuseExisting } from '../hub/stagingFolder.ts';
import type { Variant } from '../hub/variant.ts';
import type { Manifest } from '../manifest.ts';
import { readDiffusersFolder } from './diffusersFolder.ts';
import { installSource, writeJson } from './install.ts';
import { predicting } from './knownPredictionTypes.ts';
import type { Prediction, Source, SourcePart } from './modelSource.ts';
import { refusePickle } from './refusals.ts';
import { readSafetensors, type TensorFile } from './safetensors.ts';
import { readSingleFile } from './singleFile.ts';
import { readTinyDecoder } from './tinyVae.ts';
import { type Habit, habitOf, withHabit } from './trainingDefaults.ts';
import { readUpscaler } from './upscalerSource.ts';

export interface ImportOptions {
  /** An autoencoder (.safetensors) to take instead of the model's own; a TAESD is added beside the model's. */
  readonly vae?: string;
  /** TAESD (.safetensors), which decodes drafts and previews. */
  readonly tinyVae?: string;
  /** An upscaler (.safetensors) of ESRGAN's or Real-ESRGAN's kind. */
  readonly upscaler?: string;
  /** What the network predicts; overrules what the import finds. */
  readonly prediction?: Prediction;
  readonly steps?: number;
  readonly guidance?: number;
  /** A diffusers class name or an AUTOMATIC1111 name. */
  readonly scheduler?: string;
  /** Which weights of a folder to take, where it has them in two sizes. */
  readonly variant?: Variant;
  readonly origin?: Origin;
  /** The providers to run every network once with; left out = none is run. */
  readonly load?: { readonly providers: readonly string[]; readonly threads?: number };
  readonly signal?: AbortSignal;
  readonly onBytes?: (file: string, done: number, total: number) => void;
  /** Called with each sentence on what was found and guessed. */
  readonly say?: (note: string) => void;
}

/**
 * Imports a file or a diffusers folder into the models; the model is listed once it is whole, and a failure leaves
 * nothing. Weights are linked, not copied, on the same disk.
 * @throws StoreError in one line that names the file and what is wrong
 */
export async function importModel(
  models: string,
  from: string,
  name: string,
  options: ImportOptions = {},
): Promise<Manifest> {
  const dir = join(models, name);
  refuseExisting(dir, name);
  const { source: found, habit, file } = await readSource(resolve(from), options);
  const staging = await openStaging(models, name);
  const target = join(staging, 'files');
  try {
    await installSource(found, target, {
      ...(options.signal ? { signal: options.signal } : {}),
      onCopy: (from, bytes) =>
        options.say?.(
          `${from} cannot be linked into ${models} (another disk?): ${formatBytes(bytes)} are copied.`,
        ),
    });
    const source = await settle(found, target, options);
    for (const note of [...source.notes, ...extraNotes(source)]) options.say?.(note);
    await checkLayout(target);
    const files = await hashFiles(target, options);
    const origin: Origin = {
      title: file ? basename(file).replace(/\.safetensors$/i, '') : name,
      ...options.origin,
      ...(file ? { file: { name: basename(file), ...(await ownHash(files, file)) } } : {}),
    };
    const described = await describeModel(target, name, origin, files);
    const { manifest, notes } = fitSchedule(target, withSettings(described, source, habit, options));
    for (const note of notes) options.say?.(note);
    await writeManifest(target, manifest);
    options.signal?.throwIfAborted();
    refuseExisting(dir, name);
    await rename(target, dir);
    return manifest;
  } catch (error) {
    if (options.signal?.aborted)
      throw new StoreError('stopped', 'Stopped. Nothing was added.', { cause: error });
    throw diskError(error, models);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Whether `from` can be imported: a file, or a folder with diffusers' weights and no ONNX networks. */
export async function isImportable(from: string): Promise<boolean> {
  const info = await stat(from).catch(() => undefined);
  if (info?.isFile()) return true;
  if (!info?.isDirectory()) return false;
  const index = await stat(join(from, 'model_index.json')).catch(() => undefined);
  const unet = await readdir(join(from, 'unet')).catch(() => undefined);
  if (!index || !unet || unet.includes('model.onnx')) return false;
  // Adding an ONNX folder reports ONNX under another name (`model_fp16.onnx`).
  return !unet.some((name) => name.endsWith('.onnx')) || unet.some((name) => name.endsWith('.safetensors'));
}

async function readSource(
  from: string,
  options: ImportOptions,
): Promise<{ source: Source; habit: Habit | undefined; file: string | undefined }> {
  if (options.scheduler !== undefined) checkScheduler(options.scheduler);
  const [vae, tiny, upscaler] = await Promise.all(
    [options.vae, options.tinyVae, options.upscaler].map((given) =>
      given === undefined ? undefined : readFileGiven(resolve(given)),
    ),
  );
  const info = await stat(from).catch((error) => {
    throw new StoreError('usage', `Cannot read ${from} (${(error as NodeJS.ErrnoException).code}).`);
  });
  let source: Source;
  let file: TensorFile | undefined;
  if (info.isDirectory()) {
    source = await readDiffusersFolder(from, {
      ...(options.variant ? { variant: options.variant } : {}),
      ...(vae ? { vae } : {}),
    });
  } else {
    file = await readFileGiven(from);
    source = readSingleFile(file, vae);
  }
  if (tiny) source = withPart(source, readTinyDecoder(tiny));
  if (upscaler) source = withPart(source, readUpscaler(upscaler));
  if (options.prediction) source = predicting(source, options.prediction);
  const habit = file ? habitOf(file, source) : undefined;
  if (habit) source = withHabit(source, habit);
  if (options.scheduler !== undefined) {
    const { className, options: own } = findScheduler(options.scheduler);
    source = { ...source, scheduler: { ...source.scheduler, ...own, _class_name: className } };
  }
  return { source, habit, file: file?.file };
}

/** Notes on what a model's optional parts are for. */
const extraNotes = ({ parts }: Source): string[] =>
  parts.flatMap(({ part, config }) => {
    if (part === 'tiny_decoder') return ['Drafts and previews are decoded by TAESD.'];
    if (part === 'upscaler') return [`Its upscaler enlarges ${config['scale']} times.`];
    return part === 'safety_checker' ? ['Its safety checker is taken in; SAFETY says what it does.'] : [];
  });

/** The source with a part replaced by one of the same name. */
const withPart = (source: Source, part: SourcePart): Source => ({
  ...source,
  parts: [...source.parts.filter((each) => each.part !== part.part), part],
});

async function readFileGiven(file: string): Promise<TensorFile> {
  refusePickle(file);
  return readSafetensors(file);
}

function checkScheduler(name: string): void {
  try {
    findScheduler(name);
  } catch (error) {
    throw new StoreError('usage', `--scheduler: ${messageOf(error)}.`);
  }
}

/** Correlation of the network's output with the noise it was given, from which on it predicts the noise. */
const epsilonFrom = 0.5;

/** Runs every network once; where nothing else says what the model predicts, its output decides. */
async function settle(source: Source, target: string, { load }: ImportOptions): Promise<Source> {
  if (!load) return source;
  const { noiseFound } = await tryModel(target, load).catch((error) => {
    const why = messageOf(error).replaceAll(target, source.from);
    throw new StoreError('damaged', `The engine cannot paint with ${source.from}: ${why}`, { cause: error });
  });
  if (!source.askPrediction) return source;
  const prediction: Prediction = noiseFound > epsilonFrom ? 'epsilon' : 'v_prediction';
  const settled = predicting(source, prediction);
  await writeJson(join(target, 'scheduler', 'scheduler_config.json'), settled.scheduler);
  const unet = settled.parts.find((part) => part.part === 'unet')!;
  await writeJson(join(target, 'unet', 'config.json'), unet.config);
  const said = `Asked once, the network answers with ${prediction === 'epsilon' ? 'the noise (epsilon)' : 'v'}; --prediction ${prediction === 'epsilon' ? 'v_prediction' : 'epsilon'} says otherwise.`;
  return { ...settled, notes: [...settled.notes, said] };
}

/**
 * A newer builder may write our own graphs anew, so the manifest does not name them; a file linked into several parts
 * parts link to is read once.
 */
async function hashFiles(target: string, { onBytes, signal }: ImportOptions): Promise<Files> {
  const names = (await fileNames(target)).filter((name) => !name.endsWith('.onnx'));
  const infos = new Map(
    await Promise.all(names.map(async (name) => [name, await stat(join(target, name))] as const)),
  );
  const total = [...new Map([...infos.values()].map((info) => [info.ino, info.size])).values()].reduce(
    (a, b) => a + b,
    0,
  );
  const known = new Map<number, Files[string]>();
  const files: Files = {};
  let done = 0;
  for (const [name, { ino }] of infos) {
    signal?.throwIfAborted();
    const hashed =
      known.get(ino) ??
      (await hashFile(join(target, name), (bytes) => {
        done += bytes;
        onBytes?.(name, done, total);
        signal?.throwIfAborted();
      }));
    known.set(ino, hashed);
    files[name] = hashed;
  }
  return files;
}

/** The publisher's sha256 of a file, as the hub and Civitai list it. */
async function ownHash(files: Files, file: string): Promise<{ sha256: string }> {
  const { size } = await stat(await realpath(file));
  const own = Object.values(files).find(({ bytes }) => bytes === size);
  return { sha256: own?.sha256 ?? (await hashFile(file)).sha256 };
}

function withSettings(
  manifest: Manifest,
  source: Source,
  habit: Habit | undefined,
  { steps, guidance }: ImportOptions,
): Manifest {
  const chosen = {
    steps: steps ?? habit?.steps ?? manifest.defaults.steps,
    guidance: guidance ?? habit?.guidance ?? manifest.defaults.guidance,
    scheduler: String(source.scheduler['_class_name'] ?? manifest.defaults.scheduler),
  };
  const draft = { steps: Math.max(1, Math.min(manifest.draft.steps, Math.ceil(chosen.steps / 2))) };
  return { ...manifest, defaults: chosen, draft };
}
