/**
 * A whole model in one file under LDM's names: its kind and all its config are read from names and shapes.
 */
import type { Json } from '../hub/defaults.ts';
import { StoreError } from '../hub/errors.ts';
import { predicting } from './knownPredictionTypes.ts';
import { ldmUNetName } from './ldmNames.ts';
import type { FindWeight, Source, SourcePart } from './modelSource.ts';
import { type PredictionSign, predictionSign, type SingleKind, schedulerFor } from './predictionType.ts';
import { refuseChannels, refuseForeign } from './refusals.ts';
import type { TensorFile } from './safetensors.ts';
import { findOpenAiClip, findOpenClip } from './textSource.ts';
import { isTinyVae } from './tinyVae.ts';
import { findUpscaler } from './upscalerSource.ts';
import { countOf, findVae, withVaeFile } from './vaeSource.ts';

/** Prefixes of the U-Net's names: in whole models, then in files of the network alone. */
const prefixes = ['model.diffusion_model.', 'diffusion_model.', ''];
const scalingFactors: Readonly<Record<SingleKind, number>> = { sd1: 0.18215, sd2: 0.18215, sdxl: 0.13025 };

/**
 * @param vae an autoencoder to take instead of the file's own
 * @throws StoreError in one line for a file that is something else, or lacks a part
 */
export function readSingleFile(file: TensorFile, vae?: TensorFile): Source {
  refuseForeign(file);
  const prefix = prefixes.find((each) => file.tensors.has(`${each}input_blocks.0.0.weight`));
  if (prefix === undefined) throw noNetwork(file);
  const { part: unet, kind, latentConsistency } = readUNet(file, prefix);
  const vaeConfig = { scaling_factor: scalingFactors[kind] };
  const own = findVae(file, vaeConfig);
  const vaeParts = vae ? withVaeFile(own, vae, vaeConfig) : own;
  const encoders = {
    sd1: () => [findOpenAiClip(file, 'sd1')],
    sd2: () => [findOpenClip(file, 'sd2')],
    sdxl: () => [findOpenAiClip(file, 'sdxl'), findOpenClip(file, 'sdxl')],
  }[kind]();
  refuseMissing(file.file, kind, encoders, vaeParts);
  const sign = predictionSign(file, kind);
  const inpaint = unet.config['in_channels'] === 9;
  const source: Source = {
    from: file.file,
    kind,
    parts: [...encoders.filter((part) => part !== undefined), unet, ...vaeParts!],
    index: indexFor(kind, inpaint, latentConsistency),
    scheduler: schedulerFor(kind, sign, latentConsistency),
    tokenizers:
      kind === 'sdxl'
        ? { tokenizer: { clip: 'end' }, tokenizer_2: { clip: '!' } }
        : { tokenizer: { clip: kind === 'sd2' ? '!' : 'end' } },
    askPrediction: sign.prediction === undefined,
    notes: [...notesOf(sign), ...(vaeParts!.some(({ part }) => part === 'vae_encoder') ? [] : [noEncoder])],
  };
  return sign.prediction ? predicting(source, sign.prediction) : source;
}

const noEncoder = 'The autoencoder has no encoder: pictures cannot be given to start from.';

const notesOf = ({ said }: PredictionSign): string[] => (said === undefined ? [] : [said]);

function noNetwork(file: TensorFile): StoreError {
  const { tensors } = file;
  if (tensors.has('decoder.conv_in.weight') || tensors.has('first_stage_model.decoder.conv_in.weight'))
    return new StoreError(
      'unsupported',
      `${file.file} is an autoencoder (VAE) alone: dreamgrid models add MODEL --vae ${file.file}`,
    );
  if (isTinyVae(file))
    return new StoreError(
      'unsupported',
      `${file.file} is a tiny autoencoder (TAESD) alone: dreamgrid models add MODEL --tiny-vae ${file.file}`,
    );
  if (findUpscaler(file))
    return new StoreError(
      'unsupported',
      `${file.file} is an upscaler alone: dreamgrid models add MODEL --upscaler ${file.file}`,
    );
  if (tensors.has('conv_in.weight') && tensors.has('down_blocks.0.resnets.0.conv1.weight'))
    return new StoreError(
      'unsupported',
      `${file.file} is one part of a diffusers folder: add the whole folder (the one with model_index.json).`,
    );
  return new StoreError(
    'unsupported',
    `${file.file} is no Stable Diffusion model: model.diffusion_model.input_blocks.0.0.weight is not in it.`,
  );
}

function refuseMissing(
  file: string,
  kind: SingleKind,
  encoders: readonly (SourcePart | undefined)[],
  vae: readonly SourcePart[] | undefined,
): void {
  const missing = [
    ...(encoders.every((part) => part !== undefined)
      ? []
      : [
          kind === 'sdxl'
            ? 'its two text encoders (conditioner.embedders…)'
            : 'its text encoder (cond_stage_model…)',
        ]),
    ...(vae ? [] : ['its autoencoder (first_stage_model…)']),
  ];
  if (missing.length === 0) return;
  const onlyVae = vae === undefined && missing.length === 1;
  throw new StoreError(
    'damaged',
    `${file} lacks ${missing.join(' and ')}: ${onlyVae ? 'give one with --vae FILE.' : 'take the full file of the model.'}`,
  );
}

