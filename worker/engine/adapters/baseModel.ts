/** Which kind of model an adapter's file was made for, as far as the file says, and which kind a model is. */
import type { TensorSource } from './tensorSource.ts';

export type Base =
  | 'pocket'
  | 'Stable Diffusion 1'
  | 'Stable Diffusion 2'
  | 'SDXL'
  | 'Stable Diffusion 3'
  | 'FLUX';

/** The base by the length of a token's vector in its cross attention. */
const contexts: Readonly<Record<number, Base>> = {
  256: 'pocket',
  768: 'Stable Diffusion 1',
  1024: 'Stable Diffusion 2',
  2048: 'SDXL',
};

/** The base by the file's metadata (kohya's `ss_…`, modelspec), else by tensor names, else by their widths. */
export function baseOfFile({ tensors, metadata }: TensorSource): Base | undefined {
  const said = [
    metadata['ss_base_model_version'],
    metadata['modelspec.architecture'],
    metadata['base_model'],
  ];
  for (const text of said) {
    const base = text === undefined ? undefined : baseOfText(text);
    if (base) return base;
  }
  if (metadata['ss_v2'] === 'True') return 'Stable Diffusion 2';
  for (const [name, { shape }] of tensors) {
    const base = baseOfName(name);
    if (base) return base;
    if (/attn2[._]to_[kv][._].*(down|lora_A)/.test(name) && shape.length === 2) {
      const wide = contexts[shape[1]!];
      if (wide) return wide;
    }
  }
  return undefined;
}

/** The base that a name or title speaks of; undefined where it names none. */
export function baseOfText(text: string): Base | undefined {
  const plain = text.toLowerCase().replace(/[\s_-]+/g, '-');
  if (/sdxl|stable-diffusion-xl|pony|illustrious|noob/.test(plain)) return 'SDXL';
  if (/^pocket(\/|$)/.test(plain)) return 'pocket';
  if (/flux/.test(plain)) return 'FLUX';
  if (/sd-?3|stable-diffusion-(v)?3/.test(plain)) return 'Stable Diffusion 3';
  if (/sd-?v?2|stable-diffusion-(v)?2/.test(plain)) return 'Stable Diffusion 2';
  if (/sd-?v?1|stable-diffusion-(v)?1/.test(plain)) return 'Stable Diffusion 1';
  return undefined;
}

function baseOfName(name: string): Base | undefined {
  if (/(^|[._])(double|single)_blocks[._]|single_transformer_blocks/.test(name)) return 'FLUX';
  if (/(^|[._])joint_blocks[._]|^transformer[._]transformer_blocks/.test(name)) return 'Stable Diffusion 3';
  if (/^(lora_te2_|lora_te1_|text_encoder_2\.)/.test(name)) return 'SDXL';
  if (/^lora_unet_(input|output)_blocks_/.test(name)) return 'SDXL';
  return undefined;
}

/** @param unet its config.json */
export function baseOfModel(unet: Readonly<Record<string, unknown>>, twoEncoders: boolean): Base {
  if (twoEncoders) return 'SDXL';
  if (unet['cross_attention_dim'] === 256) return 'pocket';
  const linear = unet['use_linear_projection'] === true;
  return linear || unet['cross_attention_dim'] === 1024 ? 'Stable Diffusion 2' : 'Stable Diffusion 1';
}
