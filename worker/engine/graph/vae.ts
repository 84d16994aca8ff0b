/** AutoencoderKL's two halves, between pixels [B, 3, 8h, 8w] in -1..1 and latents [B, channels, h, w]. */
import { resnet } from './blocks.ts';
import { finish, type Network } from './builtNetwork.ts';
import type { VaeConfig } from './config.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { Weights } from './weightLocations.ts';

const eps = 1e-6;

/** Input: latent_sample, unscaled. Output: sample. @throws EngineError('bad-model') which names a missing weight */
export function buildVaeDecoder(config: VaeConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const dims = ['batch_size', config.latentChannels, 'latent_height', 'latent_width'];
  const latent = graph.input('latent_sample', 'float32', dims);
  const layers = layersOf(graph, weights, options, latent);
  const convolve = (name: string, x: string): string =>
    resnet(layers, name, x, { groups: config.groups, eps });
  let x = config.postQuantConv ? layers.conv('post_quant_conv', latent) : latent;
  x = layers.conv('decoder.conv_in', x);
  x = middle(layers, 'decoder.mid_block', x, config);
  const levels = config.channels.length;
  for (let up = 0; up < levels; up++) {
    const name = `decoder.up_blocks.${up}`;
    for (let i = 0; i <= config.layers; i++) x = convolve(`${name}.resnets.${i}`, x);
    if (up < levels - 1) x = layers.conv(`${name}.upsamplers.0.conv`, layers.upsample(x));
  }
  x = layers.groupNorm('decoder.conv_norm_out', x, config.groups, eps);
  x = layers.conv('decoder.conv_out', layers.silu(x));
  graph.output('sample', x, 'float32', ['batch_size', config.outChannels, 'height', 'width']);
  return finish(graph, layers);
}

/**
 * Input: sample. Output: latent_parameters, the mean and the log variance one after the other, unscaled.
 * @throws EngineError('bad-model') which names a missing weight
 */
export function buildVaeEncoder(config: VaeConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const sample = graph.input('sample', 'float32', ['batch_size', config.inChannels, 'height', 'width']);
  const layers = layersOf(graph, weights, options, sample);
  const convolve = (name: string, x: string): string =>
    resnet(layers, name, x, { groups: config.groups, eps });
  let x = layers.conv('encoder.conv_in', sample);
  const levels = config.channels.length;
  for (let level = 0; level < levels; level++) {
    const name = `encoder.down_blocks.${level}`;
    for (let i = 0; i < config.layers; i++) x = convolve(`${name}.resnets.${i}`, x);
    // Padded at the right and bottom alone, as in training.
    if (level < levels - 1) x = layers.conv(`${name}.downsamplers.0.conv`, x, 2, [0, 0, 1, 1]);
  }
  x = middle(layers, 'encoder.mid_block', x, config);
  x = layers.groupNorm('encoder.conv_norm_out', x, config.groups, eps);
  x = layers.conv('encoder.conv_out', layers.silu(x));
  if (config.quantConv) x = layers.conv('quant_conv', x);
  const dims = ['batch_size', 2 * config.latentChannels, 'latent_height', 'latent_width'];
  graph.output('latent_parameters', x, 'float32', dims);
  return finish(graph, layers);
}

function middle(layers: Layers, name: string, x: string, config: VaeConfig): string {
  const settings = { groups: config.groups, eps };
  const before = resnet(layers, `${name}.resnets.0`, x, settings);
  const between = config.middleAttention ? attend(layers, `${name}.attentions.0`, before, config) : before;
  return resnet(layers, `${name}.resnets.1`, between, settings);
}

/** Attention of every pixel to every other, with one head. */
function attend(layers: Layers, name: string, x: string, { channels, groups }: VaeConfig): string {
  const width = channels.at(-1)!;
  const rows = layers.pixelsToRows(layers.groupNorm(`${name}.group_norm`, x, groups, eps), width);
  const [q, k, v] = ['to_q', 'to_k', 'to_v'].map((which) => layers.linear(`${name}.${which}`, rows));
  const mixed = layers.linear(`${name}.to_out.0`, layers.attention(name, q!, k!, v!, width, 1));
  return layers.graph.op('Add', [layers.rowsToPixels(mixed, width, x), x], { name: `${name}.sum` });
}
