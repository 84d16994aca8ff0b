/** A folder as diffusers writes it: configs and `.safetensors`, whole or in shards, fp16 variants among them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../shared/service/errors.ts';
import { parsePythonJson } from '../../engine/schedulers/config.ts';
import type { Json } from '../hub/defaults.ts';
import { StoreError } from '../hub/errors.ts';
import { chooseWeights, type Variant } from '../hub/variant.ts';
import { checkerPart } from './checkerSource.ts';
import { oldVaeName } from './ldmNames.ts';
import type { Source, SourcePart } from './modelSource.ts';
import { readSafetensors, type Tensor, type TensorFile } from './safetensors.ts';
import { isTinyVae, readTinyVae } from './tinyVae.ts';
import { withVaeFile } from './vaeSource.ts';

const pipelines =
  /^(StableDiffusion(XL)?(Img2Img|Inpaint)?|LatentConsistencyModel(Img2Img)?|AltDiffusion)Pipeline$/;

/** @throws StoreError in one line which names the file */
export async function readDiffusersFolder(
  folder: string,
  options: { readonly variant?: Variant; readonly vae?: TensorFile } = {},
): Promise<Source> {
  const index = await readConfig(join(folder, 'model_index.json'));
  const name = String(index['_class_name'] ?? 'a model without _class_name');
  if (!pipelines.test(name))
    throw new StoreError('unsupported', `${folder} is a ${name}, which cannot be painted with yet.`);
  const variant = options.variant ?? 'full';
  const unet = await readPart(folder, 'unet', variant);
  const encoders = [await readPart(folder, 'text_encoder', variant)];
  if (index['text_encoder_2'] !== undefined || (await has(join(folder, 'text_encoder_2'))))
    encoders.push(await readPart(folder, 'text_encoder_2', variant));
  const vae = await readVae(folder, variant, options.vae);
  const checker = await readChecker(folder, variant, index);
  const tokenizers: Record<string, Source['tokenizers'][string]> = {};
  for (const [i] of encoders.entries()) {
    const tokenizer = `tokenizer${i === 0 ? '' : '_2'}`;
    const own = join(folder, tokenizer);
    const wide = Number(encoders[i]!.config['vocab_size'] ?? 0) === 49408;
    if (await hasTokenizer(own)) tokenizers[tokenizer] = { folder: own };
    else if (wide)
      tokenizers[tokenizer] = { clip: i === 0 && encoders[i]!.config['hidden_act'] !== 'gelu' ? 'end' : '!' };
    else
      throw new StoreError(
        'damaged',
        `${own} needs tokenizer.json, or vocab.json and merges.txt. Fetch the folder again.`,
      );
  }
  return {
    from: folder,
    parts: [
      ...encoders.map((part, i) => textPart(part, i === 0 ? 'text_encoder' : 'text_encoder_2')),
      { part: 'unet', network: 'unet', config: unet.config, find: (key) => unet.tensors.get(key) },
      ...vae,
      ...checker.parts,
    ],
    index,
    scheduler: await readConfig(join(folder, 'scheduler', 'scheduler_config.json')),
    tokenizers,
    askPrediction: false,
    notes: checker.notes,
  };
}

/** Whether model_index.json names a part, by library and class; two nulls mean that there is none. */
const isNamed = (part: unknown): part is [unknown, string] =>
  Array.isArray(part) && typeof part[1] === 'string';

/** The safety checker; left out, with a note, where its weights are a pickle or its class is custom. */
async function readChecker(
  folder: string,
  variant: Variant,
  index: Json,
): Promise<Pick<Source, 'parts' | 'notes'>> {
  const named = index['safety_checker'];
  if (!isNamed(named)) return { parts: [], notes: [] };
  const dir = join(folder, 'safety_checker');
  const without = (why: string) => ({ parts: [], notes: [`Its safety checker is not taken in: ${why}.`] });
  if (named[1] !== 'StableDiffusionSafetyChecker') return without(`it is a ${named[1]}`);
  if (chooseWeights(await readdir(dir).catch(() => []), variant) === undefined)
    return without(`${dir} has no .safetensors`);
  const { config, tensors } = await readPart(folder, 'safety_checker', variant);
  return { parts: [checkerPart(config, tensors)], notes: [] };
}

