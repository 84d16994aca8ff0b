/**
 * Single-file checkpoints with the shapes of Stable Diffusion 1.5 and SDXL base 1.0 and random half-precision weights,
 * under the names that LDM's code gives them.
 */
export type Layout = 'sd15' | 'sdxl';
type Shapes = Map<string, readonly number[]>;

/** Names and shapes of every tensor, in the order of the networks. */
export function checkpointShapes(layout: Layout): Shapes {
  const shapes: Shapes = new Map();
  const xl = layout === 'sdxl';
  addUNet(shapes, xl ? sdxlUNet : sd15UNet);
  addVae(shapes);
  const clip = xl
    ? 'conditioner.embedders.0.transformer.text_model'
    : 'cond_stage_model.transformer.text_model';
  addClip(shapes, clip);
  if (xl) addOpenClip(shapes, 'conditioner.embedders.1.model');
  return shapes;
}

interface UNetLayout {
  readonly widths: readonly number[];
  /** Blocks of a transformer by level. */
  readonly depths: readonly number[];
  readonly middle: number;
  readonly context: number;
  /** Of what is told beside the text: pooled text and sizes. */
  readonly label?: number;
}
const sd15UNet: UNetLayout = {
  widths: [320, 640, 1280, 1280],
  depths: [1, 1, 1, 0],
  middle: 1,
  context: 768,
};
const sdxlUNet: UNetLayout = {
  widths: [320, 640, 1280],
  depths: [0, 2, 10],
  middle: 10,
  context: 2048,
  label: 2816,
};

function addUNet(shapes: Shapes, { widths, depths, middle, context, label }: UNetLayout): void {
  const root = 'model.diffusion_model';
  const [first] = widths as [number];
  const time = 4 * first;
  const { linear, conv, norm } = adders(shapes);
  const resnet = (name: string, into: number, out: number): void => {
    norm(`${name}.in_layers.0`, into);
    conv(`${name}.in_layers.2`, into, out);
    linear(`${name}.emb_layers.1`, time, out);
    norm(`${name}.out_layers.0`, out);
    conv(`${name}.out_layers.3`, out, out);
    if (into !== out) conv(`${name}.skip_connection`, into, out, 1);
  };
  const transformer = (name: string, width: number, depth: number): void => {
    const project = (end: string): void =>
      label === undefined ? conv(`${name}.${end}`, width, width, 1) : linear(`${name}.${end}`, width, width);
    norm(`${name}.norm`, width);
    project('proj_in');
    for (let i = 0; i < depth; i++) {
      const block = `${name}.transformer_blocks.${i}`;
      for (const [attention, from] of [
        ['attn1', width],
        ['attn2', context],
      ] as const) {
        linear(`${block}.${attention}.to_q`, width, width, false);
        linear(`${block}.${attention}.to_k`, from, width, false);
        linear(`${block}.${attention}.to_v`, from, width, false);
        linear(`${block}.${attention}.to_out.0`, width, width);
      }
      linear(`${block}.ff.net.0.proj`, width, 8 * width);
      linear(`${block}.ff.net.2`, 4 * width, width);
      for (const which of [1, 2, 3]) norm(`${block}.norm${which}`, width);
    }
    project('proj_out');
  };
  linear(`${root}.time_embed.0`, first, time);
  linear(`${root}.time_embed.2`, time, time);
  if (label !== undefined) {
    linear(`${root}.label_emb.0.0`, label, time);
    linear(`${root}.label_emb.0.2`, time, time);
  }
  conv(`${root}.input_blocks.0.0`, 4, first);
  const kept = [first];
  let width = first;
  let block = 1;
  for (const [level, wide] of widths.entries()) {
    for (let i = 0; i < 2; i++, block++) {
      resnet(`${root}.input_blocks.${block}.0`, width, wide);
      if (depths[level]) transformer(`${root}.input_blocks.${block}.1`, wide, depths[level]);
      width = wide;
      kept.push(width);
    }
    if (level === widths.length - 1) break;
    conv(`${root}.input_blocks.${block++}.0.op`, width, width);
    kept.push(width);
  }
  resnet(`${root}.middle_block.0`, width, width);
  transformer(`${root}.middle_block.1`, width, middle);
  resnet(`${root}.middle_block.2`, width, width);
  block = 0;
  for (let level = widths.length - 1; level >= 0; level--)
    for (let i = 0; i < 3; i++, block++) {
      const wide = widths[level]!;
      resnet(`${root}.output_blocks.${block}.0`, width + kept.pop()!, wide);
      width = wide;
      if (depths[level]) transformer(`${root}.output_blocks.${block}.1`, wide, depths[level]!);
      if (i === 2 && level > 0)
        conv(`${root}.output_blocks.${block}.${depths[level] ? 2 : 1}.conv`, width, width);
    }
  norm(`${root}.out.0`, first);
  conv(`${root}.out.2`, first, 4);
}

