/**
 * Reads the configs that diffusers and transformers write beside their weights into the builders' settings. A setting
 * that no builder implements is refused by the field's name, never ignored.
 */
import { EngineError } from '../errors.ts';

export type Json = Readonly<Record<string, unknown>>;

/** UNet2DConditionModel. Lists are by level, the finest first. */
export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly channels: readonly number[];
  readonly layers: readonly number[];
  readonly heads: readonly number[];
  /** Transformer blocks of each attention on the way down, by level and layer; [] where a level has none. */
  readonly downDepth: readonly (readonly number[])[];
  /** Transformer blocks on the way up, by level and layer; its first entry is the coarsest level. */
  readonly upDepth: readonly (readonly number[])[];
  /** Transformer blocks of the middle's attention; 0: no attention, undefined: no middle block. */
  readonly middleDepth: number | undefined;
  /** Length of a token's vector. */
  readonly context: number;
  readonly groups: number;
  readonly eps: number;
  readonly flipSinToCos: boolean;
  readonly frequencyShift: number;
  /** Length of LCM's guidance embedding, where the network takes one. */
  readonly guidanceWidth: number | undefined;
  /** SDXL's `text_time`: numbers per size, and the width of the pooled text. */
  readonly sizes: { readonly width: number; readonly pooled: number } | undefined;
}

/** AutoencoderKL. */
export interface VaeConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  readonly channels: readonly number[];
  readonly layers: number;
  readonly groups: number;
  readonly middleAttention: boolean;
  readonly quantConv: boolean;
  readonly postQuantConv: boolean;
}

/** CLIPTextModel, CLIPTextModelWithProjection. */
export interface TextConfig {
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  readonly eps: number;
  readonly activation: 'quick_gelu' | 'gelu';
  /**
   * The id whose place gives the pooled vector; undefined: the highest id in the text, as transformers reads the
   * eos_token_id 2 that OpenAI's configs have by mistake.
   */
  readonly endMark: number | undefined;
}

