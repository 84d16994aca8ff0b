/** Opens a model's folder part by part, and refuses parts that do not fit together, by the file's name. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type AdaptedPart, Adapters } from './adapters/index.ts';
import { EngineError } from './errors.ts';
import type { Family } from './families/family.ts';
import { chooseFamily } from './families/index.ts';
import type { Parts } from './generate.ts';
import { type Denoiser, makeDenoiser } from './latents/denoiser.ts';
import { defaultLatentRgb, latentToRgb } from './latents/preview.ts';
import { makeStepDenoiser } from './latents/stepDenoiser.ts';
import { makeVae, type Vae } from './latents/vae.ts';
import { type Folder, type Json, number, openFolder } from './onnx/folder.ts';
import { openOptimised } from './onnx/optimised.ts';
import type { Session, SessionSettings } from './onnx/session.ts';
import { openBefore, openNetwork, openPart } from './openPart.ts';
import { type ImageEncoderSettings, makeImageEncoder } from './parts/imageEncoder.ts';
import { clipMean, clipStd, makeSafetyChecker } from './parts/safetyChecker.ts';
import { makeUpscaler } from './parts/upscaler.ts';
import { makeTextEncoder, type TextEncoder } from './text/textEncoder.ts';
import { loadTokenizer } from './text/tokenizer.ts';
import type { LoadOptions, ModelInfo } from './types.ts';

/** Opens every part of a folder. @throws EngineError 'missing-file' | 'bad-model' | 'unsupported' | 'out-of-memory' */
export async function loadParts(dir: string, options: LoadOptions): Promise<Parts> {
  const folder = openFolder(dir);
  const family = chooseFamily(folder);
  const encoderParts = family.encoders(folder);
  const extras = extraFiles(folder, options);
  const names = [...encoderParts.map(({ part }) => part), 'unet', 'vae_decoder', ...Object.keys(extras)];
  const settings: SessionSettings = {
    providers: options.providers ?? ['cpu'],
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  };
  const sessions = new Map<string, Session>();
  // Optimised files are for the processor only; a GPU provider optimises graphs in its own way.
  const optimised = settings.providers[0] === 'cpu' ? openOptimised(dir) : undefined;
  try {
    for (const [i, name] of names.entries()) {
      options.onProgress?.(name, i, names.length);
      const before = optimised?.fileOf(name);
      const session = before
        ? await openBefore(dir, before, settings)
        : name === 'unet'
          ? await openNetwork(folder, settings)
          : await openPart(folder, name, extras[name] ?? folder.onnx(name), settings);
      if ('step' in session) {
        sessions.set('unet', session.step);
        sessions.set(textStates, session.text);
      } else sessions.set(name, session);
    }
    const encoders = encoderParts.map(({ part, tokenizer, layer }) => {
      const config = folder.config(part);
      const loaded = loadTokenizer(folder.at(tokenizer), number(config, 'max_position_embeddings', 77));
      checkVocabulary(
        folder.at(tokenizer),
        Math.max(loaded.begin, loaded.end, loaded.pad),
        number(config, 'vocab_size', Infinity),
      );
      return makeTextEncoder(sessions.get(part)!, loaded, layer);
    });
    const adaptedParts = [...encoderParts.map(({ part }) => part), 'unet'] as AdaptedPart[];
    const adapters = new Adapters(dir, adaptedParts, folder.config('unet'), {
      session: settings,
      overlayBytes: options.overlayBytes ?? defaultOverlayBytes,
      factorBytes: defaultFactorBytes,
    });
    const denoiser = denoiserOf(sessions.get('unet')!, sessions.get(textStates), adapters);
    const vae = makeVae(folder, sessions.get('vae_decoder')!, sessions.get('vae_encoder'));
    checkFit(family, encoders, denoiser, vae, sessions.get('vae_encoder'));
    const given = options.imageEncoder ?? imageSettings(folder);
    const upscaler =
      sessions.get('upscaler') && (await makeUpscaler(sessions.get('upscaler')!, options.upscaler?.scale));
    const encodeImage =
      sessions.get('image_encoder') && makeImageEncoder(sessions.get('image_encoder')!, given);
    const check = sessions.get('safety_checker') && makeSafetyChecker(sessions.get('safety_checker')!);
    const tiny =
      sessions.get('tiny_decoder') &&
      makeVae(folder, sessions.get('tiny_decoder')!, undefined, 'tiny_decoder');
    const schedulerConfig = {
      ...folder.config('scheduler', 'scheduler_config.json'),
      ...family.schedulerRepairs,
    };
    checkTimesteps(denoiser, schedulerConfig);
    const map = options.latentRgb ?? defaultLatentRgb(family.name, vae.channels);
    options.onProgress?.('ready', names.length, names.length);
    return {
      folder,
      family,
      info: describe(folder, family, denoiser, vae, schedulerConfig, sessions),
      encoders,
      denoiser,
      adapters,
      vae,
      schedulerConfig,
      sessions: [...sessions.values()],
      preview: (x0, height, width) => latentToRgb(map, x0, height, width),
      ...(tiny ? { tiny } : {}),
      ...(upscaler ? { upscaler } : {}),
      ...(encodeImage ? { encodeImage } : {}),
      ...(check ? { check } : {}),
    };
  } catch (error) {
    for (const session of sessions.values()) await session.release();
    throw error;
  }
}

