import { link, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildNetwork, indexOf, type NetworkKind, type Weight, weightIndexFile } from '../../engine/index.ts';
import { parsePythonJson } from '../../engine/schedulers/config.ts';
import { StoreError } from '../hub/errors.ts';
import { type PartWeights, readNumbers, readPartWeights } from './partWeights.ts';

type Json = Readonly<Record<string, unknown>>;

/** One part of a model: its place in its makers' folder, its builder, and the engine's name of it. */
interface Part {
  readonly from: string;
  readonly to: string;
  readonly network: NetworkKind;
  /** Weights that the engine reads as numbers in the part's config. */
  readonly numbers?: Readonly<Record<string, string>>;
  readonly optional?: boolean;
  /** The part counts as missing without this weight: some files hold one half of an autoencoder. */
  readonly sign?: string;
}

const clipNumbers = { clip_mean: 'clip_mean', clip_std: 'clip_std' };

const karlo: readonly Part[] = [
  { from: 'text_encoder', to: 'text_encoder', network: 'text_encoder' },
  { from: 'prior', to: 'prior', network: 'prior', numbers: clipNumbers, optional: true },
  {
    from: 'text_proj',
    to: 'text_proj',
    network: 'text_projection',
    numbers: { null_image_embedding: 'learned_classifier_free_guidance_embeddings' },
  },
  { from: 'decoder', to: 'decoder', network: 'pixel_unet' },
  { from: 'super_res_first', to: 'super_res_first', network: 'pixel_unet' },
  { from: 'super_res_last', to: 'super_res_last', network: 'pixel_unet' },
  { from: 'image_encoder', to: 'image_encoder', network: 'vision', optional: true },
];
const karloFolders = [
  'tokenizer',
  'prior_scheduler',
  'decoder_scheduler',
  'super_res_scheduler',
  'feature_extractor',
];

/** @param before prefix of the prior's parts; '' in a repository of its own */
const kandinskyPrior = (before: string): readonly Part[] => [
  { from: `${before}text_encoder`, to: 'prior_text_encoder', network: 'text_encoder' },
  { from: `${before}prior`, to: 'prior_prior', network: 'prior', numbers: clipNumbers },
  { from: `${before}image_encoder`, to: 'prior_image_encoder', network: 'vision', optional: true },
];
const kandinskyDecoder: readonly Part[] = [
  { from: 'unet', to: 'unet', network: 'pixel_unet' },
  {
    from: 'movq',
    to: 'movq_decoder',
    network: 'movq_decoder',
  },
  {
    from: 'movq',
    to: 'movq_encoder',
    sign: 'encoder.conv_in.weight',
    network: 'movq_encoder',
  },
];

/** The `_class_name` in a folder's model_index.json; undefined where it has none. */
export async function pipelineOf(folder: string): Promise<string | undefined> {
  const index = await readJson(join(folder, 'model_index.json')).catch(() => undefined);
  return index && String(index['_class_name'] ?? '');
}

/** Whether a folder holds a picture-embedding model as its makers publish it. */
export async function isUnclipSource(folder: string): Promise<boolean> {
  const name = await pipelineOf(folder);
  return name !== undefined && /^(UnCLIP|KandinskyV22)/.test(name);
}

export interface UnclipSource {
  readonly folder: string;
  /** Kandinsky's prior repository, where `folder` is its decoder's. */
  readonly prior?: string;
}

/**
 * Writes a folder for the engine: graphs over the makers' weights.
 * @param take links or copies a file to its place
 * @throws StoreError('damaged') naming what is missing; EngineError for a config that cannot be built
 */