function addVae(shapes: Shapes): void {
  const root = 'first_stage_model';
  const widths = [128, 256, 512, 512];
  const { conv, norm } = adders(shapes);
  const resnet = (name: string, into: number, out: number): void => {
    norm(`${name}.norm1`, into);
    conv(`${name}.conv1`, into, out);
    norm(`${name}.norm2`, out);
    conv(`${name}.conv2`, out, out);
    if (into !== out) conv(`${name}.nin_shortcut`, into, out, 1);
  };
  const middle = (name: string): void => {
    resnet(`${name}.mid.block_1`, 512, 512);
    norm(`${name}.mid.attn_1.norm`, 512);
    for (const which of ['q', 'k', 'v', 'proj_out']) conv(`${name}.mid.attn_1.${which}`, 512, 512, 1);
    resnet(`${name}.mid.block_2`, 512, 512);
  };
  const encoder = `${root}.encoder`;
  conv(`${encoder}.conv_in`, 3, 128);
  let width = 128;
  for (const [level, wide] of widths.entries()) {
    for (let i = 0; i < 2; i++, width = wide) resnet(`${encoder}.down.${level}.block.${i}`, width, wide);
    if (level < 3) conv(`${encoder}.down.${level}.downsample.conv`, wide, wide);
  }
  middle(encoder);
  norm(`${encoder}.norm_out`, 512);
  conv(`${encoder}.conv_out`, 512, 8);
  const decoder = `${root}.decoder`;
  conv(`${decoder}.conv_in`, 4, 512);
  middle(decoder);
  for (let level = 3; level >= 0; level--) {
    const wide = widths[level]!;
    for (let i = 0; i < 3; i++, width = wide) resnet(`${decoder}.up.${level}.block.${i}`, width, wide);
    if (level > 0) conv(`${decoder}.up.${level}.upsample.conv`, wide, wide);
  }
  norm(`${decoder}.norm_out`, 128);
  conv(`${decoder}.conv_out`, 128, 3);
  conv(`${root}.quant_conv`, 8, 8, 1);
  conv(`${root}.post_quant_conv`, 4, 4, 1);
}

/** OpenAI's CLIP ViT-L/14, the text half. */
function addClip(shapes: Shapes, root: string): void {
  const { linear, norm } = adders(shapes);
  shapes.set(`${root}.embeddings.token_embedding.weight`, [49408, 768]);
  shapes.set(`${root}.embeddings.position_embedding.weight`, [77, 768]);
  for (let i = 0; i < 12; i++) {
    const layer = `${root}.encoder.layers.${i}`;
    for (const which of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
      linear(`${layer}.self_attn.${which}`, 768, 768);
    linear(`${layer}.mlp.fc1`, 768, 3072);
    linear(`${layer}.mlp.fc2`, 3072, 768);
    for (const which of [1, 2]) norm(`${layer}.layer_norm${which}`, 768);
  }
  norm(`${root}.final_layer_norm`, 768);
}

/** OpenCLIP's ViT-bigG/14, the text half. */
function addOpenClip(shapes: Shapes, root: string): void {
  const { linear, norm } = adders(shapes);
  shapes.set(`${root}.token_embedding.weight`, [49408, 1280]);
  shapes.set(`${root}.positional_embedding`, [77, 1280]);
  for (let i = 0; i < 32; i++) {
    const layer = `${root}.transformer.resblocks.${i}`;
    shapes.set(`${layer}.attn.in_proj_weight`, [3840, 1280]);
    shapes.set(`${layer}.attn.in_proj_bias`, [3840]);
    linear(`${layer}.attn.out_proj`, 1280, 1280);
    linear(`${layer}.mlp.c_fc`, 1280, 5120);
    linear(`${layer}.mlp.c_proj`, 5120, 1280);
    for (const which of [1, 2]) norm(`${layer}.ln_${which}`, 1280);
  }
  norm(`${root}.ln_final`, 1280);
  shapes.set(`${root}.text_projection`, [1280, 1280]);
}

function adders(shapes: Shapes) {
  const both = (name: string, weight: readonly number[], bias = true): void => {
    shapes.set(`${name}.weight`, weight);
    if (bias) shapes.set(`${name}.bias`, [weight[0]!]);
  };
  return {
    linear: (name: string, into: number, out: number, bias = true) => both(name, [out, into], bias),
    conv: (name: string, into: number, out: number, side = 3) => both(name, [out, into, side, side]),
    norm: (name: string, width: number) => both(name, [width]),
  };
}
