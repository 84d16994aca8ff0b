/**
 * CLIPTextModel, and CLIPTextModelWithProjection where the weights have a text_projection.
 *
 * Inputs:  input_ids [B, tokens] int64; with `embeddings` also embedding_places [n, 2] int64 and
 *          embedding_rows [n, width]: row i takes the place (picture, token) of a token's own embedding
 *          (textual inversion; n = 0 leaves everything as it is)
 * Outputs: last_hidden_state [B, tokens, width] · hidden_states.0 … hidden_states.layers, before the last norm ·
 *          pooler_output [B, width], or text_embeds [B, projection]
 */

import { finish, type Network } from './builtNetwork.ts';
import type { TextConfig } from './config.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, Layers } from './layers.ts';
import { elementTypes, type Weights } from './weightLocations.ts';

export interface TextBuildOptions extends BuildOptions {
  /** Inputs for textual inversion. */
  readonly embeddings?: boolean;
}

/** @throws EngineError('bad-model') which names the weight that is missing or does not fit */
export function buildTextEncoder(
  config: TextConfig,
  weights: Weights,
  options: TextBuildOptions = {},
): Network {
  const graph = new Graph();
  const { width, heads, eps } = config;

  // 1. Embeddings of the ids.
  const ids = graph.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const shape = graph.op('Shape', [ids]);
  const batch = graph.op('Slice', [shape, graph.ints([0]), graph.ints([1])]);
  const tokens = graph.op('Slice', [shape, graph.ints([1]), graph.ints([2])]);
  const layers = new Layers(graph, weights, batch, options);
  const name = 'text_model.embeddings';
  let known = layers.gather(`${name}.token_embedding`, ids);
  if (options.embeddings) {
    const places = graph.input('embedding_places', 'int64', ['embeddings', 2]);
    const rows = graph.input('embedding_rows', 'float32', ['embeddings', width]);
    known = graph.op('ScatterND', [known, places, rows]);
  }
  const positions = layers.weight(`${name}.position_embedding.weight`);
  const placed = graph.op('Add', [known, graph.op('Slice', [positions, graph.ints([0]), tokens])]);

  // 2. The transformer's layers; rows [B·tokens, width].
  let h = graph.op('Reshape', [placed, graph.ints([-1, width])]);
  const states = [h];
  const layer = (i: number): string => `text_model.encoder.layers.${i}`;
  let normal = layers.layerNorm(config.layers > 0 ? `${layer(0)}.layer_norm1` : finalNorm, h, eps);
  for (let i = 0; i < config.layers; i++) {
    const own = `${layer(i)}.self_attn`;
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((which) => layers.linear(`${own}.${which}`, normal));
    const mixed = layers.attention(own, q!, k!, v!, width, heads, true);
    [h, normal] = layers.addNorm(`${layer(i)}.layer_norm2`, layers.linear(`${own}.out_proj`, mixed), h, eps);
    const wide = layers.linear(`${layer(i)}.mlp.fc1`, normal);
    const active = config.activation === 'gelu' ? layers.gelu(wide) : layers.quickGelu(wide, 1.702);
    const fed = layers.linear(`${layer(i)}.mlp.fc2`, active);
    [h, normal] = layers.addNorm(
      i + 1 < config.layers ? `${layer(i + 1)}.layer_norm1` : finalNorm,
      fed,
      h,
      eps,
    );
    states.push(h);
  }

  // 3. The pooled vector: the state at the end mark.
  const last = layers.rowsByPicture(normal, width);
  const summary = graph.op('GatherND', [last, endPlace(graph, ids, config.endMark)], {
    attributes: { batch_dims: 1 },
  });
  graph.output('last_hidden_state', last, 'float32', ['batch_size', 'sequence_length', width]);
  if (layers.has(`${projection}.weight`)) {
    const embedded = layers.linear(projection, summary);
    const [out] = layers.modules.at(-1)!.shape;
    graph.output('text_embeds', embedded, 'float32', ['batch_size', out!]);
  } else graph.output('pooler_output', summary, 'float32', ['batch_size', width]);
  for (const [i, state] of states.entries()) {
    const value = layers.rowsByPicture(state, width);
    graph.output(`hidden_states.${i}`, value, 'float32', ['batch_size', 'sequence_length', width]);
  }
  return finish(graph, layers);
}

const finalNorm = 'text_model.final_layer_norm';
const projection = 'text_projection';

/** [B, 1]: the place of the first end mark, or of the highest id where no mark is known. */
function endPlace(graph: Graph, ids: string, endMark: number | undefined): string {
  const marked = endMark === undefined ? ids : graph.op('Equal', [ids, graph.ints([endMark])]);
  const numbers = graph.op('Cast', [marked], { attributes: { to: elementTypes.int32 } });
  return graph.op('ArgMax', [numbers], { attributes: { axis: 1, keepdims: 1 } });
}
