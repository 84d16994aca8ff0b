/**
 * PriorTransformer: the text's tokens, the text's embedding, the timestep, the noised picture embedding and a learned
 * query vector, through causal attention; the output at the last place is the picture embedding.
 *
 * Inputs:  hidden_states [B, E] · timestep [B] · proj_embedding [B, E] · encoder_hidden_states [B, tokens, E] ·
 *          attention_mask [B, tokens] bool
 * Output:  predicted_image_embedding [B, E]
 */
import { biased } from './biasedAttention.ts';
import { finish, type Network } from './builtNetwork.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, Layers } from './layers.ts';
import type { PriorConfig } from './unclipConfig.ts';
import { sinusoids } from './unet.ts';
import { elementTypes, type Weights } from './weightLocations.ts';

/** @throws EngineError('bad-model') which names the weight that is missing or does not fit */
export function buildPrior(config: PriorConfig, weights: Weights, options: BuildOptions = {}): Network {
  const graph = new Graph();
  const { width, heads, embedding, tokens, extra } = config;
  const places = tokens + extra;

  // 1. The inputs, each projected to the transformer's width.
  const noised = graph.input('hidden_states', 'float32', ['batch_size', embedding]);
  const timestep = graph.input('timestep', 'float32', ['batch_size']);
  const summary = graph.input('proj_embedding', 'float32', ['batch_size', embedding]);
  const text = graph.input('encoder_hidden_states', 'float32', ['batch_size', tokens, embedding]);
  const seen = graph.input('attention_mask', 'bool', ['batch_size', tokens]);
  const batch = graph.op('Slice', [graph.op('Shape', [noised]), graph.ints([0]), graph.ints([1])]);
  const layers = new Layers(graph, weights, batch, options);
  const waves = sinusoids(layers, { flipSinToCos: true, frequencyShift: 0 }, timestep, width);
  const rows = (value: string): string => graph.op('Reshape', [value, graph.ints([-1, embedding])]);
  const asked = graph.op('Expand', [
    layers.weight('prd_embedding', [1, 1, width]),
    graph.op('Concat', [batch, graph.ints([1, width])], { attributes: { axis: 0 } }),
  ]);
  const sequence = [
    layers.linear('encoder_hidden_states_proj', rows(text)),
    layers.linear('embedding_proj', summary),
    layers.linear('time_embedding.linear_2', layers.silu(layers.linear('time_embedding.linear_1', waves))),
    layers.linear('proj_in', noised),
  ].map((value) => layers.rowsByPicture(value, width));
  const joined = graph.op('Concat', [...sequence, asked], { attributes: { axis: 1 } });
  const placed = graph.op('Add', [joined, layers.weight('positional_embedding', [1, places, width])]);

  // 2. The mask of later places and of padding: [B, 1, places, places].
  const unseen = graph.op('Cast', [graph.op('Not', [seen])], { attributes: { to: elementTypes.float32 } });
  const low = graph.floats('float.hidden', [-10000], []);
  const padding = graph.op('Pad', [graph.op('Mul', [unseen, low]), graph.ints([0, 0, 0, extra])]);
  const square = graph.op('Expand', [low, graph.ints([places, places])]);
  const later = graph.op('Trilu', [square, graph.op('Squeeze', [graph.ints([1])])], {
    attributes: { upper: 1 },
  });
  const mask = graph.op('Add', [graph.op('Unsqueeze', [padding, graph.ints([1, 2])]), later]);

  // 3. The transformer's layers; rows [B·places, width].
  let h = graph.op('Reshape', [placed, graph.ints([-1, width])]);
  const block = (i: number): string => `transformer_blocks.${i}`;
  let normal = layers.layerNorm(config.layers > 0 ? `${block(0)}.norm1` : 'norm_out', h);
  for (let i = 0; i < config.layers; i++) {
    const own = `${block(i)}.attn1`;
    const [q, k, v] = ['to_q', 'to_k', 'to_v'].map((which) =>
      layers.rowsByPicture(layers.linear(`${own}.${which}`, normal), width),
    );
    const attended = biased(graph, q!, k!, v!, width, heads, mask);
    const mixed = layers.linear(`${own}.to_out.0`, graph.op('Reshape', [attended, graph.ints([-1, width])]));
    [h, normal] = layers.addNorm(`${block(i)}.norm3`, mixed, h);
    const wide = layers.gelu(layers.linear(`${block(i)}.ff.net.0.proj`, normal));
    const fed = layers.linear(`${block(i)}.ff.net.2`, wide);
    [h, normal] = layers.addNorm(i + 1 < config.layers ? `${block(i + 1)}.norm1` : 'norm_out', fed, h);
  }

  // 4. The output at the last place.
  const all = layers.rowsByPicture(normal, width);
  const last = graph.op('Gather', [all, graph.op('Squeeze', [graph.ints([places - 1])])], {
    attributes: { axis: 1 },
  });
  const out = layers.linear('proj_to_clip_embeddings', last);
  graph.output('predicted_image_embedding', out, 'float32', ['batch_size', embedding]);
  return finish(graph, layers);
}