/** @throws EngineError('unsupported') which names the field */
export function readUNetConfig(json: Json): UNetConfig {
  const at = reader(json, 'unet');
  at.only('act_fn', ['silu', 'swish']);
  at.only('time_embedding_type', ['positional']);
  at.only('resnet_time_scale_shift', ['default']);
  at.only('attention_type', ['default']);
  at.only('addition_embed_type', [null, 'text_time']);
  for (const field of ['class_embed_type', 'num_class_embeds', 'encoder_hid_dim', 'encoder_hid_dim_type'])
    at.only(field, [null]);
  for (const field of ['time_embedding_act_fn', 'timestep_post_act', 'cross_attention_norm', 'dropout'])
    at.only(field, [null, 0]);
  for (const field of ['dual_cross_attention', 'center_input_sample', 'class_embeddings_concat'])
    at.only(field, [false]);
  for (const field of ['only_cross_attention', 'resnet_skip_time_act']) at.only(field, [false, null]);
  at.only('mid_block_only_cross_attention', [null, false]);
  at.only('downsample_padding', [1]);
  const channels = at.numbers('block_out_channels', [320, 640, 1280, 1280]);
  const levels = channels.length;
  const downTypes = at.texts('down_block_types', ['CrossAttnDownBlock2D', 'DownBlock2D'], levels);
  const upTypes = at.texts('up_block_types', ['CrossAttnUpBlock2D', 'UpBlock2D'], levels);
  at.only('mid_block_type', ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D', null]);
  const middle = json['mid_block_type'];
  const layers = at.perLevel('layers_per_block', 2, levels);
  const depth = nested(json['transformer_layers_per_block'] ?? 1, levels);
  const reverse = json['reverse_transformer_layers_per_block'] ?? undefined;
  const upwards = reverse === undefined ? depth.toReversed() : nested(reverse, levels);
  const each = (value: number | readonly number[], count: number): number[] =>
    Array.from({ length: count }, (_, i) => (typeof value === 'number' ? value : (value[i] ?? 1)));
  const deepest = depth.at(-1)!;
  const channelsOfSizes = at.number('addition_time_embed_dim', 256);
  return {
    inChannels: at.number('in_channels', 4),
    outChannels: at.number('out_channels', 4),
    channels,
    layers,
    // diffusers' early configs call the number of heads attention_head_dim, and its new ones keep doing so.
    heads: at.perLevel(
      json['num_attention_heads'] == null ? 'attention_head_dim' : 'num_attention_heads',
      8,
      levels,
    ),
    downDepth: downTypes.map((type, i) => (type === 'DownBlock2D' ? [] : each(depth[i]!, layers[i]!))),
    upDepth: upTypes.map((type, i) =>
      type === 'UpBlock2D' ? [] : each(upwards[i]!, layers[levels - 1 - i]! + 1),
    ),
    middleDepth:
      middle === null
        ? undefined
        : middle === 'UNetMidBlock2D'
          ? 0
          : typeof deepest === 'number'
            ? deepest
            : deepest[0],
    context: at.number('cross_attention_dim', 1280),
    groups: at.number('norm_num_groups', 32),
    eps: at.number('norm_eps', 1e-5),
    flipSinToCos: json['flip_sin_to_cos'] !== false,
    frequencyShift: at.number('freq_shift', 0),
    guidanceWidth: json['time_cond_proj_dim'] == null ? undefined : at.number('time_cond_proj_dim', 256),
    sizes:
      json['addition_embed_type'] === 'text_time'
        ? {
            width: channelsOfSizes,
            pooled: at.number('projection_class_embeddings_input_dim', 2816) - 6 * channelsOfSizes,
          }
        : undefined,
  };
}

/** @throws EngineError('unsupported') which names the field */
export function readVaeConfig(json: Json): VaeConfig {
  const at = reader(json, 'vae');
  at.only('act_fn', ['silu', 'swish']);
  const channels = at.numbers('block_out_channels', [64]);
  at.texts('down_block_types', ['DownEncoderBlock2D'], channels.length);
  at.texts('up_block_types', ['UpDecoderBlock2D'], channels.length);
  return {
    inChannels: at.number('in_channels', 3),
    outChannels: at.number('out_channels', 3),
    latentChannels: at.number('latent_channels', 4),
    channels,
    layers: at.number('layers_per_block', 1),
    groups: at.number('norm_num_groups', 32),
    middleAttention: json['mid_block_add_attention'] !== false,
    quantConv: json['use_quant_conv'] !== false,
    postQuantConv: json['use_post_quant_conv'] !== false,
  };
}

/** @throws EngineError('unsupported') which names the field */
export function readTextConfig(json: Json): TextConfig {
  const at = reader(json, 'text_encoder');
  at.only('hidden_act', ['quick_gelu', 'gelu']);
  const end = at.number('eos_token_id', 49407);
  return {
    width: at.number('hidden_size', 512),
    heads: at.number('num_attention_heads', 8),
    layers: at.number('num_hidden_layers', 12),
    eps: at.number('layer_norm_eps', 1e-5),
    activation: json['hidden_act'] === 'gelu' ? 'gelu' : 'quick_gelu',
    endMark: end === 2 ? undefined : end,
  };
}

/** Reads a config field by field; each method throws EngineError('unsupported') which names the field. */
export function reader(json: Json, part: string) {
  const wrong = (field: string, expected: string): EngineError =>
    new EngineError(
      'unsupported',
      `${part}: ${field} is ${JSON.stringify(json[field])}; only ${expected} can be built`,
    );
  const isNumber = (value: unknown): value is number =>
    typeof value === 'number' && Number.isFinite(value) && value >= 0;
  return {
    number(field: string, fallback: number): number {
      const value = json[field] ?? fallback;
      if (!isNumber(value)) throw wrong(field, 'a number');
      return value;
    },
    numbers(field: string, fallback: readonly number[]): readonly number[] {
      const value = json[field] ?? fallback;
      if (
        !Array.isArray(value) ||
        value.length === 0 ||
        !value.every((each) => Number.isSafeInteger(each) && each > 0)
      )
        throw wrong(field, 'a list of whole numbers');
      return value as number[];
    },
    perLevel(field: string, fallback: number, levels: number): readonly number[] {
      const value = json[field] ?? fallback;
      if (isNumber(value)) return new Array<number>(levels).fill(value);
      if (!Array.isArray(value) || value.length !== levels || !value.every(isNumber))
        throw wrong(field, `a number, or ${levels} of them,`);
      return value;
    },
    texts(field: string, known: readonly string[], levels: number): readonly string[] {
      const value = json[field];
      if (
        !Array.isArray(value) ||
        value.length !== levels ||
        !value.every((each) => known.includes(each as string))
      )
        throw wrong(field, `${levels} of ${known.join(', ')}`);
      return value as string[];
    },
    only(field: string, values: readonly unknown[]): void {
      const value = json[field];
      if (value !== undefined && !values.includes(value))
        throw wrong(field, values.map((each) => JSON.stringify(each)).join(' or '));
    },
  };
}

/** One number for all levels, one for each level, or one for each layer. */
function nested(value: unknown, levels: number): (number | readonly number[])[] {
  const list = Array.isArray(value) ? (value as unknown[]) : new Array<unknown>(levels).fill(value);
  const isDepth = (each: unknown): each is number | readonly number[] =>
    Array.isArray(each) ? each.every((n) => Number.isSafeInteger(n)) : Number.isSafeInteger(each);
  if (list.length === levels && list.every(isDepth)) return list;
  throw new EngineError(
    'unsupported',
    `unet: transformer_layers_per_block is ${JSON.stringify(value)}; only a number, or ${levels} of them, can be built`,
  );
}
