/**
 * Names that a module's tensors may have in an adapter's file. Every trainer writes a module's name in its own way;
 * these names cannot be parsed reliably (`to_out_0`, `ff_net_0_proj`), but each can be derived from the module's own name.
 */

/** A network that adapters change, by the name of its folder. */
export type AdaptedPart = 'unet' | 'text_encoder' | 'text_encoder_2';

export interface NetworkShape {
  /** Resnets in each level on the way down. */
  readonly layers: number;
  readonly levels: number;
  /** Whether the block of that number on the way up has attentions. */
  readonly attentionUp: (block: number) => boolean;
  /** Whether the model has two text encoders. */
  readonly twoEncoders: boolean;
}

const underscored = (name: string): string => name.replaceAll('.', '_');

/** Names before the tail (`.lora_down.weight`, `.alpha` …), most usual first. */
export function stems(part: AdaptedPart, name: string, network: NetworkShape): string[] {
  return part === 'unet' ? unetStems(name, network) : textStems(part, name, network);
}

function unetStems(name: string, network: NetworkShape): string[] {
  const ldm = ldmName(name, network);
  const names = ldm === undefined ? [name] : [name, ldm];
  return names.flatMap((each) => [
    ...['lora_unet_', 'lycoris_unet_', 'lycoris_'].map((prefix) => prefix + underscored(each)),
    ...[
      'unet.',
      'base_model.model.',
      'unet.base_model.model.',
      'diffusion_model.',
      'model.diffusion_model.',
      'unet.unet.',
      '',
    ].map((prefix) => prefix + each),
  ]);
}

/** A name without its encoder is clear only in models with one text encoder. */
function textStems(part: AdaptedPart, name: string, { twoEncoders }: NetworkShape): string[] {
  const bare = name.replace(/^text_model\./, '');
  const second = part === 'text_encoder_2';
  const flat = second
    ? ['lora_te2_', 'lycoris_te2_', 'lycoris_text_encoder_2_']
    : twoEncoders
      ? ['lora_te1_', 'lora_te_', 'lycoris_te1_', 'lycoris_text_encoder_']
      : ['lora_te_', 'lora_te1_', 'lora_te2_', 'lycoris_te_', 'lycoris_text_encoder_', 'lycoris_'];
  const dotted = second
    ? ['text_encoder_2.', 'te2.']
    : twoEncoders
      ? ['text_encoder.', 'te1.']
      : ['text_encoder.', 'te.', 'base_model.model.', 'text_encoder.base_model.model.'];
  const names = bare === name ? [name] : [name, bare];
  return names.flatMap((each) => [
    ...flat.map((prefix) => prefix + underscored(each)),
    ...dotted.map((prefix) => prefix + each),
  ]);
}

/** diffusers' training scripts before PEFT: `attn1.processor.to_q_lora.down.weight`, `self_attn.to_q_lora.up.weight`. */
export function oldStems(part: AdaptedPart, name: string): string[] {
  const attention = /^(.*attn[12])\.(to_[qkv]|to_out)(?:\.0)?$/.exec(name);
  if (part === 'unet' && attention)
    return ['unet.', '', 'unet.unet.'].map(
      (prefix) => `${prefix}${attention[1]}.processor.${attention[2]}_lora`,
    );
  const text = /^(?:text_model\.)?(.*self_attn)\.(?:(q|k|v)_proj|out_proj)$/.exec(name);
  if (part === 'unet' || !text) return [];
  const projection = text[2] === undefined ? 'to_out_lora' : `to_${text[2]}_lora`;
  return [`${part}.text_model.${text[1]}.${projection}`, `${part}.${text[1]}.${projection}`];
}

/**
 * The name that the original code (LDM, sgm) gives a module of the U-Net: blocks are counted through, and a block is
 * a list of layers. https://github.com/CompVis/latent-diffusion, openaimodel.py
 */
export function ldmName(name: string, { layers, levels, attentionUp }: NetworkShape): string | undefined {
  const perLevel = layers + 1;
  const whole: Readonly<Record<string, string>> = {
    conv_in: 'input_blocks.0.0',
    conv_norm_out: 'out.0',
    conv_out: 'out.2',
    'time_embedding.linear_1': 'time_embed.0',
    'time_embedding.linear_2': 'time_embed.2',
    'time_embedding.cond_proj': 'time_embed.cond_proj',
    'add_embedding.linear_1': 'label_emb.0.0',
    'add_embedding.linear_2': 'label_emb.0.2',
  };
  if (whole[name] !== undefined) return whole[name];
  const middle = /^mid_block\.(resnets|attentions)\.(\d+)\.(.*)$/.exec(name);
  if (middle) {
    const [, kind, index, rest] = middle as unknown as [string, string, string, string];
    return kind === 'attentions'
      ? `middle_block.1.${rest}`
      : inner(`middle_block.${2 * Number(index)}`, rest);
  }
  const block = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)$/.exec(
    name,
  );
  if (!block) return undefined;
  const [, way, level, kind, index, rest] = block as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const [i, j] = [Number(level), Number(index)];
  if (kind === 'downsamplers') return `input_blocks.${perLevel * (i + 1)}.0.${rest.replace(/^conv$/, 'op')}`;
  if (kind === 'upsamplers')
    return `output_blocks.${perLevel * i + layers}.${attentionUp(i) ? 2 : 1}.${rest}`;
  if (i >= levels) return undefined;
  const at = way === 'down' ? `input_blocks.${perLevel * i + j + 1}` : `output_blocks.${perLevel * i + j}`;
  return kind === 'attentions' ? `${at}.1.${rest}` : inner(`${at}.0`, rest);
}

const resnetLayers: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  time_emb_proj: 'emb_layers.1',
  conv_shortcut: 'skip_connection',
};
const inner = (at: string, rest: string): string | undefined =>
  resnetLayers[rest] === undefined ? undefined : `${at}.${resnetLayers[rest]}`;
