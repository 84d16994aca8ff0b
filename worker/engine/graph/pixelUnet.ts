/**
 * The networks of blocks that sample by residual blocks: UNet2DConditionModel of Karlo's decoder and of Kandinsky 2.2,
 * UNet2DModel of Karlo's super-resolution.
 *
 * Inputs:  sample [B, in, H, W] · timestep [B]
 *          text-and-image: encoder_hidden_states [B, tokens, context], class_labels [B, 4·channels],
 *          attention_mask [B, tokens] bool · image: image_embeds [B, embedding]
 * Output:  out_sample [B, out, H, W]
 * H and W are multiples of 2^(levels - 1).
 */
import { biased } from './biasedAttention.ts';
import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, Layers } from './layers.ts';
import type { PixelUNetConfig } from './unclipConfig.ts';
import { sinusoids } from './unet.ts';
import { elementTypes, type Weights } from './weightLocations.ts';

/** @throws EngineError('bad-model') which names the weight that is missing or does not fit */
export function buildPixelUNet(
  config: PixelUNetConfig,
  weights: Weights,
  options: BuildOptions = {},
): Network {
  const graph = new Graph();
  const { channels, attention } = config;
  const levels = channels.length;

  // 1. The inputs; timestep and condition added to one vector.
  const sample = graph.input('sample', 'float32', ['batch_size', config.inChannels, 'height', 'width']);
  const timestep = graph.input('timestep', 'float32', ['batch_size']);
  const batch = graph.op('Slice', [graph.op('Shape', [sample]), graph.ints([0]), graph.ints([1])]);
  const layers = new Layers(graph, weights, batch, options);
  const waves = sinusoids(layers, config, timestep, channels[0]!);
  const embedded = layers.linear(
    'time_embedding.linear_2',
    layers.silu(layers.linear('time_embedding.linear_1', waves)),
  );
  const { added, context, mask } = conditions(layers, config);
  const time = layers.silu(added === undefined ? embedded : graph.op('Add', [embedded, added]));
  const convolve = (name: string, x: string, to?: 'up' | 'down'): string =>
    scalingResnet(layers, name, x, time, config, to);
  const attend = (name: string, x: string, level: number): string =>
    addedAttention(layers, name, x, { config, level, context: context!, mask });

  // 2. The way down, keeping the skip connections.
  let x = layers.conv('conv_in', sample);
  const kept = [x];
  for (let level = 0; level < levels; level++) {
    const name = `down_blocks.${level}`;
    for (let i = 0; i < config.layers[level]!; i++) {
      x = convolve(`${name}.resnets.${i}`, x);
      if (attention[level]) x = attend(`${name}.attentions.${i}`, x, level);
      kept.push(x);
    }
    if (level === levels - 1) break;
    x = convolve(`${name}.downsamplers.0`, x, 'down');
    kept.push(x);
  }

  // 3. The middle.
  x = convolve('mid_block.resnets.0', x);
  if (config.told !== 'nothing') x = attend('mid_block.attentions.0', x, levels - 1);
  x = convolve('mid_block.resnets.1', x);

  // 4. The way up.
  for (let up = 0; up < levels; up++) {
    const level = levels - 1 - up;
    const name = `up_blocks.${up}`;
    for (let i = 0; i <= config.layers[level]!; i++) {
      x = graph.op('Concat', [x, kept.pop()!], { attributes: { axis: 1 } });
      x = convolve(`${name}.resnets.${i}`, x);
      if (attention[level]) x = attend(`${name}.attentions.${i}`, x, level);
    }
    if (level > 0) x = convolve(`${name}.upsamplers.0`, x, 'up');
  }

  // 5. The output.
  const { groups, eps } = config;
  x = layers.conv('conv_out', layers.silu(layers.groupNorm('conv_norm_out', x, groups, eps)));
  graph.output('out_sample', x, 'float32', ['batch_size', config.outChannels, 'height', 'width']);
  return finish(graph, layers);
}

interface Told {
  /** [B, 4·channels], added to the timestep's embedding. */
  readonly added?: string;
  /** Rows [B·tokens, context]. */
  readonly context?: string;
  /** [B, 1, 1, tokens]: 0 for a visible token, -10000 for a hidden one. */
  readonly mask?: string | undefined;
}

