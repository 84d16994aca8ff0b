/** Repositories of models with a picture embedding, as their makers publish them. */
import type { RemoteFile } from './repositoryListing.ts';
import { selectParts } from './selectSafetensors.ts';
import type { Variant } from './variant.ts';

export type UnclipRepository = 'karlo' | 'kandinsky' | 'kandinsky-decoder' | 'kandinsky-prior';

const PRIOR = ['prior', 'text_encoder', 'image_encoder'];
const PRIOR_CONFIGS = ['tokenizer', 'scheduler', 'image_processor'];
const under = (names: readonly string[]): string[] => names.map((name) => `prior_${name}`);

const PARTS: Readonly<Record<UnclipRepository, readonly string[]>> = {
  karlo: [...PRIOR, 'text_proj', 'decoder', 'super_res_first', 'super_res_last'],
  kandinsky: ['unet', 'movq', ...under(PRIOR)],
  'kandinsky-decoder': ['unet', 'movq'],
  'kandinsky-prior': PRIOR,
};
const CONFIGS: Readonly<Record<UnclipRepository, readonly string[]>> = {
  karlo: ['tokenizer', 'prior_scheduler', 'decoder_scheduler', 'super_res_scheduler', 'feature_extractor'],
  kandinsky: ['scheduler', ...under(PRIOR_CONFIGS)],
  'kandinsky-decoder': ['scheduler'],
  'kandinsky-prior': PRIOR_CONFIGS,
};

/** Which of these repositories a listing is; undefined for every other one. */
export function unclipRepository(files: readonly RemoteFile[]): UnclipRepository | undefined {
  const has = (part: string): boolean =>
    files.some(({ path }) => path.startsWith(`${part}/`) && path.endsWith('.safetensors'));
  if (!files.some(({ path }) => path === 'model_index.json')) return undefined;
  if (has('text_proj') && has('decoder')) return 'karlo';
  if (has('movq') && has('unet')) return has('prior_prior') ? 'kandinsky' : 'kandinsky-decoder';
  return has('prior') && has('image_encoder') && !has('unet') ? 'kandinsky-prior' : undefined;
}

export const selectUnclip = (
  files: readonly RemoteFile[],
  kind: UnclipRepository,
  variant: Variant,
): RemoteFile[] => selectParts(files, variant, PARTS[kind], CONFIGS[kind]);

/** The name of the prior's repository, by its publisher's naming. */
export const priorOf = (name: string): string => name.replace(/-?decoder$/, '-prior');

/** Folder of the prior's repository, beside the decoder's own files. */
export const priorFolder = 'prior_repository';
