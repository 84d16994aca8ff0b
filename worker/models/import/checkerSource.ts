/** Stable Diffusion's safety checker as a part of a diffusers folder. */
import type { Json } from '../hub/defaults.ts';
import type { SourcePart } from './modelSource.ts';
import type { Tensor } from './safetensors.ts';

/** transformers writes `vision_model.` twice before the tower's names, or (from 5.6 on) once. */
export function checkerPart(config: Json, tensors: ReadonlyMap<string, Tensor>): SourcePart {
  const twice = tensors.has('vision_model.vision_model.post_layernorm.weight');
  return {
    part: 'safety_checker',
    network: 'safety_checker',
    config,
    find: (name) => tensors.get(twice && name.startsWith('vision_model.') ? `vision_model.${name}` : name),
  };
}
