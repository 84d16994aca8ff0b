/** The text encoders of a single file: OpenAI's CLIP under transformers' names, or OpenCLIP under its own. */
import type { Json } from '../hub/defaults.ts';
import { openClipName } from './ldmNames.ts';
import { type FindWeight, type SourcePart, thirdOf } from './modelSource.ts';
import type { TensorFile } from './safetensors.ts';
import { countOf } from './vaeSource.ts';

/** Prefixes of the encoders' names in single files: the publishers', then ComfyUI's. */
const openAiPrefixes = {
  sd1: ['cond_stage_model.transformer.', 'text_encoders.clip_l.transformer.', 'te.'],
  sdxl: ['conditioner.embedders.0.transformer.', 'text_encoders.clip_l.transformer.'],
} as const;
const openClipPrefixes = {
  sd2: ['cond_stage_model.model.', 'text_encoders.clip_h.transformer.'],
  sdxl: ['conditioner.embedders.1.model.', 'text_encoders.clip_g.transformer.', 'text_encoders.clip_g.'],
} as const;

/** SD 1's encoder, or SDXL's first. */
export function findOpenAiClip(file: TensorFile, kind: keyof typeof openAiPrefixes): SourcePart | undefined {
  for (const prefix of openAiPrefixes[kind]) {
    const part = hugging(file, prefix, 'text_encoder', 'quick_gelu');
    if (part) return part;
  }
  return undefined;
}

/** SD 2's encoder, or SDXL's second, which has the projection. */
export function findOpenClip(file: TensorFile, kind: keyof typeof openClipPrefixes): SourcePart | undefined {
  const part = kind === 'sd2' ? 'text_encoder' : 'text_encoder_2';
  for (const prefix of openClipPrefixes[kind]) {
    const found = hugging(file, prefix, part, 'gelu') ?? openClip(file, prefix, part);
    if (found) return found;
  }
  return undefined;
}

/** An encoder with or without `text_model.` before its names: both exist. */
function hugging(file: TensorFile, prefix: string, part: string, activation: string): SourcePart | undefined {
  const { tensors } = file;
  const whole = tensors.has(`${prefix}text_model.final_layer_norm.weight`);
  if (!whole && !tensors.has(`${prefix}final_layer_norm.weight`)) return undefined;
  const find: FindWeight = (name) => tensors.get(prefix + (whole ? name : name.replace(/^text_model\./, '')));
  const layers = countOf(tensors, `${prefix}${whole ? 'text_model.' : ''}encoder.layers.`);
  return { part, network: 'text_encoder', find, config: textConfig(find, layers, activation) };
}

function openClip(file: TensorFile, prefix: string, part: string): SourcePart | undefined {
  const { tensors } = file;
  if (!tensors.has(`${prefix}ln_final.weight`)) return undefined;
  const projected = part === 'text_encoder_2';
  const find: FindWeight = (name) => {
    // SD 2 uses the hidden states alone, so its projection is left out.
    if (name.startsWith('text_projection.') && !projected) return undefined;
    const place = openClipName(name);
    const tensor = tensors.get(prefix + place.name);
    if (tensor && place.third !== undefined) return thirdOf(tensor, place.third, file.file);
    if (place.name !== 'text_projection') return tensor;
    // OpenCLIP stores its projection as [in, out].
    return tensor ? { ...tensor, transposed: true } : tensors.get(`${prefix}text_projection.weight`);
  };
  const layers = countOf(tensors, `${prefix}transformer.resblocks.`);
  // SD 2 uses the last but one of OpenCLIP's 24 layers, then the last norm; some files lack the unused layer.
  const used = projected || layers === 23 ? layers : layers - 1;
  return { part, network: 'text_encoder', find, config: textConfig(find, used, 'gelu') };
}

function textConfig(find: FindWeight, layers: number, activation: string): Json {
  const width = find('text_model.final_layer_norm.weight')?.shape[0] ?? 0;
  const projection = find('text_projection.weight');
  return {
    architectures: [projection ? 'CLIPTextModelWithProjection' : 'CLIPTextModel'],
    model_type: 'clip_text_model',
    hidden_size: width,
    intermediate_size: find('text_model.encoder.layers.0.mlp.fc1.weight')?.shape[0],
    num_hidden_layers: layers,
    num_attention_heads: Math.max(1, Math.floor(width / 64)),
    hidden_act: activation,
    layer_norm_eps: 1e-5,
    max_position_embeddings: find('text_model.embeddings.position_embedding.weight')?.shape[0],
    vocab_size: find('text_model.embeddings.token_embedding.weight')?.shape[0],
    bos_token_id: 49406,
    eos_token_id: 49407,
    ...(projection ? { projection_dim: projection.shape[projection.transposed ? 1 : 0] } : {}),
  };
}
