/**
 * TAESD, an autoencoder of 1.2 million weights each way (diffusers' AutoencoderTiny). Latents go in and come out as the
 * sampler has them, unscaled. Source of the architecture: taesd.py of https://github.com/madebyollin/taesd; names are
 * diffusers', which counts a decoder's layers without the clamp before them.
 */

import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { TinyVaeConfig } from './partConfig.ts';
import type { Weights } from './weightLocations.ts';

/**
 * Input: latent_sample [B, channels, h, w]. Output: sample [B, 3, 8h, 8w] in -1..1.
 * @throws EngineError('bad-model') which names a missing weight
 */
export function buildTinyDecoder(
  { latentChannels, decoderBlocks }: TinyVaeConfig,
  weights: Weights,
  options: BuildOptions = {},
): Network {
  const graph = new Graph();
  const dims = ['batch_size', latentChannels, 'latent_height', 'latent_width'];
  const latent = graph.input('latent_sample', 'float32', dims);
  const layers = layersOf(graph, weights, options, latent);
  const reach = graph.floats('float.3', [3], []);
  const clamped = graph.op('Mul', [graph.op('Tanh', [graph.op('Div', [latent, reach])]), reach]);
  let x = graph.op('Relu', [layers.conv('decoder.layers.0', clamped)]);
  let at = 2;
  for (const [level, blocks] of decoderBlocks.entries()) {
    for (let i = 0; i < blocks; i++) x = block(layers, `decoder.layers.${at++}`, x);
    if (level < decoderBlocks.length - 1) {
      x = layers.upsample(x);
      at++;
    }
    x = layers.conv(`decoder.layers.${at++}`, x);
  }
  const wide = graph.op('Mul', [x, graph.floats('float.2', [2], [])]);
  x = graph.op('Sub', [wide, graph.floats('float.1', [1], [])]);
  graph.output('sample', x, 'float32', ['batch_size', 3, 'height', 'width']);
  return finish(graph, layers);
}

/**
 * Input: sample [B, 3, 8h, 8w] in -1..1. Output: latent_sample [B, channels, h, w]; there is no variance.
 * @throws EngineError('bad-model') which names a missing weight
 */
export function buildTinyEncoder(
  { latentChannels, encoderBlocks }: TinyVaeConfig,
  weights: Weights,
  options: BuildOptions = {},
): Network {
  const graph = new Graph();
  const sample = graph.input('sample', 'float32', ['batch_size', 3, 'height', 'width']);
  const layers = layersOf(graph, weights, options, sample);
  const half = graph.floats('float.0.5', [0.5], []);
  let x = graph.op('Add', [graph.op('Mul', [sample, half]), half]);
  let at = 0;
  for (const [level, blocks] of encoderBlocks.entries()) {
    x = layers.conv(`encoder.layers.${at++}`, x, level === 0 ? 1 : 2);
    for (let i = 0; i < blocks; i++) x = block(layers, `encoder.layers.${at++}`, x);
  }
  x = layers.conv(`encoder.layers.${at}`, x);
  graph.output('latent_sample', x, 'float32', [
    'batch_size',
    latentChannels,
    'latent_height',
    'latent_width',
  ]);
  return finish(graph, layers);
}

/** AutoencoderTinyBlock. */
function block(layers: Layers, name: string, x: string): string {
  const { graph } = layers;
  let h = graph.op('Relu', [layers.conv(`${name}.conv.0`, x)]);
  h = graph.op('Relu', [layers.conv(`${name}.conv.2`, h)]);
  h = layers.conv(`${name}.conv.4`, h);
  const skip = layers.has(`${name}.skip.weight`) ? layers.conv(`${name}.skip`, x) : x;
  return graph.op('Relu', [graph.op('Add', [h, skip])], { name });
}
