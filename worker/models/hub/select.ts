import { basename, dirname, isAbsolute, join } from 'node:path';
import { StoreError } from './errors.ts';
import { pathBelow } from './hubReference.ts';
import type { RemoteFile } from './repositoryListing.ts';

/** Networks of models with a picture embedding: Karlo's, then Kandinsky 2.2's. */
const UNCLIP_NETWORKS = [
  'prior',
  'text_proj',
  'decoder',
  'super_res_first',
  'super_res_last',
  'prior_text_encoder',
  'prior_prior',
  'prior_image_encoder',
  'movq_decoder',
  'movq_encoder',
] as const;

/** Every part of a pipeline whose network is an ONNX file; `model.onnx` in it is the file that is loaded. */
export const NETWORKS = [
  'text_encoder',
  'text_encoder_2',
  'text_encoder_3',
  'unet',
  'transformer',
  'vae_decoder',
  'vae_encoder',
  'tiny_decoder',
  'safety_checker',
  'image_encoder',
  'upscaler',
  ...UNCLIP_NETWORKS,
] as const;

const CONFIG_FOLDERS = [
  'scheduler',
  'tokenizer',
  'tokenizer_2',
  'tokenizer_3',
  'feature_extractor',
  'vae',
  'prior_scheduler',
  'decoder_scheduler',
  'super_res_scheduler',
  'prior_tokenizer',
  'prior_image_processor',
];
const LICENSES = /^(licen[cs]e|notice|use_policy|copying)(\.(md|txt))?$/i;

/** Weights in other formats, and papers, that lie beside the ONNX files. */
const FOREIGN =
  /\.(safetensors|bin|msgpack|h5|ckpt|pt|pth|gguf|xml|tflite|mlmodel|mlpackage|engine|plan|md|py|png|jpe?g|webp|gif|mp4|zip|gz)$|^\./i;

const OWN_WEIGHTS = /^(weights(-\d+)?\.safetensors|float16\.bin)$/;

/**
 * Which files of a repository are the model: configs and vocabularies, each network's `model.onnx`, and beside
 * it the files that may hold its weights, whose names the exporters do not agree on (`model.onnx_data`,
 * `weights.pb`, one file a tensor). Other variants (`model_fp16.onnx` …) and other formats stay where they are.
 */
export function selectFiles(files: readonly RemoteFile[], id: string): RemoteFile[] {
  const names = new Set(files.map((file) => file.path));
  for (const { path } of files) pathBelow('/model', path);
  const networks = NETWORKS.filter((part) => names.has(`${part}/model.onnx`));
  requirePipeline(names, networks, id);
  return files.filter(({ path }) => {
    const [folder, file, ...deeper] = path.split('/') as [string, string | undefined, ...string[]];
    if (file === undefined)
      return folder === 'model_index.json' || folder === 'manifest.json' || LICENSES.test(folder);
    if (deeper.length > 0) return false;
    if (CONFIG_FOLDERS.includes(folder)) return /\.(json|txt|model)$/.test(file);
    if (!(networks as readonly string[]).includes(folder)) return false;
    // Our own graphs read the publisher's weights.
    if (names.has(`${folder}/weights.json`) && OWN_WEIGHTS.test(file)) return true;
    if (FOREIGN.test(file)) return false;
    if (file.endsWith('.json')) return true;
    return file === 'model.onnx' || !belongsToAnotherNetwork(folder, file, names);
  });
}

/** Whether a file is another network in the folder, or its data: `model_fp16.onnx`, `model_fp16.onnx_data`. */
function belongsToAnotherNetwork(folder: string, file: string, names: ReadonlySet<string>): boolean {
  const end = file.lastIndexOf('.onnx');
  return end >= 0 && file.slice(0, end) !== 'model' && names.has(`${folder}/${file.slice(0, end)}.onnx`);
}

function requirePipeline(names: ReadonlySet<string>, networks: readonly string[], id: string): void {
  // The engine names the missing parts of these models when it opens them.
  const throughEmbedding = ['decoder', 'prior_prior', 'movq_decoder'];
  if (names.has('model_index.json') && networks.some((part) => throughEmbedding.includes(part))) return;
  const missing = ['text_encoder', 'vae_decoder'].filter((part) => !networks.includes(part));
  if (!networks.includes('unet') && !networks.includes('transformer')) missing.push('unet');
  if (names.has('model_index.json') && missing.length === 0) {
    if (networks.includes('unet')) return;
    throw new StoreError(
      'unsupported',
      `${id} is built on a transformer (SD3, FLUX): the engine cannot paint with those yet.`,
    );
  }
  const why = !names.has('model_index.json')
    ? 'it has no model_index.json'
    : `it lacks ${missing.map((part) => `${part}/model.onnx`).join(', ')}`;
  const here = nestedHint(names, id) ?? variantHint(names, missing);
  if (here !== undefined) throw new StoreError('not-onnx', `${id} is no ONNX pipeline: ${why}. ${here}`);
  throw new StoreError(
    'not-onnx',
    `${id} is no model: ${why}, and no .safetensors instead. ${advice(names)}`,
  );
}

/** A hint where the whole pipeline lies in a subfolder. */
function nestedHint(names: ReadonlySet<string>, id: string): string | undefined {
  const index = [...names].find((name) => name.endsWith('/model_index.json'));
  const folder = index && dirname(index);
  if (
    folder === undefined ||
    ![...names].some((name) => name.startsWith(`${folder}/`) && name.endsWith('.onnx'))
  )
    return undefined;
  return isAbsolute(id)
    ? `The pipeline lies one level deeper: dreamgrid models add ${join(id, folder)}`
    : `The pipeline lies in its folder ${folder}: fetch that folder, then dreamgrid models add DIR/${folder}`;
}

/** A hint where every missing network is there in another precision, under another name. */
function variantHint(names: ReadonlySet<string>, missing: readonly string[]): string | undefined {
  const variants = missing.map((part) =>
    [...names].find((name) => name.startsWith(`${part}/model_`) && name.endsWith('.onnx')),
  );
  const first = variants[0];
  if (first === undefined || variants.includes(undefined)) return undefined;
  const file = basename(first);
  return (
    `Its networks go by another name (${first}): they are taken as model.onnx. In its folder:\n` +
    `  for f in */${file}; do mv "$f" "$(dirname "$f")/model.onnx"; done`
  );
}

function advice(names: ReadonlySet<string>): string {
  const single = [...names].find((name) => !name.includes('/') && name.endsWith('.safetensors'));
  if (single)
    return `Its file ${single} may be a whole model: name it behind the repository (owner/name/${single}).`;
  if ([...names].some((name) => /\.(bin|ckpt|pt)$/.test(name)))
    return 'It has pickles, which can run code when they are read; a branch may have .safetensors (owner/name@refs/pr/1).';
  return 'A branch may have it (for example @onnx).';
}
