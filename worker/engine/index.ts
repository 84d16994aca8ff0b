/** The engine: a folder of ONNX files in, pictures out. A pure library: no queue, no Discord, no environment. */
import { makeDenoiser } from './denoiser.ts';
import { EngineError } from './errors.ts';
import { chooseFamily } from './families/index.ts';
import { openFolder } from './folder.ts';
import { generate, type Parts } from './generate.ts';
import { defaultLatentRgb, latentToRgb } from './preview.ts';
import { openSession, type Session } from './session.ts';
import { makeTextEncoder } from './textEncoder.ts';
import { loadTokenizer } from './tokenizer.ts';
import type { LoadOptions, Model, ModelInfo } from './types.ts';
import { makeVae } from './vae.ts';

export { EngineError, type EngineErrorCode } from './errors.ts';
export { schedulerNames } from './schedulers/index.ts';
export type * from './types.ts';

export async function loadModel(dir: string, options: LoadOptions = {}): Promise<Model> {
  const folder = openFolder(dir);
  const family = chooseFamily(folder);
  const encoderParts = family.encoders(folder);
  const names = [
    ...encoderParts.map(({ part }) => part),
    'unet',
    'vae_decoder',
    ...(folder.has('vae_encoder') ? ['vae_encoder'] : []),
  ];
  const settings = {
    providers: options.providers ?? ['cpu'],
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  };
  const sessions = new Map<string, Session>();
  try {
    for (const [i, name] of names.entries()) {
      options.onProgress?.(name, i, names.length);
      sessions.set(name, await openSession(folder.onnx(name), settings));
    }
    options.onProgress?.('ready', names.length, names.length);
    const encoders = encoderParts.map(({ part, tokenizer, layer }) => {
      const positions = folder.config(part)['max_position_embeddings'];
      const loaded = loadTokenizer(folder.at(tokenizer), typeof positions === 'number' ? positions : 77);
      return makeTextEncoder(sessions.get(part)!, loaded, layer);
    });
    const denoiser = makeDenoiser(sessions.get('unet')!);
    const vae = makeVae(folder, sessions.get('vae_decoder')!, sessions.get('vae_encoder'));
    const schedulerConfig = folder.config('scheduler', 'scheduler_config.json');
    const unet = folder.config('unet');
    const blocks = unet['block_out_channels'];
    const sample = unet['sample_size'];
    const info: ModelInfo = {
      family: family.name,
      nativeSize: (typeof sample === 'number' ? sample : 64) * vae.factor,
      multiple: vae.factor * (Array.isArray(blocks) ? 2 ** (blocks.length - 1) : 1),
      latentChannels: vae.channels,
      latentFactor: vae.factor,
      scheduler: String(schedulerConfig['_class_name'] ?? 'DDIMScheduler'),
      predictionType: String(schedulerConfig['prediction_type'] ?? 'epsilon'),
      inputs: [...sessions.get('unet')!.inputs.keys()],
      provider: sessions.get('unet')!.provider,
      inpaint: (denoiser.inChannels ?? vae.channels) > vae.channels,
      guidance: denoiser.extraInputs.includes('timestep_cond') ? 'embedded' : 'classifier-free',
      imageToImage: vae.canEncode,
      upscaler: false,
      imageEncoder: false,
      safetyChecker: false,
    };
    const map = options.latentRgb ?? defaultLatentRgb(family.name, vae.channels);
    const parts: Parts = {
      folder,
      family,
      info,
      encoders,
      denoiser,
      vae,
      schedulerConfig,
      sessions: [...sessions.values()],
      preview: (x0, height, width) => latentToRgb(map, x0, height, width),
    };
    return {
      dir,
      family: family.name,
      info,
      generate: (request, hooks = {}) => generate(parts, request, hooks),
      upscale: () => Promise.reject(new EngineError('unsupported', `${dir} has no upscaler`)),
      async encodeText(text) {
        const encoder = encoders.at(-1)!;
        const { pooled, hidden } = await encoder.encode(encoder.rows(text, false), 1);
        return { pooled, hidden };
      },
      tokenCount: (text) => encoders[0]!.tokenizer.encode(text).length,
      release: async () => {
        for (const session of sessions.values()) await session.release();
      },
    };
  } catch (error) {
    for (const session of sessions.values()) await session.release();
    throw error;
  }
}
