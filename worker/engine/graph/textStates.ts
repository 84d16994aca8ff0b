/**
 * Keys and values that the cross-attentions of a UNet2DConditionModel compute from a text. They depend on the text and
 * its LoRA alone, so they are computed once a painting, not once a step.
 */

import { finish, type Network } from './builtNetwork.ts';
import type { UNetConfig } from './config.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { Weights } from './weightLocations.ts';

/** Inputs of a step that say which text and which picture a row has. */
export const textInputs = { text: 'text_of_row', picture: 'picture_of_row' } as const;

type Text = (attention: string, width: number) => readonly [keys: string, values: string];

const statesOf = (attention: string): readonly [keys: string, values: string] => [
  `${attention}.keys`,
  `${attention}.values`,
];

/** Keys and values computed from the input encoder_hidden_states. */
export function computedText(layers: Layers, { context }: Pick<UNetConfig, 'context'>): Text {
  const { graph } = layers;
  const hidden = graph.input('encoder_hidden_states', 'float32', ['batch_size', 'sequence_length', context]);
  const rows = graph.op('Reshape', [hidden, graph.ints([-1, context])]);
  return (attention) => [layers.linear(`${attention}.to_k`, rows), layers.linear(`${attention}.to_v`, rows)];
}

/** Keys and values as inputs, [texts, tokens, width] each, with the text of each row. */
export function givenText({ graph }: Layers): Text {
  const textOfRow = graph.input(textInputs.text, 'int64', ['batch_size']);
  return (attention, width) => {
    const give = (name: string): string => {
      const states = graph.input(name, 'float32', ['texts', 'sequence_length', width]);
      return graph.op('Reshape', [graph.op('Gather', [states, textOfRow]), graph.ints([-1, width])]);
    };
    const [keys, values] = statesOf(attention);
    return [give(keys), give(values)];
  };
}

/**
 * Input:   encoder_hidden_states [B, tokens, context]; LoRA: see loraPorts.ts
 * Outputs: a step's inputs, by the same names, [B, tokens, width] each
 * @throws EngineError('bad-model') which names the weight that is missing or does not fit
 */
export function buildTextStates(config: UNetConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const layers = layersOf(graph, weights, options, 'encoder_hidden_states');
  const text = computedText(layers, config);
  for (const { attention, width } of crossAttentions(config)) {
    const names = statesOf(attention);
    for (const [i, rows] of text(attention, width).entries()) {
      const states = layers.rowsByPicture(rows, width);
      graph.output(names[i]!, states, 'float32', ['batch_size', 'sequence_length', width]);
    }
  }
  return finish(graph, layers);
}

export interface CrossAttention {
  /** Its module's name. */
  readonly attention: string;
  readonly width: number;
}

/** The network's cross-attentions, in order. */
export function crossAttentions({
  channels,
  downDepth,
  middleDepth,
  upDepth,
}: UNetConfig): readonly CrossAttention[] {
  const found: CrossAttention[] = [];
  const add = (name: string, level: number, depth: number): void => {
    for (let i = 0; i < depth; i++)
      found.push({ attention: `${name}.transformer_blocks.${i}.attn2`, width: channels[level]! });
  };
  const last = channels.length - 1;
  for (const [level, depths] of downDepth.entries())
    for (const [i, depth] of depths.entries()) add(`down_blocks.${level}.attentions.${i}`, level, depth);
  add('mid_block.attentions.0', last, middleDepth ?? 0);
  for (const [up, depths] of upDepth.entries())
    for (const [i, depth] of depths.entries()) add(`up_blocks.${up}.attentions.${i}`, last - up, depth);
  return found;
}