/**
 * Schedules over a noise level's logarithm or angle have timesteps between -2 and 2: a file that cuts them to whole
 * numbers would be told nearly the same noise level at every step.
 */
function checkTimesteps(denoiser: Denoiser, config: Json): void {
  const name = String(config['_class_name'] ?? '');
  if (!denoiser.wholeTimesteps || !/^(EDM|IPNDM)/.test(name)) return;
  const { file } = denoiser.session;
  throw new EngineError(
    'unsupported',
    `${file} takes whole timesteps, but ${name} needs fractions. Export it with a float32 timestep.`,
    { file },
  );
}

/** Name of the session, beside the folder's parts, that computes a text's keys and values. */
const textStates = 'unet/text';

const denoiserOf = (network: Session, text: Session | undefined, adapters: Adapters): Denoiser =>
  text
    ? makeStepDenoiser(
        { step: network, text },
        {
          text: (row) => adapters.open('unet', [row], { form: 'text' }),
          step: (rows, pictures) => adapters.open('unet', rows, { form: 'step', pictures }),
        },
      )
    : makeDenoiser(network, (rows) => adapters.open('unet', rows));

/** Bytes of disk for a model's merged weights, and of memory for LoRAs' factors that are not in use. */
const defaultOverlayBytes = 16e9;
const defaultFactorBytes = 1e9;

/** Files of the optional parts that exist. */
export function extraFiles(
  folder: Folder,
  { upscaler, imageEncoder, safetyChecker = true }: LoadOptions,
): Record<string, string> {
  const files: Record<string, string> = {};
  const parts = ['vae_encoder', 'tiny_decoder', 'upscaler', 'image_encoder'];
  for (const part of safetyChecker ? [...parts, 'safety_checker'] : parts) {
    if (folder.has(part)) files[part] = folder.onnx(part);
  }
  if (upscaler) files['upscaler'] = path.resolve(folder.dir, upscaler.path);
  if (imageEncoder) files['image_encoder'] = path.resolve(folder.dir, imageEncoder.path);
  for (const file of Object.values(files)) {
    if (!existsSync(file))
      throw new EngineError('missing-file', `${file} is missing. Fetch the model again.`, { file });
  }
  return files;
}

/** Settings in transformers' preprocessor_config.json, OpenAI CLIP's where there is none. */
export function imageSettings(
  folder: Folder,
  encoder = 'image_encoder',
  processor = 'feature_extractor',
): ImageEncoderSettings {
  const own = folder.config(encoder, 'preprocessor_config.json');
  const config = Object.keys(own).length > 0 ? own : folder.config(processor, 'preprocessor_config.json');
  const crop = config['crop_size'];
  const size = typeof crop === 'object' && crop !== null && 'height' in crop ? crop.height : crop;
  const list = (key: string, fallback: readonly number[]): readonly number[] => {
    const value = config[key];
    return Array.isArray(value) ? (value as number[]) : fallback;
  };
  return {
    size: typeof size === 'number' ? size : 224,
    mean: list('image_mean', clipMean),
    std: list('image_std', clipStd),
  };
}

