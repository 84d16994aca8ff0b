/**
 * CLIPVisionModelWithProjection.
 *
 * Input:  pixel_values [B, 3, size, size], normalised
 * Output: image_embeds [B, projection]
 */

import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, type Layers, layersOf } from './layers.ts';
import type { VisionConfig } from './unclipConfig.ts';
import type { Weights } from './weightLocations.ts';

/** @throws EngineError('bad-model') which names the weight that is missing or does not fit */
export function buildVision(config: VisionConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const pixels = graph.input('pixel_values', 'float32', ['batch_size', 3, config.size, config.size]);
  const layers = layersOf(graph, weights, options, pixels);
  const embedded = seePictures(layers, config, pixels);
  const [out] = layers.modules.at(-1)!.shape;
  graph.output('image_embeds', embedded, 'float32', ['batch_size', out!]);
  return finish(graph, layers);
}

/** CLIP's vision tower: normalised pictures [B, 3, size, size] → [B, projection]. */
export function seePictures(layers: Layers, config: VisionConfig, pixels: string): string {
  const { graph, batch } = layers;
  const { width, heads, size, patch, eps } = config;
  const places = Math.floor(size / patch) ** 2 + 1;

  // 1. Patches become vectors, after the learned class vector.
  const name = 'vision_model.embeddings';
  const cut = layers.conv(`${name}.patch_embedding`, pixels, patch, [0, 0, 0, 0]);
  const rows = layers.rowsByPicture(layers.pixelsToRows(cut, width), width);
  const first = graph.op('Expand', [
    layers.weight(`${name}.class_embedding`, [1, 1, width]),
    graph.op('Concat', [batch, graph.ints([1, width])], { attributes: { axis: 0 } }),
  ]);
  const joined = graph.op('Concat', [first, rows], { attributes: { axis: 1 } });
  const positions = layers.weight(`${name}.position_embedding.weight`, [1, places, width]);
  const placed = graph.op('Reshape', [graph.op('Add', [joined, positions]), graph.ints([-1, width])]);

  // 2. The transformer's layers; rows [B·places, width]. "layrnorm" is transformers' spelling.
  let h = layers.layerNorm('vision_model.pre_layrnorm', placed, eps);
  const layer = (i: number): string => `vision_model.encoder.layers.${i}`;
  for (let i = 0; i < config.layers; i++) {
    const own = `${layer(i)}.self_attn`;
    const normal = layers.layerNorm(`${layer(i)}.layer_norm1`, h, eps);
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((which) => layers.linear(`${own}.${which}`, normal));
    const mixed = layers.linear(`${own}.out_proj`, layers.attention(own, q!, k!, v!, width, heads));
    const [sum, next] = layers.addNorm(`${layer(i)}.layer_norm2`, mixed, h, eps);
    const wide = layers.linear(`${layer(i)}.mlp.fc1`, next);
    const active = config.activation === 'gelu' ? layers.gelu(wide) : layers.quickGelu(wide, 1.702);
    h = graph.op('Add', [layers.linear(`${layer(i)}.mlp.fc2`, active), sum]);
  }

  // 3. The picture's embedding: the output at the class vector's place.
  const all = layers.rowsByPicture(h, width);
  const seen = graph.op('Gather', [all, graph.op('Squeeze', [graph.ints([0])])], { attributes: { axis: 1 } });
  const summary = layers.layerNorm('vision_model.post_layernorm', seen, eps);
  return layers.linear('visual_projection', summary);
}