function conditions(layers: Layers, config: PixelUNetConfig): Told {
  const { graph } = layers;
  if (config.told === 'nothing') return {};
  if (config.told === 'image') {
    const embeds = graph.input('image_embeds', 'float32', ['batch_size', config.embedding]);
    const projected = layers.linear('encoder_hid_proj.image_embeds', embeds);
    const tokens = graph.op('Reshape', [projected, graph.ints([-1, config.context])]);
    const context = layers.layerNorm('encoder_hid_proj.norm', tokens);
    const summary = layers.linear('add_embedding.image_proj', embeds);
    return { added: layers.layerNorm('add_embedding.image_norm', summary), context };
  }
  const text = ['batch_size', 'sequence_length', config.context];
  const hidden = graph.input('encoder_hidden_states', 'float32', text);
  const added = graph.input('class_labels', 'float32', ['batch_size', 4 * config.channels[0]!]);
  const seen = graph.input('attention_mask', 'bool', ['batch_size', 'sequence_length']);
  const unseen = graph.op('Cast', [graph.op('Not', [seen])], { attributes: { to: elementTypes.float32 } });
  const low = graph.op('Mul', [unseen, graph.floats('float.hidden', [-10000], [])]);
  return {
    added,
    context: graph.op('Reshape', [hidden, graph.ints([-1, config.context])]),
    mask: graph.op('Unsqueeze', [low, graph.ints([1, 2])]),
  };
}

/** ResnetBlock2D that may resample: both its branches are resampled alike. */
function scalingResnet(
  layers: Layers,
  name: string,
  x: string,
  time: string,
  { groups, eps, scaleShift }: PixelUNetConfig,
  to?: 'up' | 'down',
): string {
  const { graph } = layers;
  const resample = (value: string): string => {
    if (to === 'up') return layers.upsample(value);
    if (to === undefined) return value;
    return graph.op('AveragePool', [value], { attributes: { kernel_shape: [2, 2], strides: [2, 2] } });
  };
  let h = layers.silu(layers.groupNorm(`${name}.norm1`, x, groups, eps));
  h = layers.conv(`${name}.conv1`, resample(h));
  const told = graph.op('Unsqueeze', [layers.linear(`${name}.time_emb_proj`, time), graph.ints([2, 3])]);
  if (scaleShift) {
    const attributes = { axis: 1, num_outputs: 2 };
    const halves = { name: `${name}.time_halves`, attributes };
    const [scale, shift] = graph.split('Split', [told], 2, halves);
    const factor = graph.op('Add', [scale!, graph.floats('float.1', [1], [])]);
    h = graph.op('Mul', [layers.groupNorm(`${name}.norm2`, h, groups, eps), factor]);
    h = graph.op('Add', [h, shift!]);
  } else h = layers.groupNorm(`${name}.norm2`, graph.op('Add', [h, told]), groups, eps);
  h = layers.conv(`${name}.conv2`, layers.silu(h));
  const same = resample(x);
  const shortcut = layers.has(`${name}.conv_shortcut.weight`)
    ? layers.conv(`${name}.conv_shortcut`, same)
    : same;
  return graph.op('Add', [shortcut, h], { name });
}

/** Attention with added keys and values: pixels attend to the context and to one another. */
function addedAttention(
  layers: Layers,
  name: string,
  x: string,
  {
    config,
    level,
    context,
    mask,
  }: {
    readonly config: PixelUNetConfig;
    readonly level: number;
    readonly context: string;
    readonly mask: string | undefined;
  },
): string {
  const { graph } = layers;
  const width = config.channels[level]!;
  const heads = width / config.headSizes[level]!;
  const rows = layers.pixelsToRows(layers.groupNorm(`${name}.group_norm`, x, config.groups, 1e-5), width);
  const joined = (added: string, own: string): string => {
    const [first, second] = [
      layers.linear(`${name}.${added}`, context),
      layers.linear(`${name}.${own}`, rows),
    ];
    const both = [first, second].map((value) => layers.rowsByPicture(value, width));
    return graph.op('Concat', both, { attributes: { axis: 1 } });
  };
  const query = layers.rowsByPicture(layers.linear(`${name}.to_q`, rows), width);
  const key = joined('add_k_proj', 'to_k');
  const value = joined('add_v_proj', 'to_v');
  const attended = biased(graph, query, key, value, width, heads, mask && padded(layers, mask, query));
  const mixed = layers.linear(`${name}.to_out.0`, graph.op('Reshape', [attended, graph.ints([-1, width])]));
  return graph.op('Add', [layers.rowsToPixels(mixed, width, x), x], { name });
}

/** The mask of the context, then zeros for the pixels, which are all visible. */
function padded({ graph }: Layers, mask: string, query: string): string {
  const pixels = graph.op('Slice', [graph.op('Shape', [query]), graph.ints([1]), graph.ints([2])]);
  const before = graph.ints([0, 0, 0, 0, 0, 0, 0]);
  return graph.op('Pad', [mask, graph.op('Concat', [before, pixels], { attributes: { axis: 0 } })]);
}
