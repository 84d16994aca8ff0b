/** Other .safetensors that people have and that are no models: recognised by name, refused with what to do. */
import { StoreError } from '../hub/errors.ts';
import type { TensorFile } from './safetensors.ts';

interface Foreign {
  readonly what: string;
  readonly advice: string;
  /** Matches a key that only this kind of file has. */
  readonly mark: RegExp;
}

const convert = 'It cannot be painted with yet.';
const foreign: readonly Foreign[] = [
  {
    mark: /(^|\.)(lora_(up|down|A|B|mid)|hada_w1_a|lokr_w[12]|oft_blocks|dora_scale)(\.|$)|_lora\.(up|down)\./,
    what: 'a LoRA',
    advice: 'It changes a model and is none itself: add the model that it was made for.',
  },
  {
    mark: /^(emb_params|string_to_param|clip_[lg])$|^<[^>]+>$/,
    what: 'a textual inversion',
    advice: 'It adds a word to a model and is none itself: add the model that it was made for.',
  },
  {
    mark: /^(control_model\.|controlnet_down_blocks\.|input_hint_block\.|adapter\.body\.)/,
    what: 'a ControlNet',
    advice: 'It steers a model and is none itself: add the model that it was made for.',
  },
  {
    mark: /(^scaled_fp8$|\.(scale_weight|weight_scale)$)/,
    what: 'stored in scaled float8',
    advice: 'Take the one in float16 or plain float8.',
  },
  { mark: /^edm_vpred\.sigma_max$/, what: 'CosXL', advice: convert },
  {
    mark: /^edm_(mean|std)$/,
    what: 'Playground 2.5, whose latents are scaled channel by channel',
    advice: convert,
  },
  { mark: /(^|\.)joint_blocks\.\d/, what: 'Stable Diffusion 3', advice: convert },
  { mark: /(^|\.)(double_blocks|single_transformer_blocks)\.\d/, what: 'FLUX', advice: convert },
  { mark: /(^|\.)time_stack\.|\.time_mixer\.mix_factor$/, what: 'Stable Video Diffusion', advice: convert },
  {
    mark: /^(noise_augmentor|embedder\.model\.visual)\./,
    what: 'Stable unCLIP',
    advice: 'Add its diffusers folder.',
  },
  { mark: /^depth_model\./, what: 'Stable Diffusion 2 depth', advice: convert },
];

/** @throws StoreError('unsupported') where the file is known to be something else */
export function refuseForeign({ file, tensors }: TensorFile): void {
  const keys = [...tensors.keys()];
  // Depth, video and other models contain a whole model, so their marks are tried first.
  const found = foreign.find(({ mark }) => keys.some((key) => mark.test(key)));
  if (found) throw new StoreError('unsupported', `${file} is ${found.what}. ${found.advice}`);
}

/** Refuses a number of input channels that is neither 4 nor 9, naming the kind of model that has it. */
export function refuseChannels(file: string, channels: number): never {
  const kinds: Readonly<Record<number, string>> = {
    5: 'Stable Diffusion 2 depth',
    7: 'the ×4 upscaler',
    8: 'InstructPix2Pix',
    16: 'a network of another autoencoder (SD3, FLUX)',
  };
  throw new StoreError(
    'unsupported',
    `${file} is ${kinds[channels] ?? `a network of ${channels} input channels`}: text to image has 4, inpainting 9. ${convert}`,
  );
}

const pickles = /\.(ckpt|pt|pth|bin|pkl)$/i;

/** Reading a pickle runs code that is in it, so it is refused. @throws StoreError */
export function refusePickle(file: string): void {
  if (/\.gguf$/i.test(file))
    throw new StoreError(
      'unsupported',
      `${file} is quantised (GGUF). Take the model's .safetensors instead.`,
    );
  if (!pickles.test(file)) return;
  throw new StoreError(
    'unsupported',
    `${file} is a pickle, which can run code when it is read. Take the model's .safetensors instead; nearly every page has one, and https://huggingface.co/spaces/diffusers/convert makes one.`,
  );
}
