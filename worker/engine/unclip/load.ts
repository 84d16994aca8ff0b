/** Opens a folder with a picture-embedding model as a Model. */

import { EngineError } from '../errors.ts';
import { checkVocabulary, extraFiles, imageSettings } from '../load.ts';
import { type Folder, number } from '../onnx/folder.ts';
import { openOptimised } from '../onnx/optimised.ts';
import type { Session, SessionSettings } from '../onnx/session.ts';
import { openBefore, openPart } from '../openPart.ts';
import { makeSafetyChecker } from '../parts/safetyChecker.ts';
import { makeUpscaler } from '../parts/upscaler.ts';
import { embed } from '../text/embed.ts';
import { makeTextEncoder } from '../text/textEncoder.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import type { LoadOptions, Model, ModelInfo } from '../types.ts';
import { makeNetwork } from './batchedSession.ts';
import { generateThroughEmbedding } from './generate.ts';
import { makeKandinsky22 } from './kandinsky22.ts';
import { makeKarlo } from './karlo.ts';
import type { Layout } from './layout.ts';
import { priorInputs, priorOutput, readPrior } from './prior.ts';
import type { Painter, UnclipParts } from './unclipModel.ts';
import { makeVision } from './vision.ts';

/** Opens every part of a layout. @throws EngineError 'missing-file' | 'bad-model' | 'unsupported' | 'out-of-memory' */
export async function loadUnclip(folder: Folder, layout: Layout, options: LoadOptions): Promise<Model> {
  const parts = await openParts(folder, layout, options);
  const { encoder, encodeImage, check, upscaler, info } = parts;
  return {
    dir: folder.dir,
    family: layout.family,
    info,
    generate: (request, hooks = {}) => generateThroughEmbedding(parts, request, hooks),
    // Each job's stages make calls of their own, so there is no shared limit to measure.
    measureRows: async () => undefined,
    async upscale(picture, factor) {
      if (!upscaler) throw new EngineError('unsupported', `${folder.dir} has no upscaler`);
      return upscaler.upscale(picture, factor);
    },
    ...(encodeImage ? { encodeImage } : {}),
    embed: (texts, pictures = []) =>
      embed({ encoders: [encoder], ...(encodeImage ? { encodeImage } : {}) }, texts, pictures),
    ...(check ? { check } : {}),
    async encodeText(text) {
      const { pooled, hidden } = await encoder.encode(encoder.rows(text, false), 1);
      return { pooled, hidden };
    },
    tokenCount: (text) => encoder.tokenizer.encode(text).length,
    async release() {
      for (const session of parts.sessions) await session.release();
    },
  };
}

async function openParts(folder: Folder, layout: Layout, options: LoadOptions): Promise<UnclipParts> {
  const extras = extraFiles(folder, options);
  const own = [...layout.needed, ...layout.optional.filter((part) => folder.has(part))];
  const names = [...own, ...Object.keys(extras).filter((part) => !own.includes(part) && isExtra(part))];
  const settings: SessionSettings = {
    providers: options.providers ?? ['cpu'],
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  };
  const optimised = settings.providers[0] === 'cpu' ? openOptimised(folder.dir) : undefined;
  const sessions = new Map<string, Session>();
  try {
    for (const [i, name] of names.entries()) {
      options.onProgress?.(name, i, names.length);
      const before = optimised?.fileOf(name);
      const session = before
        ? await openBefore(folder.dir, before, settings)
        : await openPart(folder, name, extras[name] ?? folder.onnx(name), settings);
      sessions.set(name, session);
    }
    const at = folder.at(layout.tokenizer);
    const text = folder.config(layout.textEncoder);
    const tokenizer = loadTokenizer(at, number(text, 'max_position_embeddings', 77));
    const highest = Math.max(tokenizer.begin, tokenizer.end, tokenizer.pad);
    checkVocabulary(at, highest, number(text, 'vocab_size', Infinity));
    const encoder = makeTextEncoder(sessions.get(layout.textEncoder)!, tokenizer, 'last');
    const priorSession = sessions.get(layout.prior);
    const prior =
      priorSession && readPrior({ folder, layout }, makeNetwork(priorSession, priorInputs, [priorOutput]));
    const eye = sessions.get(layout.imageEncoder);
    const look = options.imageEncoder ?? imageSettings(folder, layout.imageEncoder, layout.imageProcessor);
    const encodeImage = eye && makeVision(eye, look);
    const stages = options.stages ?? {};
    const painter =
      layout.family === 'unclip'
        ? makeKarlo(folder, sessions, stages)
        : makeKandinsky22(folder, sessions, options);
    const enlarger = sessions.get('upscaler');
    const upscaler = enlarger && (await makeUpscaler(enlarger, options.upscaler?.scale));
    const checker = sessions.get('safety_checker');
    options.onProgress?.('ready', names.length, names.length);
    return {
      folder,
      layout,
      info: describe(layout, painter, sessions),
      encoder,
      prior,
      painter,
      stages,
      sessions: [...sessions.values()],
      zeroEmbedding: zeroEmbedding(folder, layout, eye, look.size),
      ...(encodeImage ? { encodeImage } : {}),
      ...(upscaler ? { upscaler } : {}),
      ...(checker ? { check: makeSafetyChecker(checker) } : {}),
    };
  } catch (error) {
    for (const session of sessions.values()) await session.release();
    throw error;
  }
}

/** The optional parts of any model that these models may have, too. */
const isExtra = (part: string): boolean => part === 'upscaler' || part === 'safety_checker';

/** The embedding of a picture of zeros: as stored at export, so that no tower is needed; else by the tower. */
function zeroEmbedding(
  folder: Folder,
  { prior, imageEncoder }: Layout,
  session: Session | undefined,
  size: number,
): () => Promise<Float32Array> {
  const written = folder.config(prior)['zero_image_embedding'];
  let known: Float32Array | undefined = Array.isArray(written)
    ? Float32Array.from(written as number[])
    : undefined;
  return async () => {
    if (known) return known;
    if (!session) {
      const file = folder.at(`${imageEncoder}/model.onnx`);
      throw new EngineError(
        'missing-file',
        `${file} is missing, and ${prior}/config.json has no zero_image_embedding: guidance without a negative prompt needs one of them`,
        { file },
      );
    }
    const network = makeNetwork(session, ['pixel_values'], ['image_embeds']);
    const value = { data: new Float32Array(3 * size * size), dims: [3, size, size] };
    const [said] = await network.run([{ inputs: { pixel_values: value }, only: true }]);
    const zero = said!['image_embeds']!;
    known = zero;
    return zero;
  };
}

function describe(layout: Layout, painter: Painter, sessions: ReadonlyMap<string, Session>): ModelInfo {
  const { session } = painter.network;
  const config = painter.schedulerConfig;
  return {
    family: layout.family,
    nativeSize: painter.nativeSize,
    multiple: painter.multiple,
    latentChannels: painter.channels,
    latentFactor: painter.factor,
    scheduler: String(config['_class_name'] ?? 'UnCLIPScheduler'),
    predictionType: String(config['prediction_type'] ?? 'epsilon'),
    inputs: [...session.inputs.keys()],
    provider: session.provider,
    providersMissing: session.missing,
    optimised: session.optimised,
    inpaint: false,
    guidance: 'classifier-free',
    imageToImage: painter.canEncode,
    upscaler: sessions.has('upscaler'),
    imageEncoder: sessions.has(layout.imageEncoder),
    safetyChecker: sessions.has('safety_checker'),
    tinyDecoder: false,
    imageConditioned: true,
    textToImage: sessions.has(layout.prior),
  };
}
