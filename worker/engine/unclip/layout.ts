/** Which folders hold a model with a picture embedding, the names of their parts, and what is missing. */
import { EngineError } from '../errors.ts';
import type { Folder } from '../onnx/folder.ts';

export type UnclipFamily = 'unclip' | 'kandinsky-2.2';

export interface Layout {
  readonly family: UnclipFamily;
  readonly textEncoder: string;
  readonly tokenizer: string;
  readonly prior: string;
  readonly priorScheduler: string;
  readonly imageEncoder: string;
  readonly imageProcessor: string;
  readonly decoder: string;
  readonly decoderScheduler: string;
  /** Networks that every model of the family needs. */
  readonly needed: readonly string[];
  /** Networks that a model may have, in the order in which they are opened. */
  readonly optional: readonly string[];
}

/** Karlo (kakaobrain/karlo-v1-alpha and its image variations): UnCLIPPipeline, UnCLIPImageVariationPipeline. */
const karlo: Layout = {
  family: 'unclip',
  textEncoder: 'text_encoder',
  tokenizer: 'tokenizer',
  prior: 'prior',
  priorScheduler: 'prior_scheduler',
  imageEncoder: 'image_encoder',
  imageProcessor: 'feature_extractor',
  decoder: 'decoder',
  decoderScheduler: 'decoder_scheduler',
  needed: ['text_encoder', 'text_proj', 'decoder'],
  optional: ['prior', 'image_encoder', 'super_res_first', 'super_res_last'],
};

/** Names as KandinskyV22CombinedPipeline.save_pretrained writes them: the prior's repository under `prior_`. */
const kandinsky: Layout = {
  family: 'kandinsky-2.2',
  textEncoder: 'prior_text_encoder',
  tokenizer: 'prior_tokenizer',
  prior: 'prior_prior',
  priorScheduler: 'prior_scheduler',
  imageEncoder: 'prior_image_encoder',
  imageProcessor: 'prior_image_processor',
  decoder: 'unet',
  decoderScheduler: 'scheduler',
  needed: ['prior_text_encoder', 'prior_prior', 'unet', 'movq_decoder'],
  optional: ['prior_image_encoder', 'movq_encoder'],
};

/**
 * The layout of a folder with a picture-embedding model; undefined for every other folder.
 * @throws EngineError 'missing-file' where one of two repositories is missing, naming it
 */
export function unclipLayout(folder: Folder): Layout | undefined {
  const name = String(folder.index['_class_name'] ?? '');
  if (/^(ORT)?Kandinsky(V22)?/.test(name) || folder.has('prior_prior') || folder.has('movq_decoder')) {
    checkKandinsky(folder, name);
    return complete(folder, kandinsky);
  }
  if (!/^(ORT)?UnCLIP/.test(name) && !(folder.has('decoder') && folder.has('text_proj'))) return undefined;
  const layout = complete(folder, karlo);
  if (folder.has('prior') || folder.has('image_encoder')) return layout;
  const file = folder.at('prior/model.onnx');
  throw missing(
    file,
    `${file} is missing: words become a picture embedding there. With image_encoder/model.onnx instead, the model could at least vary pictures. Fetch or export it again.`,
  );
}

/** Kandinsky's two repositories are two halves, and neither paints alone. */
function checkKandinsky(folder: Folder, name: string): void {
  if (/^(ORT)?Kandinsky(?!V22)/.test(name)) {
    throw new EngineError(
      'unsupported',
      `${folder.dir} holds a ${name}: of Kandinsky the engine knows 2.2 (its classes begin with KandinskyV22)`,
      { file: folder.dir },
    );
  }
  if (folder.has('unet') && !folder.has('prior_prior')) {
    const file = folder.at('prior_prior/model.onnx');
    throw missing(
      file,
      `${folder.dir} is the decoder's half of Kandinsky 2.2: ${file} is missing. The other half is the repository of its prior (kandinsky-community/kandinsky-2-2-prior); its parts belong here as prior_prior, prior_text_encoder, prior_tokenizer, prior_scheduler, prior_image_encoder.`,
    );
  }
  if (!folder.has('unet') && (folder.has('prior_prior') || folder.has('prior'))) {
    const file = folder.at('unet/model.onnx');
    throw missing(
      file,
      `${folder.dir} is the prior's half of Kandinsky 2.2: ${file} is missing. The other half is the repository of its decoder (kandinsky-community/kandinsky-2-2-decoder): unet, movq_decoder, movq_encoder, scheduler.`,
    );
  }
}

function complete(folder: Folder, layout: Layout): Layout {
  for (const part of layout.needed) {
    if (folder.has(part)) continue;
    const file = folder.at(`${part}/model.onnx`);
    throw missing(
      file,
      `${file} is missing: models of the family ${layout.family} need it. Fetch or export it again.`,
    );
  }
  return layout;
}

const missing = (file: string, message: string): EngineError =>
  new EngineError('missing-file', message, { file });
