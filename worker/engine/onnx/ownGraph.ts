/**
 * Parts whose graphs we wrote ourselves. Beside such a graph lies `weights.json`, the index of its weights by
 * diffusers' names. From it the graph can be written again: by a newer builder, or with other inputs.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { EngineError, reason } from '../errors.ts';
import {
  builderVersion,
  buildMovqDecoder,
  buildMovqEncoder,
  buildPixelUNet,
  buildPrior,
  buildSafetyChecker,
  buildTextEncoder,
  buildTextProjection,
  buildTextStates,
  buildTinyDecoder,
  buildTinyEncoder,
  buildUNet,
  buildUpscaler,
  buildVaeDecoder,
  buildVaeEncoder,
  buildVision,
  crossAttentions,
  type ElementType,
  elementTypes,
  type Network,
  readCheckerConfig,
  readMovqConfig,
  readPixelUNetConfig,
  readPriorConfig,
  readTextConfig,
  readTinyVaeConfig,
  readUNetConfig,
  readUpscalerConfig,
  readVaeConfig,
  readVisionConfig,
  type TextBuildOptions,
  type Weight,
  type Weights,
} from '../graph/index.ts';
import type { Json } from './folder.ts';
import { type OnnxFile, readOnnx } from './onnxFile.ts';

/** Stable Diffusion's network: whole, or in two halves for what is computed once a text and once a step. */
export type NetworkForm = 'whole' | 'step' | 'text';

export interface OwnBuildOptions extends TextBuildOptions {
  readonly form?: NetworkForm;
}

/** The builders, by the `network` of weights.json. */
const builders = {
  unet: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    options.form === 'text'
      ? buildTextStates(readUNetConfig(config), weights, options)
      : buildUNet(readUNetConfig(config), weights, { ...options, step: options.form === 'step' }),
  vae_decoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildVaeDecoder(readVaeConfig(config), weights, options),
  vae_encoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildVaeEncoder(readVaeConfig(config), weights, options),
  text_encoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildTextEncoder(readTextConfig(config), weights, { embeddings: true, ...options }),
  prior: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildPrior(readPriorConfig(config), weights, options),
  text_projection: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildTextProjection(config, weights, options),
  pixel_unet: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildPixelUNet(readPixelUNetConfig(config), weights, options),
  vision: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildVision(readVisionConfig(config), weights, options),
  movq_decoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildMovqDecoder(readMovqConfig(config), weights, options),
  movq_encoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildMovqEncoder(readMovqConfig(config), weights, options),
  tiny_decoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildTinyDecoder(readTinyVaeConfig(config), weights, options),
  tiny_encoder: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildTinyEncoder(readTinyVaeConfig(config), weights, options),
  upscaler: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildUpscaler(readUpscalerConfig(config), weights, options),
  safety_checker: (config: Json, weights: Weights, options: OwnBuildOptions) =>
    buildSafetyChecker(readCheckerConfig(config), weights, options),
} satisfies Record<string, (config: Json, weights: Weights, options: OwnBuildOptions) => Network>;
export type NetworkKind = keyof typeof builders;

/** Type, shape, file beside the graph, first byte; `true` for a linear layer's weight stored as [in, out]. */
type Place = readonly [ElementType, readonly number[], string, number, true?];

export interface WeightIndex {
  readonly network: NetworkKind;
  readonly weights: Readonly<Record<string, Place>>;
}

export const weightIndexFile = 'weights.json';
const elementSizes: Record<ElementType, number> = {
  float32: 4,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
  bfloat16: 2,
  float8e4m3fn: 1,
  float8e5m2: 1,
};

/** The weights.json of a network. */
export function indexOf(network: NetworkKind, weights: ReadonlyMap<string, Weight>): WeightIndex {
  const places = [...weights].map(
    ([name, { type, shape, location, offset, transposed }]): [string, Place] => [
      name,
      transposed ? [type, shape, location, offset, true] : [type, shape, location, offset],
    ],
  );
  return { network, weights: Object.fromEntries(places) };
}

/** Builds the network of `kind` from its config. @throws EngineError for a missing weight or an unknown kind */
export const buildNetwork = (
  kind: NetworkKind,
  config: Json,
  weights: Weights,
  options: OwnBuildOptions = {},
): Network => builders[kind](config, weights, options);

/**
 * Writes the graph of an own part anew, from `config.json` and `weights.json` in its folder.
 * @param options other inputs than usual: a LoRA's (see graph/loraPorts.ts)
 * @throws EngineError('bad-model') for an index that is damaged
 */
export function buildStored(folder: string, options: OwnBuildOptions = {}): Network {
  const file = path.join(folder, weightIndexFile);
  const index = readJson(file) as Partial<WeightIndex>;
  const config = readJson(path.join(folder, 'config.json')) as Json;
  if (typeof index.network !== 'string' || !Object.hasOwn(builders, index.network) || !index.weights)
    throw new EngineError('bad-model', `${file} is damaged. Add the model again.`, { file });
  const { network, weights } = index;
  const find = (name: string): Weight | undefined =>
    Object.hasOwn(weights, name) ? toWeight(weights[name]!, name, file) : undefined;
  return buildNetwork(network, config, find, options);
}

/** Whether a part's network can be built as two halves: Stable Diffusion's, with attention to a text. */
export function canHalve(folder: string): boolean {
  const file = path.join(folder, weightIndexFile);
  if (!existsSync(file) || (readJson(file) as Partial<WeightIndex>).network !== 'unet') return false;
  return crossAttentions(readUNetConfig(readJson(path.join(folder, 'config.json')) as Json)).length > 0;
}

/**
 * Rewrites an own graph that an older builder wrote; where the folder is read-only the graph stays as it is.
 * @returns whether the file was rewritten
 */
export function refreshGraph(file: string, { builder }: OnnxFile): boolean {
  const folder = path.dirname(file);
  if (builder === undefined || builder >= builderVersion || !existsSync(path.join(folder, weightIndexFile)))
    return false;
  const { bytes } = buildStored(folder);
  const temporary = `${file}.${process.pid}`;
  try {
    writeFileSync(temporary, bytes);
    renameSync(temporary, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') throw error;
    return false;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Whether an own graph is what its builder writes; true for one by another version of the builder. */
export function graphIsSound(file: string): boolean {
  try {
    const { builder } = readOnnx(file);
    if (builder !== builderVersion) return builder !== undefined;
    return Buffer.compare(readFileSync(file), buildStored(path.dirname(file)).bytes) === 0;
  } catch (error) {
    if (error instanceof EngineError || (error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function toWeight(place: Place, name: string, file: string): Weight {
  const [type, shape, location, offset, transposed] = place;
  const sound =
    Object.hasOwn(elementTypes, type) &&
    Array.isArray(shape) &&
    [...shape, offset].every((each) => Number.isSafeInteger(each) && each >= 0) &&
    typeof location === 'string' &&
    location === path.basename(location);
  if (!sound)
    throw new EngineError('bad-model', `${file}: ${name} is damaged. Add the model again.`, { file });
  const length = shape.reduce((product, side) => product * side, elementSizes[type]);
  return { type, shape, location, offset, length, ...(transposed ? { transposed } : {}) };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new EngineError('bad-model', `${file} cannot be read: ${reason(error)}. Add the model again.`, {
      file,
      cause: error,
    });
  }
}
