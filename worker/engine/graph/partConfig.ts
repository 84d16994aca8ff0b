/** The configs of networks that stand beside a model: TAESD, an upscaler, Stable Diffusion's safety checker. */
import { EngineError } from '../errors.ts';
import { type Json, reader } from './config.ts';
import { readVisionConfig, type VisionConfig } from './unclipConfig.ts';

/** AutoencoderTiny: residual blocks by level, in the order they are run in. */
export interface TinyVaeConfig {
  readonly latentChannels: number;
  readonly encoderBlocks: readonly number[];
  readonly decoderBlocks: readonly number[];
}

/** RRDBNet, of ESRGAN and Real-ESRGAN. */
export interface UpscalerConfig {
  /** Residual-in-residual dense blocks. */
  readonly blocks: number;
  /** How often it doubles the sides. */
  readonly doublings: number;
  /** Side of the squares of pixels that are stacked as channels of its input: 2 in Real-ESRGAN ×2, else 1. */
  readonly unshuffle: number;
}

/** @throws EngineError('unsupported') which names the field */
export function readTinyVaeConfig(json: Json): TinyVaeConfig {
  const at = reader(json, 'vae');
  at.only('act_fn', ['relu']);
  at.only('upsample_fn', ['nearest']);
  at.only('upsampling_scaling_factor', [2]);
  return {
    latentChannels: at.number('latent_channels', 4),
    encoderBlocks: at.numbers('num_encoder_blocks', [1, 3, 3, 3]),
    decoderBlocks: at.numbers('num_decoder_blocks', [3, 3, 3, 1]),
  };
}

/** @throws EngineError('unsupported') which names the field */
export function readUpscalerConfig(json: Json): UpscalerConfig {
  const at = reader(json, 'upscaler');
  at.only('unshuffle', [1, 2, 4]);
  return {
    blocks: at.number('num_block', 23),
    doublings: at.number('num_upsample', 2),
    unshuffle: at.number('unshuffle', 1),
  };
}

/** Of a CLIPConfig. @throws EngineError('unsupported') which names the field */
export function readCheckerConfig(json: Json): VisionConfig {
  const vision = json['vision_config'];
  if (typeof vision === 'object' && vision !== null) return readVisionConfig(vision as Json);
  throw new EngineError('unsupported', 'safety_checker: its config has no vision_config');
}
