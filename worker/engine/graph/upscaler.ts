/**
 * RRDBNet, the network of ESRGAN and Real-ESRGAN. Source of the architecture: basicsr/archs/rrdbnet_arch.py of
 * https://github.com/XPixelGroup/BasicSR, whose names these are.
 *
 * Input:  image [B, 3, H, W] in 0..1
 * Output: upscaled [B, 3, scale·H, scale·W], where scale = 2^doublings / unshuffle
 */

import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { UpscalerConfig } from './partConfig.ts';
import type { Weights } from './weightLocations.ts';

/** @throws EngineError('bad-model') which names a missing weight */
export function buildUpscaler(
  { blocks, doublings, unshuffle }: UpscalerConfig,
  weights: Weights,
  options: BuildOptions = {},
): Network {
  const graph = new Graph();
  const image = graph.input('image', 'float32', ['batch_size', 3, 'height', 'width']);
  const layers = layersOf(graph, weights, options, image);
  const first = layers.conv(
    'conv_first',
    unshuffle === 1 ? image : squaresAsChannels(graph, image, unshuffle),
  );
  let x = first;
  for (let i = 0; i < blocks; i++) {
    let h = x;
    for (const part of [1, 2, 3]) h = dense(layers, `body.${i}.rdb${part}`, h);
    x = graph.op('Add', [fifth(graph, h), x], { name: `body.${i}` });
  }
  x = graph.op('Add', [first, layers.conv('conv_body', x)]);
  for (let i = 1; i <= doublings; i++) x = leaky(graph, layers.conv(`conv_up${i}`, layers.upsample(x)));
  x = layers.conv('conv_last', leaky(graph, layers.conv('conv_hr', x)));
  if (unshuffle > 1) {
    const size = graph.op('Mul', [sizeOf(graph, image), graph.ints([2 ** doublings / unshuffle])]);
    x = graph.op('Slice', [x, graph.ints([0, 0]), size, graph.ints([2, 3])]);
  }
  graph.output('upscaled', x, 'float32', ['batch_size', 3, 'upscaled_height', 'upscaled_width']);
  return finish(graph, layers);
}

/** ResidualDenseBlock: every convolution takes the block's input and the outputs of all convolutions before it. */
function dense(layers: Layers, name: string, x: string): string {
  const { graph } = layers;
  const seen = [x];
  const all = (): string => (seen.length === 1 ? x : graph.op('Concat', seen, { attributes: { axis: 1 } }));
  for (let i = 1; i <= 4; i++) seen.push(leaky(graph, layers.conv(`${name}.conv${i}`, all())));
  return graph.op('Add', [fifth(graph, layers.conv(`${name}.conv5`, all())), x], { name });
}

const leaky = (graph: Graph, x: string): string =>
  graph.op('LeakyRelu', [x], { attributes: { alpha: { float: 0.2 } } });
const fifth = (graph: Graph, x: string): string => graph.op('Mul', [x, graph.floats('float.0.2', [0.2], [])]);
const sizeOf = (graph: Graph, x: string): string =>
  graph.op('Slice', [graph.op('Shape', [x]), graph.ints([2]), graph.ints([4])]);

/**
 * Torch's pixel_unshuffle of RGB, [B, 3, H, W] → [B, 3·side², H/side, W/side]; sides that are no multiple of `side` are
 * padded with the last row and column. ONNX orders the channels by place first, torch by colour.
 */
function squaresAsChannels(graph: Graph, image: string, side: number): string {
  const by = graph.ints([side]);
  const over = graph.op('Mod', [sizeOf(graph, image), by]);
  const short = graph.op('Mod', [graph.op('Sub', [by, over]), by]);
  const pads = graph.op('Concat', [graph.ints([0, 0, 0, 0, 0, 0]), short], { attributes: { axis: 0 } });
  const even = graph.op('Pad', [image, pads], { attributes: { mode: 'edge' } });
  const deep = graph.op('SpaceToDepth', [even], { attributes: { blocksize: side } });
  const places = side ** 2;
  const order = Array.from({ length: 3 * places }, (_, i) => (i % places) * 3 + Math.floor(i / places));
  return graph.op('Gather', [deep, graph.ints(order)], { attributes: { axis: 1 } });
}
