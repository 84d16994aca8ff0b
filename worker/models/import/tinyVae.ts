/**
 * A tiny autoencoder (TAESD) in a file of its own: decoder and encoder under diffusers' names (AutoencoderTiny), or one
 * of them as its author publishes it, with numbered layers.
 */
import type { Json } from '../hub/defaults.ts';
import { StoreError } from '../hub/errors.ts';
import type { FindWeight, SourcePart } from './modelSource.ts';
import type { Tensor, TensorFile } from './safetensors.ts';

/** Tensors by name; those of a folder's part may come from several files. */
type Tensors = Pick<TensorFile, 'file' | 'tensors'>;

interface Half {
  readonly find: FindWeight;
  /** Residual blocks by level. */
  readonly blocks: readonly number[];
  readonly channels: number;
}

/** The names of layers in each naming, and the number of diffusers' first layer. */
const decoders = [
  { prefix: 'decoder.layers.', first: 0 },
  { prefix: 'taesd_decoder.', first: 1 },
  { prefix: 'decoder.', first: 1 },
  { prefix: '', first: 1 },
];
const encoders = [
  { prefix: 'encoder.layers.', first: 0 },
  { prefix: 'taesd_encoder.', first: 0 },
  { prefix: 'encoder.', first: 0 },
  { prefix: '', first: 0 },
];

/** Whether a file holds TAESD's decoder or encoder. */
export const isTinyVae = (file: Tensors): boolean =>
  findDecoder(file) !== undefined || findEncoder(file) !== undefined;

/**
 * TAESD as the only autoencoder of a model.
 * @param config the part's config in a folder
 * @throws StoreError
 */
export function readTinyVae(file: Tensors, config: Json = {}): SourcePart[] {
  const decoder = needDecoder(file);
  const encoder = findEncoder(file);
  const shaped: Json = {
    ...configOf(decoder, encoder),
    scaling_factor: 1,
    ...config,
    block_out_channels: decoder.blocks.map(() => decoder.channels),
  };
  const parts: SourcePart[] = [
    { part: 'vae_decoder', network: 'tiny_decoder', config: shaped, find: decoder.find },
  ];
  if (encoder)
    parts.push({ part: 'vae_encoder', network: 'tiny_encoder', config: shaped, find: encoder.find });
  return parts;
}

/** TAESD's decoder for drafts and previews, beside a model's own autoencoder. @throws StoreError for another file */
export function readTinyDecoder(file: Tensors): SourcePart {
  const decoder = needDecoder(file);
  const config = { ...configOf(decoder), scaling_factor: 1 };
  return { part: 'tiny_decoder', network: 'tiny_decoder', config, find: decoder.find };
}

function needDecoder(file: Tensors): Half {
  const decoder = findDecoder(file);
  if (!decoder)
    throw new StoreError(
      'unsupported',
      findEncoder(file)
        ? `${file.file} is the encoder of TAESD alone: give its decoder (taesd_decoder.safetensors).`
        : `${file.file} is no tiny autoencoder (TAESD): neither decoder.layers.2.conv.0.weight nor 3.conv.0.weight is in it.`,
    );
  const latents = decoder.find('decoder.layers.0.weight')?.shape[1];
  if (latents === 4) return decoder;
  throw new StoreError(
    'unsupported',
    `${file.file}: its tiny autoencoder has ${latents} latent channels, Stable Diffusion has 4. It belongs to another kind of model (SD3, FLUX).`,
  );
}

function findDecoder({ tensors }: Tensors): Half | undefined {
  for (const { prefix, first } of decoders) {
    const has = (layer: string): boolean => tensors.has(`${prefix}${layer}`);
    if (!has(`${first}.weight`) || !has(`${first + 2}.conv.0.weight`)) continue;
    return half(tensors, prefix, first, 'decoder.layers.');
  }
  return undefined;
}

function findEncoder({ tensors }: Tensors): Half | undefined {
  for (const { prefix, first } of encoders) {
    if (!tensors.has(`${prefix}0.weight`) || !tensors.has(`${prefix}1.conv.0.weight`)) continue;
    return half(tensors, prefix, first, 'encoder.layers.');
  }
  return undefined;
}

/** @param names prefix of a layer's number in the graph's names */
function half(tensors: ReadonlyMap<string, Tensor>, prefix: string, first: number, names: string): Half {
  const find: FindWeight = (name) => {
    const place = name.startsWith(names) ? /^(\d+)(\..+)$/.exec(name.slice(names.length)) : null;
    return place ? tensors.get(`${prefix}${Number(place[1]) + first}${place[2]}`) : undefined;
  };
  const blocks: number[] = [];
  let run = 0;
  for (const layer of layersOf(tensors, prefix).slice(1)) {
    if (tensors.has(`${prefix}${layer}.conv.0.weight`)) run++;
    else {
      blocks.push(run);
      run = 0;
    }
  }
  return { find, blocks, channels: tensors.get(`${prefix}${first}.weight`)!.shape[0] ?? 0 };
}

/** The numbers of the layers that have weights, in order. */
function layersOf(tensors: ReadonlyMap<string, unknown>, prefix: string): number[] {
  const numbers = new Set<number>();
  for (const key of tensors.keys()) {
    const number = key.startsWith(prefix) ? /^(\d+)\./.exec(key.slice(prefix.length))?.[1] : undefined;
    if (number !== undefined) numbers.add(Number(number));
  }
  return [...numbers].sort((a, b) => a - b);
}

const configOf = (decoder: Half, encoder?: Half): Json => ({
  _class_name: 'AutoencoderTiny',
  act_fn: 'relu',
  latent_channels: 4,
  block_out_channels: decoder.blocks.map(() => decoder.channels),
  num_decoder_blocks: decoder.blocks,
  ...(encoder ? { num_encoder_blocks: encoder.blocks } : {}),
});
