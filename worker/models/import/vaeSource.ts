/** An autoencoder, in a model's file or in one of its own, under LDM's names or diffusers'. */
import type { Json } from '../hub/defaults.ts';
import { StoreError } from '../hub/errors.ts';
import { ldmVaeName, oldVaeName } from './ldmNames.ts';
import type { FindWeight, SourcePart } from './modelSource.ts';
import type { Tensor, TensorFile } from './safetensors.ts';
import { isTinyVae, readTinyDecoder, readTinyVae } from './tinyVae.ts';

const prefixes = ['first_stage_model.', 'vae.', ''];

/**
 * @param config settings that the shapes do not show, such as the scaling factor, which belongs to the model
 * @returns decoder and encoder (where there is one); undefined where the file has no autoencoder
 */
export function findVae(file: TensorFile, config: Json): SourcePart[] | undefined {
  const { tensors } = file;
  for (const prefix of prefixes) {
    if (!tensors.has(`${prefix}decoder.conv_in.weight`)) continue;
    if (tensors.has(`${prefix}decoder.mid.block_1.conv1.weight`)) return ldmVae(file, prefix, config);
    if (tensors.has(`${prefix}decoder.mid_block.resnets.0.conv1.weight`))
      return diffusersVae(file, prefix, config);
  }
  return undefined;
}

/**
 * The autoencoder's parts with a `--vae` file: it replaces the model's own, but a TAESD is added beside a whole one, as
 * the decoder of drafts and previews.
 * @param own the model's, where it has one
 * @throws StoreError where the file holds none
 */
export function withVaeFile(
  own: readonly SourcePart[] | undefined,
  file: TensorFile,
  config: Json,
): SourcePart[] {
  if (isTinyVae(file))
    return own?.some(({ network }) => network === 'vae_decoder')
      ? [...own, readTinyDecoder(file)]
      : readTinyVae(file);
  const parts = findVae(file, config);
  if (parts) return parts;
  throw new StoreError(
    'unsupported',
    `${file.file} holds no autoencoder: neither first_stage_model.decoder… nor decoder… is in it.`,
  );
}

function ldmVae(file: TensorFile, prefix: string, config: Json): SourcePart[] {
  const { tensors } = file;
  const at = (name: string): Tensor | undefined => tensors.get(prefix + name);
  const levels = countOf(tensors, `${prefix}decoder.up.`);
  const find: FindWeight = (name) => at(ldmVaeName(name, levels)) ?? at(name);
  const channels = list(levels, (i) => at(`decoder.up.${i}.block.0.conv1.weight`)?.shape[0]);
  const layers = countOf(tensors, `${prefix}decoder.up.0.block.`) - 1;
  return partsOf(file, find, channels, layers, config);
}

function diffusersVae(file: TensorFile, prefix: string, config: Json): SourcePart[] {
  const { tensors } = file;
  const at = (name: string): Tensor | undefined => tensors.get(prefix + name);
  const find: FindWeight = (name) => at(name) ?? at(oldVaeName(name));
  const levels = countOf(tensors, `${prefix}decoder.up_blocks.`);
  const channels = list(
    levels,
    (i) => at(`decoder.up_blocks.${levels - 1 - i}.resnets.0.conv1.weight`)?.shape[0],
  );
  const layers = countOf(tensors, `${prefix}decoder.up_blocks.0.resnets.`) - 1;
  return partsOf(file, find, channels, layers, config);
}

function partsOf(
  file: TensorFile,
  find: FindWeight,
  channels: readonly (number | undefined)[],
  layers: number,
  config: Json,
): SourcePart[] {
  const latents = find('decoder.conv_in.weight')?.shape[1];
  if (channels.length === 0 || channels.some((width) => width === undefined) || layers < 1)
    throw new StoreError('damaged', `${file.file}: parts of its autoencoder are missing. Fetch it again.`);
  if (latents !== 4)
    throw new StoreError(
      'unsupported',
      `${file.file}: its autoencoder has ${latents} latent channels, Stable Diffusion has 4. It belongs to another kind of model (SD3, FLUX).`,
    );
  const shaped = {
    _class_name: 'AutoencoderKL',
    act_fn: 'silu',
    in_channels: 3,
    out_channels: 3,
    latent_channels: latents,
    block_out_channels: channels,
    layers_per_block: layers,
    norm_num_groups: 32,
    down_block_types: channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: channels.map(() => 'UpDecoderBlock2D'),
    use_quant_conv: find('quant_conv.weight') !== undefined,
    use_post_quant_conv: find('post_quant_conv.weight') !== undefined,
    ...config,
  };
  const decoder: SourcePart = { part: 'vae_decoder', network: 'vae_decoder', config: shaped, find };
  if (find('encoder.conv_in.weight') === undefined) return [decoder];
  return [decoder, { part: 'vae_encoder', network: 'vae_encoder', config: shaped, find }];
}

/** How many consecutive numbers follow a prefix. */
export function countOf(tensors: ReadonlyMap<string, unknown>, prefix: string): number {
  const numbers = new Set<string>();
  for (const key of tensors.keys()) {
    if (!key.startsWith(prefix)) continue;
    const number = /^\d+/.exec(key.slice(prefix.length))?.[0];
    if (number !== undefined) numbers.add(number);
  }
  return numbers.size;
}

const list = <T>(count: number, each: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => each(i));
