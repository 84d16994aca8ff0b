/** Configs of the networks of models with a picture embedding: Karlo and Kandinsky 2.2. */
import { type Json, reader } from './config.ts';

/**
 * UNet2DConditionModel of Karlo's decoder and of Kandinsky 2.2, and UNet2DModel of Karlo's super-resolution. Lists go
 * by level, the finest first.
 */
export interface PixelUNetConfig {
  /** The network's inputs beside sample and timestep. */
  readonly told: 'text-and-image' | 'image' | 'nothing';
  readonly inChannels: number;
  readonly outChannels: number;
  readonly channels: readonly number[];
  readonly layers: readonly number[];
  /** Whether a level has attention. */
  readonly attention: readonly boolean[];
  /** Channels of one head. */
  readonly headSizes: readonly number[];
  readonly context: number;
  /** Length of the picture embedding; of Kandinsky's network only. */
  readonly embedding: number;
  readonly groups: number;
  readonly eps: number;
  /** Whether the timestep scales and shifts the features; else it is added. */
  readonly scaleShift: boolean;
  readonly flipSinToCos: boolean;
  readonly frequencyShift: number;
}

/** PriorTransformer. */
export interface PriorConfig {
  readonly heads: number;
  readonly width: number;
  readonly layers: number;
  readonly embedding: number;
  readonly tokens: number;
  /** Places after the text: projected text, timestep, noised embedding, and a learned query. */
  readonly extra: number;
}

/** CLIPVisionModelWithProjection. */
export interface VisionConfig {
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  readonly size: number;
  readonly patch: number;
  readonly eps: number;
  readonly activation: 'quick_gelu' | 'gelu';
}

/** VQModel with norm_type "spatial". */
export interface MovqConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  readonly channels: readonly number[];
  readonly layers: number;
  readonly groups: number;
  readonly downAttention: readonly boolean[];
  readonly upAttention: readonly boolean[];
  readonly middleAttention: boolean;
}

/** @throws EngineError('unsupported') which names the field */
export function readPixelUNetConfig(json: Json): PixelUNetConfig {
  const at = reader(json, 'unet');
  const conditional = json['_class_name'] !== 'UNet2DModel';
  at.only('act_fn', ['silu', 'swish']);
  at.only('time_embedding_type', ['positional']);
  at.only('resnet_time_scale_shift', ['default', 'scale_shift']);
  at.only('center_input_sample', [false]);
  at.only('downsample_padding', [1]);
  at.only('num_class_embeds', [null]);
  at.only('mid_block_scale_factor', [1]);
  for (const field of ['only_cross_attention', 'resnet_skip_time_act', 'dual_cross_attention'])
    at.only(field, [false, null]);
  for (const field of ['cross_attention_norm', 'time_embedding_act_fn', 'timestep_post_act', 'dropout'])
    at.only(field, [null, 0]);
  const channels = at.numbers('block_out_channels', [320, 640, 960, 1280]);
  const levels = channels.length;
  const attended = conditional ? ['SimpleCrossAttnDownBlock2D'] : [];
  const down = at.texts('down_block_types', ['ResnetDownsampleBlock2D', ...attended], levels);
  const up = at.texts(
    'up_block_types',
    ['ResnetUpsampleBlock2D', ...(conditional ? ['SimpleCrossAttnUpBlock2D'] : [])],
    levels,
  );
  const attention = down.map((type) => type.startsWith('Simple'));
  const upwards = up.map((type) => type.startsWith('Simple')).reverse();
  if (attention.some((each, level) => each !== upwards[level]))
    at.only('up_block_types', [down.map((type) => type.replace('Down', 'Up')).reverse()]);
  at.only('mid_block_type', conditional ? ['UNetMidBlock2DSimpleCrossAttn'] : ['UNetMidBlock2D', null]);
  if (conditional) {
    at.only('class_embed_type', [null, 'identity']);
    at.only('addition_embed_type', [null, 'image']);
    at.only('encoder_hid_dim_type', json['class_embed_type'] === 'identity' ? [null] : ['image_proj']);
  } else {
    at.only('class_embed_type', [null]);
    at.only('add_attention', [false]);
  }
  const told = !conditional
    ? 'nothing'
    : json['class_embed_type'] === 'identity'
      ? 'text-and-image'
      : 'image';
  return {
    told,
    inChannels: at.number('in_channels', 3),
    outChannels: at.number('out_channels', 3),
    channels,
    layers: at.perLevel('layers_per_block', 2, levels),
    attention,
    headSizes: at.perLevel('attention_head_dim', 8, levels),
    context: at.number('cross_attention_dim', 1280),
    embedding: at.number('encoder_hid_dim', 1280),
    groups: at.number('norm_num_groups', 32),
    eps: at.number('norm_eps', 1e-5),
    scaleShift: json['resnet_time_scale_shift'] === 'scale_shift',
    flipSinToCos: json['flip_sin_to_cos'] !== false,
    frequencyShift: at.number('freq_shift', 0),
  };
}

/** @throws EngineError('unsupported') which names the field */
export function readPriorConfig(json: Json): PriorConfig {
  const at = reader(json, 'prior');
  at.only('time_embed_act_fn', ['silu']);
  at.only('norm_in_type', [null]);
  at.only('embedding_proj_norm_type', [null]);
  at.only('encoder_hid_proj_type', ['linear']);
  at.only('added_emb_type', ['prd']);
  at.only('additional_embeddings', [4]);
  const heads = at.number('num_attention_heads', 32);
  return {
    heads,
    width: heads * at.number('attention_head_dim', 64),
    layers: at.number('num_layers', 20),
    embedding: at.number('embedding_dim', 768),
    tokens: at.number('num_embeddings', 77),
    extra: at.number('additional_embeddings', 4),
  };
}

/** @throws EngineError('unsupported') which names the field */
export function readVisionConfig(json: Json): VisionConfig {
  const at = reader(json, 'image_encoder');
  at.only('hidden_act', ['quick_gelu', 'gelu']);
  at.only('num_channels', [3]);
  return {
    width: at.number('hidden_size', 768),
    heads: at.number('num_attention_heads', 12),
    layers: at.number('num_hidden_layers', 12),
    size: at.number('image_size', 224),
    patch: at.number('patch_size', 32),
    eps: at.number('layer_norm_eps', 1e-5),
    activation: json['hidden_act'] === 'gelu' ? 'gelu' : 'quick_gelu',
  };
}

/** @throws EngineError('unsupported') which names the field */
export function readMovqConfig(json: Json): MovqConfig {
  const at = reader(json, 'movq');
  at.only('act_fn', ['silu', 'swish']);
  at.only('norm_type', ['spatial']);
  at.only('lookup_from_codebook', [false]);
  const channels = at.numbers('block_out_channels', [64]);
  const down = at.texts(
    'down_block_types',
    ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'],
    channels.length,
  );
  const up = at.texts('up_block_types', ['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'], channels.length);
  return {
    inChannels: at.number('in_channels', 3),
    outChannels: at.number('out_channels', 3),
    latentChannels: at.number('latent_channels', 3),
    channels,
    layers: at.number('layers_per_block', 1),
    groups: at.number('norm_num_groups', 32),
    downAttention: down.map((type) => type.startsWith('Attn')),
    upAttention: up.map((type) => type.startsWith('Attn')),
    middleAttention: json['mid_block_add_attention'] !== false,
  };
}