function readUNet(file: TensorFile, prefix: string) {
  const { tensors } = file;
  const shape = (name: string): readonly number[] | undefined => tensors.get(prefix + name)?.shape;
  const need = (name: string): readonly number[] => {
    const found = shape(name);
    if (found) return found;
    throw new StoreError('damaged', `${file.file} lacks ${prefix}${name}. Fetch it again.`);
  };
  const channels = need('input_blocks.0.0.weight')[1]!;
  const label = shape('label_emb.0.0.weight');
  if (channels !== 4 && channels !== 9) refuseChannels(file.file, channels);
  if (label?.[1] === 2560 || tensors.has('conditioner.embedders.0.model.ln_final.weight'))
    throw new StoreError(
      'unsupported',
      `${file.file} is SDXL's refiner. Add the base model; it paints alone.`,
    );

  // 1. Level by level: a level ends where the next one's picture is half as large.
  const blocks = countOf(tensors, `${prefix}input_blocks.`);
  const downs = Array.from({ length: blocks }, (_, i) => i).filter((i) =>
    shape(`input_blocks.${i}.0.op.weight`),
  );
  const layers = (downs[0] ?? blocks) - 1;
  const levels = downs.length + 1;
  const each = <T>(count: number, of: (i: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => of(i));
  const widths = each(levels, (i) => need(`input_blocks.${i * (layers + 1) + 1}.0.out_layers.3.weight`)[0]!);
  const depthAt = (block: string): number => countOf(tensors, `${prefix}${block}.1.transformer_blocks.`);
  const down = each(levels, (i) => each(layers, (j) => depthAt(`input_blocks.${i * (layers + 1) + j + 1}`)));
  const up = each(levels, (i) => each(layers + 1, (j) => depthAt(`output_blocks.${i * (layers + 1) + j}`)));
  const middle = depthAt('middle_block');

  // 2. Heads: SD 1 has eight of them, later ones (with linear projections) are 64 wide.
  const projection = firstShape(file, prefix, '.1.proj_in.weight');
  const text = firstShape(file, prefix, '.attn2.to_k.weight')?.[1];
  if (text === undefined) throw new StoreError('damaged', `${file.file}: its network takes no text.`);
  const linear = projection?.length === 2;
  const kind: SingleKind = label
    ? 'sdxl'
    : linear || tensors.has('cond_stage_model.model.ln_final.weight')
      ? 'sd2'
      : 'sd1';
  const heads = widths.map((width) => (kind === 'sd1' ? 8 : Math.max(1, Math.floor(width / 64))));
  const guidance = shape('time_embed.cond_proj.weight')?.[1];
  const pooled = label ? pooledWidth(file) : 0;
  const config: Json = {
    _class_name: 'UNet2DConditionModel',
    sample_size: kind === 'sdxl' ? 128 : 64,
    in_channels: channels,
    out_channels: need('out.2.weight')[0],
    block_out_channels: widths,
    layers_per_block: layers,
    down_block_types: down.map((depths) =>
      depths.some((n) => n > 0) ? 'CrossAttnDownBlock2D' : 'DownBlock2D',
    ),
    up_block_types: up.map((depths) => (depths.some((n) => n > 0) ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
    mid_block_type:
      middle > 0
        ? 'UNetMidBlock2DCrossAttn'
        : shape('middle_block.0.in_layers.2.weight')
          ? 'UNetMidBlock2D'
          : null,
    transformer_layers_per_block: perLevel(down, middle),
    reverse_transformer_layers_per_block: up,
    attention_head_dim: heads,
    cross_attention_dim: text,
    use_linear_projection: linear,
    norm_num_groups: 32,
    norm_eps: 1e-5,
    act_fn: 'silu',
    ...(guidance === undefined ? {} : { time_cond_proj_dim: guidance }),
    ...(label
      ? {
          addition_embed_type: 'text_time',
          addition_time_embed_dim: (label[1]! - pooled) / 6,
          projection_class_embeddings_input_dim: label[1],
        }
      : {}),
  };
  const attends = (i: number): boolean => (up[i] ?? []).some((n) => n > 0);
  const find: FindWeight = (name) => tensors.get(prefix + ldmUNetName(name, layers, attends));
  const part: SourcePart = { part: 'unet', network: 'unet', config, find };
  return { part, kind, latentConsistency: guidance !== undefined };
}

/** diffusers' field: one number a level where its attentions are alike; the last one stands for the middle too. */
function perLevel(down: readonly (readonly number[])[], middle: number): (number | readonly number[])[] {
  return down.map((depths, i) => {
    const last = i === down.length - 1;
    const first = depths[0] ?? 0;
    if (last && first === 0) return middle || 1;
    return depths.every((depth) => depth === first) ? first || 1 : depths;
  });
}

function firstShape({ tensors }: TensorFile, prefix: string, suffix: string): readonly number[] | undefined {
  for (const [name, { shape }] of tensors) if (name.startsWith(prefix) && name.endsWith(suffix)) return shape;
  return undefined;
}

/** Width of SDXL's pooled text: its network takes it joined with the six sizes. */
function pooledWidth(file: TensorFile): number {
  const projection = findOpenClip(file, 'sdxl')?.find('text_projection.weight');
  return projection?.shape[projection.transposed ? 1 : 0] ?? 1280;
}

function indexFor(kind: SingleKind, inpaint: boolean, latentConsistency: boolean): Json {
  const name =
    kind === 'sdxl'
      ? `StableDiffusionXL${inpaint ? 'Inpaint' : ''}Pipeline`
      : latentConsistency
        ? 'LatentConsistencyModelPipeline'
        : `StableDiffusion${inpaint ? 'Inpaint' : ''}Pipeline`;
  return { _class_name: name, ...(kind === 'sdxl' ? { force_zeros_for_empty_prompt: true } : {}) };
}
