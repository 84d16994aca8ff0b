/**
 * UNet2DConditionModel: the network of Stable Diffusion 1.x and 2.x, SDXL, their inpainting kin (9 input channels) and
 * Latent Consistency Models.
 *
 * Inputs:  sample [B, channels, H, W] · timestep [B] · encoder_hidden_states [B, tokens, context]
 *          SDXL: text_embeds [B, pooled], time_ids [B, 6] · LCM: timestep_cond [B, width] · LoRA: see loraPorts.ts
 * Output:  out_sample [B, channels, H, W]
 * All float32. H and W are multiples of 2^(levels - 1).
 *
 * As a `step` it leaves out what a painting's steps or rows have in common. Texts come in as keys and values
 * (textStates.ts) with the text of each row, text_of_row [B] int64, instead of encoder_hidden_states. sample, timestep
 * and timestep_cond have one row a picture, with the picture of each row, picture_of_row [B] int64: up to the first
 * use of the text, both rows of a guided picture are one. Not in SDXL, whose timestep carries the pooled text.
 */
import { resnet, type TransformerSettings, transformer } from './blocks.ts';
import { finish, type Network } from './builtNetwork.ts';
import type { UNetConfig } from './config.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, Layers } from './layers.ts';
import { computedText, givenText, textInputs } from './textStates.ts';
import type { Weights } from './weightLocations.ts';

export interface UNetBuildOptions extends BuildOptions {
  readonly step?: boolean;
}

/** @throws EngineError('bad-model') which names the weight that is missing or does not fit */
export function buildUNet(config: UNetConfig, weights: Weights, options: UNetBuildOptions = {}): Network {
  const graph = new Graph();
  const { channels, groups, eps, heads } = config;
  const levels = channels.length;

  // 1. The inputs.
  const shares = options.step === true && config.sizes === undefined;
  const first = shares ? 'pictures' : 'batch_size';
  const sample = graph.input('sample', 'float32', [first, config.inChannels, 'height', 'width']);
  const timestep = graph.input('timestep', 'float32', [first]);
  const layers = new Layers(graph, weights, countOf(graph, sample), options);
  layers.setBatch(layers.batch, first);
  const text = options.step ? givenText(layers) : computedText(layers, config);

  // 2. The embedding of the timestep, with the further conditions added.
  let active = layers.silu(embedTime(layers, config, timestep, first));
  const time = (projection: string): string => firstOfTwo(layers, layers.linear(projection, active));
  const convolve = (name: string, x: string): string => resnet(layers, name, x, { groups, eps }, time);
  const kept: string[] = [];
  let beforeText: TransformerSettings['beforeText'];
  if (shares) {
    const pictureOfRow = graph.input(textInputs.picture, 'int64', ['batch_size']);
    const byRow = (x: string): string => graph.op('Gather', [x, pictureOfRow]);
    beforeText = (rows, width, pixels) => {
      beforeText = undefined;
      const spread = rows.map((each) => byRow(layers.rowsByPicture(each, width)));
      const [wide] = layers.shape('time_embedding.linear_2.weight') as [number];
      const pairs = graph.op('Reshape', [active, graph.ints([-1, 2 * wide])]);
      active = graph.op('Reshape', [byRow(pairs), graph.ints([-1, wide])]);
      for (const [i, each] of kept.entries()) kept[i] = byRow(each);
      layers.setBatch(countOf(graph, pictureOfRow), 'batch_size');
      return [spread.map((each) => graph.op('Reshape', [each, graph.ints([-1, width])])), byRow(pixels)];
    };
  }
  const attend = (name: string, x: string, level: number, depth: number): string => {
    const shape = { width: channels[level]!, heads: heads[level]!, depth, groups };
    return transformer(layers, name, x, { ...shape, text, beforeText });
  };

  // 3. The way down, keeping the skip connections.
  let x = layers.conv('conv_in', sample);
  kept.push(x);
  for (let level = 0; level < levels; level++) {
    const name = `down_blocks.${level}`;
    for (let i = 0; i < config.layers[level]!; i++) {
      x = convolve(`${name}.resnets.${i}`, x);
      const depth = config.downDepth[level]![i];
      if (depth) x = attend(`${name}.attentions.${i}`, x, level, depth);
      kept.push(x);
    }
    if (level === levels - 1) break;
    x = layers.conv(`${name}.downsamplers.0.conv`, x, 2);
    kept.push(x);
  }

  // 4. The middle.
  if (config.middleDepth !== undefined) {
    x = convolve('mid_block.resnets.0', x);
    if (config.middleDepth > 0) {
      x = attend('mid_block.attentions.0', x, levels - 1, config.middleDepth);
      x = convolve('mid_block.resnets.1', x);
    }
  }

  // 5. The way up.
  for (let up = 0; up < levels; up++) {
    const level = levels - 1 - up;
    const name = `up_blocks.${up}`;
    for (let i = 0; i <= config.layers[level]!; i++) {
      x = graph.op('Concat', [x, kept.pop()!], { attributes: { axis: 1 } });
      x = convolve(`${name}.resnets.${i}`, x);
      const depth = config.upDepth[up]![i];
      if (depth) x = attend(`${name}.attentions.${i}`, x, level, depth);
    }
    if (level > 0) x = layers.conv(`${name}.upsamplers.0.conv`, layers.upsample(x));
  }

  // 6. The output.
  x = layers.conv('conv_out', layers.silu(layers.groupNorm('conv_norm_out', x, groups, eps)));
  graph.output('out_sample', x, 'float32', ['batch_size', config.outChannels, 'height', 'width']);
  return finish(graph, layers);
}