/** @throws EngineError('bad-model') where the tokenizer's highest id is beyond the encoder's vocabulary */
export function checkVocabulary(dir: string, highest: number, size: number): void {
  if (highest < size) return;
  throw new EngineError(
    'bad-model',
    `${dir} belongs to another model: its token ${highest} is beyond the text encoder's ${size}`,
    { file: dir },
  );
}

/** Refuses parts of different models: each opens by itself, but their widths and channels differ. */
function checkFit(
  family: Family,
  encoders: readonly TextEncoder[],
  denoiser: Denoiser,
  vae: Vae,
  encoder: Session | undefined,
): void {
  const { session } = denoiser;
  const foreign = (file: string, why: string): EngineError =>
    new EngineError(
      'bad-model',
      `${file} does not belong to this ${family.name} model: ${why}. Fetch the model again.`,
      { file },
    );
  const expected = family.inputs;
  const missing = expected.filter((name) => !session.inputs.has(name));
  if (missing.length > 0) throw foreign(session.file, `it has no input ${missing.join(', ')}`);
  const unknown = denoiser.extraInputs.filter((name) => !expected.includes(name));
  if (unknown.length > 0) throw foreign(session.file, `it wants ${unknown.join(', ')}`);
  const widths = encoders.map((textEncoder) => textEncoder.width);
  const total = widths.reduce<number>((sum, width) => sum + (width ?? Number.NaN), 0);
  if (denoiser.hiddenWidth !== undefined && !Number.isNaN(total) && total !== denoiser.hiddenWidth) {
    throw foreign(
      session.file,
      `it takes text of width ${denoiser.hiddenWidth}, the text encoders give ${total}`,
    );
  }
  if (denoiser.outChannels !== undefined && denoiser.outChannels !== vae.channels) {
    throw foreign(
      vae.decoder.file,
      `it takes ${vae.channels} channels, ${session.file} gives ${denoiser.outChannels}`,
    );
  }
  const encoded = encoder && [...encoder.outputs.values()][0]!.shape[1];
  if (encoder && typeof encoded === 'number' && encoded !== vae.channels && encoded !== 2 * vae.channels) {
    throw foreign(encoder.file, `it gives ${encoded} channels where ${2 * vae.channels} are needed`);
  }
}

function describe(
  folder: Folder,
  family: Family,
  denoiser: Denoiser,
  vae: Vae,
  scheduler: Readonly<Record<string, unknown>>,
  sessions: ReadonlyMap<string, Session>,
): ModelInfo {
  const unet = folder.config('unet');
  const blocks = unet['block_out_channels'];
  return {
    family: family.name,
    nativeSize: number(unet, 'sample_size', 64) * vae.factor,
    multiple: vae.factor * (Array.isArray(blocks) ? 2 ** (blocks.length - 1) : 1),
    latentChannels: vae.channels,
    latentFactor: vae.factor,
    scheduler: String(scheduler['_class_name'] ?? 'DDIMScheduler'),
    predictionType: String(scheduler['prediction_type'] ?? 'epsilon'),
    inputs: denoiser.inputs,
    provider: denoiser.session.provider,
    providersMissing: denoiser.session.missing,
    optimised: denoiser.session.optimised,
    inpaint: (denoiser.inChannels ?? vae.channels) > vae.channels,
    guidance: denoiser.extraInputs.includes('timestep_cond') ? 'embedded' : 'classifier-free',
    imageToImage: vae.canEncode,
    upscaler: sessions.has('upscaler'),
    imageEncoder: sessions.has('image_encoder'),
    safetyChecker: sessions.has('safety_checker'),
    tinyDecoder: sessions.has('tiny_decoder'),
    imageConditioned: false,
    textToImage: true,
  };
}
