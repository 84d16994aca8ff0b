/**
 * MOVQ's two halves (Zheng et al., "MoVQ", 2022), without the codebook: its norms are scaled and shifted by the latent
 * at every place. Between pixels [B, 3, H, W] in -1..1 and latents [B, channels, h, w].
 */
import { resnet } from './blocks.ts';
import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { MovqConfig } from './unclipConfig.ts';
import type { Weights } from './weightLocations.ts';

const eps = 1e-6;
/** Groups in diffusers' SpatialNorm. */
const spatialGroups = 32;

/** Input: latent_sample. Output: sample. @throws EngineError('bad-model') which names a missing weight */
export function buildMovqDecoder(config: MovqConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const dims = ['batch_size', config.latentChannels, 'latent_height', 'latent_width'];
  const latent = graph.input('latent_sample', 'float32', dims);
  const layers = layersOf(graph, weights, options, latent);
  const norm = (name: string, x: string): string => spatialNorm(layers, name, x, latent);
  const convolve = (name: string, x: string): string => {
    let h = layers.conv(`${name}.conv1`, layers.silu(norm(`${name}.norm1`, x)));
    h = layers.conv(`${name}.conv2`, layers.silu(norm(`${name}.norm2`, h)));
    const shortcut = layers.has(`${name}.conv_shortcut.weight`) ? layers.conv(`${name}.conv_shortcut`, x) : x;
    return graph.op('Add', [shortcut, h], { name });
  };
  const attend = (name: string, x: string, width: number): string =>
    attention(layers, name, x, norm(`${name}.spatial_norm`, x), width);
  const channels = config.channels.toReversed();
  let x = layers.conv('decoder.conv_in', layers.conv('post_quant_conv', latent));
  x = middle('decoder.mid_block', x, channels[0]!, config, convolve, attend);
  for (const [up, width] of channels.entries()) {
    const name = `decoder.up_blocks.${up}`;
    for (let i = 0; i <= config.layers; i++) {
      x = convolve(`${name}.resnets.${i}`, x);
      if (config.upAttention[up]) x = attend(`${name}.attentions.${i}`, x, width);
    }
    if (up < channels.length - 1) x = layers.conv(`${name}.upsamplers.0.conv`, layers.upsample(x));
  }
  x = layers.conv('decoder.conv_out', layers.silu(norm('decoder.conv_norm_out', x)));
  graph.output('sample', x, 'float32', ['batch_size', config.outChannels, 'height', 'width']);
  return finish(graph, layers);
}

/** Input: sample. Output: latents. @throws EngineError('bad-model') which names a missing weight */
export function buildMovqEncoder(config: MovqConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const { groups, channels } = config;
  const sample = graph.input('sample', 'float32', ['batch_size', config.inChannels, 'height', 'width']);
  const layers = layersOf(graph, weights, options, sample);
  const convolve = (name: string, x: string): string => resnet(layers, name, x, { groups, eps });
  const attend = (name: string, x: string, width: number): string =>
    attention(layers, name, x, layers.groupNorm(`${name}.group_norm`, x, groups, eps), width);
  let x = layers.conv('encoder.conv_in', sample);
  for (const [level, width] of channels.entries()) {
    const name = `encoder.down_blocks.${level}`;
    for (let i = 0; i < config.layers; i++) {
      x = convolve(`${name}.resnets.${i}`, x);
      if (config.downAttention[level]) x = attend(`${name}.attentions.${i}`, x, width);
    }
    // Padded at the right and bottom alone, as in training.
    if (level < channels.length - 1) x = layers.conv(`${name}.downsamplers.0.conv`, x, 2, [0, 0, 1, 1]);
  }
  x = middle('encoder.mid_block', x, channels.at(-1)!, config, convolve, attend);
  x = layers.groupNorm('encoder.conv_norm_out', x, groups, eps);
  x = layers.conv('quant_conv', layers.conv('encoder.conv_out', layers.silu(x)));
  const dims = ['batch_size', config.latentChannels, 'latent_height', 'latent_width'];
  graph.output('latents', x, 'float32', dims);
  return finish(graph, layers);
}

function middle(
  name: string,
  x: string,
  width: number,
  { middleAttention }: MovqConfig,
  convolve: (name: string, x: string) => string,
  attend: (name: string, x: string, width: number) => string,
): string {
  const before = convolve(`${name}.resnets.0`, x);
  const between = middleAttention ? attend(`${name}.attentions.0`, before, width) : before;
  return convolve(`${name}.resnets.1`, between);
}

/** norm(x) · y(z) + b(z), with the latent z at the size of x. */
function spatialNorm(layers: Layers, name: string, x: string, latent: string): string {
  const { graph } = layers;
  const normal = layers.groupNorm(`${name}.norm_layer`, x, spatialGroups, eps);
  const front = graph.op('Slice', [graph.op('Shape', [latent]), graph.ints([0]), graph.ints([2])]);
  const back = graph.op('Slice', [graph.op('Shape', [x]), graph.ints([2]), graph.ints([4])]);
  const sizes = graph.op('Concat', [front, back], { attributes: { axis: 0 } });
  const near = graph.op('Resize', [latent, '', '', sizes], {
    attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  });
  const scaled = graph.op('Mul', [normal, layers.conv(`${name}.conv_y`, near)]);
  return graph.op('Add', [scaled, layers.conv(`${name}.conv_b`, near)], { name });
}

/** Attention of every pixel to every other, with one head. */
function attention(layers: Layers, name: string, x: string, normal: string, width: number): string {
  const rows = layers.pixelsToRows(normal, width);
  const [q, k, v] = ['to_q', 'to_k', 'to_v'].map((which) => layers.linear(`${name}.${which}`, rows));
  const mixed = layers.linear(`${name}.to_out.0`, layers.attention(name, q!, k!, v!, width, 1));
  return layers.graph.op('Add', [layers.rowsToPixels(mixed, width, x), x], { name: `${name}.sum` });
}
