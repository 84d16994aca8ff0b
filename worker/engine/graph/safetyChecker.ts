/**
 * StableDiffusionSafetyChecker: flags a picture whose embedding is close enough to a concept's, by their cosine.
 * Source: diffusers' pipelines/stable_diffusion/safety_checker.py (`forward`, which rounds scores to three decimals).
 *
 * Input:  clip_input [B, 3, size, size], normalised
 * Output: has_nsfw_concepts [B], bool
 */

import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { VisionConfig } from './unclipConfig.ts';
import { seePictures } from './vision.ts';
import type { Weights } from './weightLocations.ts';

/** The smallest score that rounds to more than 0.000. */
const least = 0.0005;
/** Added to every concept's score where a special-care concept was found. */
const care = 0.01;

/** @throws EngineError('bad-model') which names the weight that is missing or does not fit */
export function buildSafetyChecker(
  config: VisionConfig,
  weights: Weights,
  options: BuildOptions = {},
): Network {
  const graph = new Graph();
  const pixels = graph.input('clip_input', 'float32', ['batch_size', 3, config.size, config.size]);
  const layers = layersOf(graph, weights, options, pixels);
  const seen = normalised(graph, seePictures(layers, config, pixels));
  const special = scores(layers, 'special_care_embeds', seen);
  const adjustment = graph.op('Mul', [
    graph.op('Cast', [anyOf(graph, special, 1)], { attributes: { to: 1 } }),
    graph.floats('float.care', [care], []),
  ]);
  const concepts = graph.op('Add', [scores(layers, 'concept_embeds', seen), adjustment]);
  graph.output('has_nsfw_concepts', anyOf(graph, concepts, 0), 'bool', ['batch_size']);
  return finish(graph, layers);
}

const normalised = (graph: Graph, rows: string): string =>
  graph.op('LpNormalization', [rows], { attributes: { axis: 1, p: 2 } });

/** Cosine of a picture to each concept, less the concept's threshold, [B, concepts]. */
function scores(layers: Layers, name: string, seen: string): string {
  const { graph } = layers;
  const [count] = layers.shape(name);
  const concepts = normalised(graph, layers.weight(name));
  const cosines = graph.op('Gemm', [seen, concepts], { name: `${name}.cosines`, attributes: { transB: 1 } });
  return graph.op('Sub', [cosines, layers.weight(`${name}_weights`, [count!])]);
}

/** Whether any score of a row is at least `least`: [B, concepts] → [B], or [B, 1] where `keep` is 1. */
function anyOf(graph: Graph, rows: string, keep: 0 | 1): string {
  const highest = graph.op('ReduceMax', [rows, graph.ints([1])], { attributes: { keepdims: keep } });
  return graph.op('GreaterOrEqual', [highest, graph.floats('float.least', [least], [])]);
}
