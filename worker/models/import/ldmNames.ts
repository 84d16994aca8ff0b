/**
 * Where Stability's own code (LDM, sgm; the single files that people share) keeps what diffusers calls by another
 * name. Source of the correspondence: diffusers' loaders/single_file_utils.py, read the other way round.
 */

/** A name in the file; `third` where the stored tensor holds three weights and this is one of them. */
export interface LdmPlace {
  readonly name: string;
  readonly third?: 0 | 1 | 2;
}

const ends: Readonly<Record<string, string>> = {
  conv_in: 'input_blocks.0.0',
  'time_embedding.linear_1': 'time_embed.0',
  'time_embedding.linear_2': 'time_embed.2',
  'time_embedding.cond_proj': 'time_embed.cond_proj',
  'add_embedding.linear_1': 'label_emb.0.0',
  'add_embedding.linear_2': 'label_emb.0.2',
  conv_norm_out: 'out.0',
  conv_out: 'out.2',
};
const resnetParts: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
};

/**
 * A U-Net's module or weight (`down_blocks.0.resnets.0.conv1`, with or without `.weight`), without the file's prefix.
 * @param layers resnets of a level on the way down
 * @param attends whether a level on the way up has attention: its upsampler then stands one further
 */
export function ldmUNetName(name: string, layers: number, attends: (up: number) => boolean): string {
  const step = layers + 1;
  const block = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/.exec(
    name,
  );
  if (block) {
    const [, way, level, kind, place, rest] = block as unknown as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const [i, j] = [Number(level), Number(place)];
    if (kind === 'downsamplers') return `input_blocks.${step * (i + 1)}.0.${rest.replace('conv', 'op')}`;
    if (kind === 'upsamplers') return `output_blocks.${step * i + layers}.${attends(i) ? 2 : 1}.${rest}`;
    const side = way === 'down' ? `input_blocks.${step * i + j + 1}` : `output_blocks.${step * i + j}`;
    return kind === 'resnets' ? `${side}.0.${ldmResnetName(rest)}` : `${side}.1.${rest}`;
  }
  const middle = /^mid_block\.(resnets|attentions)\.(\d+)\.(.+)$/.exec(name);
  if (middle) {
    const [, kind, j, rest] = middle as unknown as [string, string, string, string];
    return kind === 'resnets'
      ? `middle_block.${2 * Number(j)}.${ldmResnetName(rest)}`
      : `middle_block.1.${rest}`;
  }
  const [, stem, tail] = /^(.+?)(\.weight|\.bias)?$/.exec(name) as unknown as [
    string,
    string,
    string | undefined,
  ];
  return `${ends[stem] ?? stem}${tail ?? ''}`;
}

const ldmResnetName = (rest: string): string => rest.replace(/^[^.]+/, (part) => resnetParts[part] ?? part);

/** An autoencoder's weight; on the way up LDM counts its levels from the finest. */
export function ldmVaeName(name: string, levels: number): string {
  return name
    .replace(/down_blocks\.(\d+)\.resnets\.(\d+)/, 'down.$1.block.$2')
    .replace(/down_blocks\.(\d+)\.downsamplers\.0/, 'down.$1.downsample')
    .replace(/up_blocks\.(\d+)\.resnets\.(\d+)/, (_, i, j) => `up.${levels - 1 - Number(i)}.block.${j}`)
    .replace(/up_blocks\.(\d+)\.upsamplers\.0/, (_, i) => `up.${levels - 1 - Number(i)}.upsample`)
    .replace(/mid_block\.resnets\.(\d+)/, (_, j) => `mid.block_${Number(j) + 1}`)
    .replace('mid_block.attentions.0.group_norm', 'mid.attn_1.norm')
    .replace(/mid_block\.attentions\.0\.to_([qkv])/, 'mid.attn_1.$1')
    .replace('mid_block.attentions.0.to_out.0', 'mid.attn_1.proj_out')
    .replace('conv_norm_out', 'norm_out')
    .replace('conv_shortcut', 'nin_shortcut');
}

/** The attention of an autoencoder as diffusers named it until 2023. */
export const oldVaeName = (name: string): string =>
  name
    .replace('.to_q.', '.query.')
    .replace('.to_k.', '.key.')
    .replace('.to_v.', '.value.')
    .replace('.to_out.0.', '.proj_attn.');

/** OpenCLIP's name of a text encoder's weight; it stores queries, keys and values in one. */
export function openClipName(name: string): LdmPlace {
  const projection = /^text_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)$/.exec(
    name,
  );
  if (projection) {
    const [, layer, which, kind] = projection as unknown as [string, string, string, string];
    const third = 'qkv'.indexOf(which) as 0 | 1 | 2;
    return { name: `transformer.resblocks.${layer}.attn.in_proj_${kind}`, third };
  }
  return {
    name: name
      .replace('text_model.encoder.layers.', 'transformer.resblocks.')
      .replace('self_attn', 'attn')
      .replace('layer_norm1', 'ln_1')
      .replace('layer_norm2', 'ln_2')
      .replace('mlp.fc1', 'mlp.c_fc')
      .replace('mlp.fc2', 'mlp.c_proj')
      .replace('text_model.final_layer_norm', 'ln_final')
      .replace('text_model.embeddings.token_embedding', 'token_embedding')
      .replace('text_model.embeddings.position_embedding.weight', 'positional_embedding')
      .replace('text_projection.weight', 'text_projection'),
  };
}
