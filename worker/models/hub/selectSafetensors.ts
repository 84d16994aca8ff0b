/** Which files of a diffusers repository an import needs: configs, vocabularies, one set of weights for each part. */

import { pathBelow } from './hubReference.ts';
import type { RemoteFile } from './repositoryListing.ts';
import { chooseWeights, type Variant } from './variant.ts';

const PARTS = ['unet', 'text_encoder', 'text_encoder_2', 'vae', 'safety_checker'] as const;
const CONFIG_FOLDERS = ['scheduler', 'tokenizer', 'tokenizer_2'];

/** Whether a repository has diffusers' weights and no ONNX network. */
export function isDiffusers(files: readonly RemoteFile[]): boolean {
  const names = new Set(files.map(({ path }) => path));
  if (!names.has('model_index.json') || names.has('unet/model.onnx')) return false;
  return files.some(({ path }) => /^unet\/[^/]+\.safetensors$/.test(path));
}

/** Bytes of each variant that a repository offers. */
export function variantsOf(files: readonly RemoteFile[]): Record<Variant, number> {
  const bytes = (variant: Variant): number =>
    selectDiffusers(files, variant).reduce((sum, file) => sum + file.bytes, 0);
  return { full: bytes('full'), fp16: bytes('fp16') };
}

export const selectDiffusers = (files: readonly RemoteFile[], variant: Variant): RemoteFile[] =>
  selectParts(files, variant, PARTS, CONFIG_FOLDERS);

/** One set of weights for each part, the configs and vocabularies of some folders, and notes for the owner. */
export function selectParts(
  files: readonly RemoteFile[],
  variant: Variant,
  parts: readonly string[],
  configFolders: readonly string[],
): RemoteFile[] {
  for (const { path } of files) pathBelow('/model', path);
  const wanted = new Set<string>(['model_index.json']);
  for (const part of parts) {
    const names = files
      .filter(({ path }) => path.startsWith(`${part}/`))
      .map(({ path }) => path.slice(part.length + 1));
    const chosen = chooseWeights(names, variant);
    if (chosen === undefined) continue;
    for (const name of ['config.json', chosen, ...shardsBeside(chosen, names)]) wanted.add(`${part}/${name}`);
  }
  return files.filter(({ path }) => {
    const [folder, file, ...deeper] = path.split('/') as [string, string | undefined, ...string[]];
    if (wanted.has(path)) return true;
    if (file === undefined) return /^(licen[cs]e|notice|use_policy)(\.(md|txt))?$/i.test(folder);
    return deeper.length === 0 && configFolders.includes(folder) && /\.(json|txt)$/.test(file);
  });
}

/** `model.fp16-00001-of-00002.safetensors`, `model-00001-of-00002.fp16.safetensors`: both spellings exist. */
function shardsBeside(index: string, names: readonly string[]): string[] {
  if (!index.endsWith('.json')) return [];
  const half = index.includes('fp16');
  return names.filter(
    (name) => /-\d{5}-of-\d{5}/.test(name) && name.endsWith('.safetensors') && name.includes('fp16') === half,
  );
}