export async function importUnclip(
  { folder, prior: second }: UnclipSource,
  target: string,
  take: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const name = await pipelineOf(folder);
  if (name?.startsWith('UnCLIP')) {
    if (!(await has(folder, 'prior')) && !(await has(folder, 'image_encoder')))
      throw damaged(`${folder} has neither prior nor image_encoder: nothing to paint from.`);
    await takeParts(folder, karlo, target, take);
    for (const each of karloFolders) await takeFolder(folder, each, target, each, take);
    await writeIndex(target, folder, name);
    return;
  }
  const whole = await has(folder, 'prior_prior');
  // A folder made for both halves may hold the prior alone, too.
  if (name === 'KandinskyV22PriorPipeline' || (whole && !(await has(folder, 'unet'))))
    throw new StoreError(
      'usage',
      `${folder} is the prior's half of Kandinsky 2.2: its decoder is a repository of its own (kandinsky-community/kandinsky-2-2-decoder). Name that folder, and this one with --prior.`,
    );
  if (!whole && second === undefined)
    throw new StoreError(
      'usage',
      `${folder} is the decoder's half of Kandinsky 2.2: its prior is a repository of its own (kandinsky-community/kandinsky-2-2-prior). Name that folder with --prior.`,
    );
  const other = whole ? folder : (second as string);
  if (!whole && !(await has(other, 'prior')))
    throw new StoreError(
      'usage',
      `${other} is not the prior's half of Kandinsky 2.2: it has no folder prior with a config.json.`,
    );
  const before = whole ? 'prior_' : '';
  await takeParts(folder, kandinskyDecoder, target, take);
  await takeParts(other, kandinskyPrior(before), target, take);
  await takeFolder(folder, 'scheduler', target, 'scheduler', take);
  for (const each of ['tokenizer', 'scheduler', 'image_processor'])
    await takeFolder(other, `${before}${each}`, target, `prior_${each}`, take);
  await writeIndex(target, folder, 'KandinskyV22CombinedPipeline');
}

async function takeParts(
  folder: string,
  parts: readonly Part[],
  target: string,
  take: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const taken = new Map<string, string>();
  for (const { from, to, network, numbers, optional, sign } of parts) {
    const source = join(folder, from);
    if (optional && !(await has(folder, from))) continue;
    const config = await readJson(join(source, 'config.json'));
    const weights = await readPartWeights(source);
    if (sign !== undefined && !weights.find(sign)) continue;
    const own = join(target, to);
    await mkdir(own, { recursive: true });
    for (const file of weights.files) {
      const path = join(source, file);
      const first = taken.get(path);
      // A file with the weights of two networks is taken once, then linked.
      if (first) await link(first, join(own, file));
      else await take(path, join(own, file));
      taken.set(path, join(own, file));
    }
    const used = new Map<string, Weight>();
    const find = (name: string): Weight | undefined => {
      const weight = weights.find(name);
      if (weight) used.set(name, weight);
      return weight;
    };
    await writeFile(join(own, 'model.onnx'), buildNetwork(network, config, find).bytes);
    await writeFile(join(own, weightIndexFile), JSON.stringify(indexOf(network, used)));
    const written = await numbersOf(weights, numbers ?? {});
    await writeFile(join(own, 'config.json'), `${JSON.stringify({ ...config, ...written }, null, 1)}\n`);
  }
}

async function numbersOf(
  weights: PartWeights,
  wanted: Readonly<Record<string, string>>,
): Promise<Record<string, number[]>> {
  const numbers: Record<string, number[]> = {};
  for (const [key, name] of Object.entries(wanted)) numbers[key] = await readNumbers(weights, name);
  return numbers;
}

async function takeFolder(
  folder: string,
  from: string,
  target: string,
  to: string,
  take: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const names = await readdir(join(folder, from)).catch(() => []);
  if (names.length === 0) return;
  await mkdir(join(target, to), { recursive: true });
  for (const name of names)
    if (/\.(json|txt|model)$/.test(name)) await take(join(folder, from, name), join(target, to, name));
}

async function writeIndex(target: string, folder: string, name: string): Promise<void> {
  const index = await readJson(join(folder, 'model_index.json'));
  const text = JSON.stringify({ ...index, _class_name: name }, null, 2);
  await writeFile(join(target, 'model_index.json'), `${text}\n`);
}

const has = (folder: string, part: string): Promise<boolean> =>
  stat(join(folder, part, 'config.json')).then(
    (info) => info.isFile(),
    () => false,
  );

async function readJson(path: string): Promise<Json> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) throw damaged(`${path} is missing. Fetch the model again.`);
  try {
    return parsePythonJson(text) as Json;
  } catch (error) {
    throw damaged(`${path} is not JSON. Fetch the model again.`, error);
  }
}

const damaged = (message: string, cause?: unknown): StoreError =>
  new StoreError('damaged', message, { cause });
