/**
 * UnCLIPTextProjModel: the condition of Karlo's decoder, from a text and a picture embedding.
 *
 * Inputs:  image_embeddings [B, E] · prompt_embeds [B, E] · text_encoder_hidden_states [B, tokens, E]
 * Outputs: encoder_hidden_states [B, extra + tokens, context] · class_labels [B, time]
 */

import { finish, type Network } from './builtNetwork.ts';
import { type Json, reader } from './config.ts';
import { Graph } from './graph.ts';
import { type BuildOptions, Layers } from './layers.ts';
import type { Weights } from './weightLocations.ts';

/** @throws EngineError('bad-model') which names the weight, 'unsupported' which names the config's field */
export function buildTextProjection(json: Json, weights: Weights, options: BuildOptions = {}): Network {
  const at = reader(json, 'text_proj');
  const extra = at.number('clip_extra_context_tokens', 4);
  const embedding = at.number('clip_embeddings_dim', 768);
  const context = at.number('cross_attention_dim', 1536);
  const time = at.number('time_embed_dim', 1536);
  const graph = new Graph();
  const picture = graph.input('image_embeddings', 'float32', ['batch_size', embedding]);
  const summary = graph.input('prompt_embeds', 'float32', ['batch_size', embedding]);
  const dims = ['batch_size', 'sequence_length', embedding];
  const text = graph.input('text_encoder_hidden_states', 'float32', dims);
  const batch = graph.op('Slice', [graph.op('Shape', [picture]), graph.ints([0]), graph.ints([1])]);
  const layers = new Layers(graph, weights, batch, options);
  const added = graph.op('Add', [
    layers.linear('embedding_proj', summary),
    layers.linear('clip_image_embeddings_project_to_time_embeddings', picture),
  ]);
  // Number j of token i is number j · extra + i of the projection's output.
  const projected = layers.linear('clip_extra_context_tokens_proj', picture);
  const tokens = graph.op('Transpose', [graph.op('Reshape', [projected, graph.ints([0, context, extra])])], {
    attributes: { perm: [0, 2, 1] },
  });
  const rows = graph.op('Reshape', [text, graph.ints([-1, embedding])]);
  const read = layers.layerNorm(
    'text_encoder_hidden_states_norm',
    layers.linear('encoder_hidden_states_proj', rows),
  );
  const told = graph.op('Concat', [tokens, layers.rowsByPicture(read, context)], {
    attributes: { axis: 1 },
  });
  graph.output('encoder_hidden_states', told, 'float32', ['batch_size', 'told_length', context]);
  graph.output('class_labels', added, 'float32', ['batch_size', time]);
  return finish(graph, layers);
}