interface PartFiles {
  readonly config: Json;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** A text encoder: transformers writes `text_model.` before the names, from 5.6 on it does not. */
function textPart({ config, tensors }: PartFiles, part: string): SourcePart {
  const whole = tensors.has('text_model.final_layer_norm.weight');
  return {
    part,
    network: 'text_encoder',
    config,
    find: (name) => tensors.get(whole ? name : name.replace(/^text_model\./, '')),
  };
}

async function readVae(
  folder: string,
  variant: Variant,
  given: TensorFile | undefined,
): Promise<SourcePart[]> {
  const file = join(folder, 'vae', 'config.json');
  const config = given && !(await has(file)) ? {} : await readConfig(file);
  if (!given) return ownVae(folder, variant, config);
  const own = isTinyVae(given) && (await has(file)) ? await ownVae(folder, variant, config) : undefined;
  const scaling = config['scaling_factor'];
  return withVaeFile(own, given, {
    ...(scaling === undefined ? {} : { scaling_factor: scaling }),
    ...groupsOf(config),
  });
}

async function ownVae(folder: string, variant: Variant, config: Json): Promise<SourcePart[]> {
  const className = config['_class_name'] ?? 'AutoencoderKL';
  if (className !== 'AutoencoderKL' && className !== 'AutoencoderTiny')
    throw new StoreError(
      'unsupported',
      `${join(folder, 'vae')} is a ${className}: give an autoencoder of Stable Diffusion with --vae FILE.`,
    );
  const { tensors } = await readPart(folder, 'vae', variant);
  if (className === 'AutoencoderTiny') return readTinyVae({ file: join(folder, 'vae'), tensors }, config);
  const find: SourcePart['find'] = (name) => tensors.get(name) ?? tensors.get(oldVaeName(name));
  const parts: SourcePart[] = [{ part: 'vae_decoder', network: 'vae_decoder', config, find }];
  if (find('encoder.conv_in.weight'))
    parts.push({ part: 'vae_encoder', network: 'vae_encoder', config, find });
  return parts;
}

const groupsOf = (config: Json): Json =>
  config['norm_num_groups'] === undefined ? {} : { norm_num_groups: config['norm_num_groups'] };

async function readPart(folder: string, part: string, variant: Variant): Promise<PartFiles> {
  const dir = join(folder, part);
  const config = await readConfig(join(dir, 'config.json'));
  const names = await readdir(dir).catch(() => [] as string[]);
  const files = chooseWeights(names, variant);
  if (files === undefined) {
    const pickle = names.find((name) => /\.(bin|ckpt|pt|pth)$/.test(name));
    throw new StoreError(
      'damaged',
      pickle
        ? `${join(dir, pickle)} is a pickle, which can run code when it is read; there is no .safetensors in ${dir}.`
        : `${dir} has no weights (.safetensors). Fetch the folder again.`,
    );
  }
  const tensors = new Map<string, Tensor>();
  for (const name of await shardsOf(dir, files)) {
    for (const [key, tensor] of (await readSafetensors(join(dir, name))).tensors) {
      if (tensors.has(key))
        throw new StoreError('damaged', `${join(dir, name)}: ${key} is in another shard too.`);
      tensors.set(key, tensor);
    }
  }
  return { config, tensors };
}

async function shardsOf(dir: string, file: string): Promise<string[]> {
  if (!file.endsWith('.json')) return [file];
  const index = await readConfig(join(dir, file));
  const map = index['weight_map'];
  const shards = new Set(
    typeof map === 'object' && map !== null ? Object.values(map as Record<string, unknown>) : [],
  );
  for (const shard of shards) {
    if (typeof shard !== 'string' || /[/\\]/.test(shard) || !shard.endsWith('.safetensors'))
      throw new StoreError('damaged', `${join(dir, file)} names ${JSON.stringify(shard)} as a shard.`);
    if (!(await has(join(dir, shard))))
      throw new StoreError('damaged', `${join(dir, shard)} is missing. Fetch the folder again.`);
  }
  if (shards.size === 0)
    throw new StoreError('damaged', `${join(dir, file)} names no shards. Fetch it again.`);
  return [...(shards as Set<string>)].sort();
}

async function readConfig(file: string): Promise<Json> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new StoreError(
      'damaged',
      `${file} is missing (${(error as NodeJS.ErrnoException).code}). Fetch the folder again.`,
    );
  });
  let json: unknown;
  try {
    json = parsePythonJson(text);
  } catch (error) {
    throw new StoreError('damaged', `${file} is not JSON (${messageOf(error)}). Fetch it again.`);
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
  throw new StoreError('damaged', `${file} is no JSON object. Fetch it again.`);
}

const has = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const hasTokenizer = async (folder: string): Promise<boolean> =>
  (await has(join(folder, 'tokenizer.json'))) ||
  ((await has(join(folder, 'vocab.json'))) && (await has(join(folder, 'merges.txt'))));