/**
 * The time embedding, every row of it twice: [2·B, width], a picture's two rows one after the other. The kernel for one
 * row rounds otherwise than the one for several; so a picture's numbers do not depend on the other pictures in the
 * batch.
 */
function embedTime(layers: Layers, config: UNetConfig, timestep: string, batch: string): string {
  const { graph } = layers;
  const perceptron = (name: string, x: string): string =>
    layers.linear(`${name}.linear_2`, layers.silu(layers.linear(`${name}.linear_1`, x)));
  let time = twice(layers, sinusoids(layers, config, timestep, config.channels[0]!), config.channels[0]!);
  if (config.guidanceWidth !== undefined) {
    const width = config.guidanceWidth;
    const guidance = graph.input('timestep_cond', 'float32', [batch, width]);
    time = graph.op('Add', [time, layers.linear('time_embedding.cond_proj', twice(layers, guidance, width))]);
  }
  const embedded = perceptron('time_embedding', time);
  if (config.sizes === undefined) return embedded;
  const { width, pooled } = config.sizes;
  const summary = graph.input('text_embeds', 'float32', ['batch_size', pooled]);
  const ids = graph.input('time_ids', 'float32', ['batch_size', 6]);
  const flat = sinusoids(layers, config, graph.op('Reshape', [ids, graph.ints([-1])]), width);
  const sizes = graph.op('Reshape', [flat, graph.ints([-1, 6 * width])]);
  const both = graph.op('Concat', [summary, sizes], { attributes: { axis: 1 } });
  return graph.op('Add', [embedded, perceptron('add_embedding', twice(layers, both, pooled + 6 * width))]);
}

/** [N] → [N, width]: half cosines, half sines of t · 10000^(-i / half) (Vaswani et al., 2017). */
export function sinusoids(
  layers: Layers,
  config: Pick<UNetConfig, 'flipSinToCos' | 'frequencyShift'>,
  t: string,
  width: number,
): string {
  const { graph } = layers;
  const half = width / 2;
  const frequencies = Array.from({ length: half }, (_, i) =>
    Math.exp((-Math.log(10000) * i) / (half - config.frequencyShift)),
  );
  const constant = graph.floats(`frequencies.${width}`, frequencies, [1, half]);
  const angles = graph.op('Mul', [graph.op('Unsqueeze', [t, graph.ints([1])]), constant]);
  const waves = [graph.op('Sin', [angles]), graph.op('Cos', [angles])];
  if (config.flipSinToCos) waves.reverse();
  return graph.op('Concat', waves, { attributes: { axis: 1 } });
}

/** int64[1]: the input's number of rows. */
const countOf = (graph: Graph, input: string): string =>
  graph.op('Slice', [graph.op('Shape', [input]), graph.ints([0]), graph.ints([1])]);

function twice(layers: Layers, x: string, width: number): string {
  const { graph } = layers;
  const pair = graph.op('Concat', [x, x], { attributes: { axis: 1 } });
  return graph.op('Reshape', [pair, graph.ints([-1, width])]);
}

function firstOfTwo({ graph }: Layers, x: string): string {
  const everything = Number.MAX_SAFE_INTEGER;
  return graph.op('Slice', [x, graph.ints([0]), graph.ints([everything]), graph.ints([0]), graph.ints([2])]);
}
