/** The scheduler for a single file, and what its network predicts. */
import type { Json } from '../hub/defaults.ts';
import type { Prediction, Source } from './modelSource.ts';
import type { TensorFile } from './safetensors.ts';

export type SingleKind = NonNullable<Source['kind']>;

export interface PredictionSign {
  /** undefined: the file does not say, and its kind has models of both types. */
  readonly prediction: Prediction | undefined;
  /** Trained down to pure noise (Lin et al., 2023): betas rescaled, timesteps from the far end. */
  readonly zeroSnr: boolean;
  /** What the prediction type was found by, where that is worth a note. */
  readonly said?: string;
}

/** By keys, then metadata, then the file's name; only SD 2 stays open, whose two kinds look alike. */
export function predictionSign({ file, tensors, metadata }: TensorFile, kind: SingleKind): PredictionSign {
  if (tensors.has('v_pred'))
    return {
      prediction: 'v_prediction',
      zeroSnr: tensors.has('ztsnr'),
      said: `The file says: v-prediction${tensors.has('ztsnr') ? ', zero terminal SNR' : ''}.`,
    };
  const told = metadata['modelspec.prediction_type'] ?? metadata['modelspec.predict_key'];
  if (told !== undefined && /^(v|v_prediction|v-prediction|vpred)$/i.test(told))
    return { prediction: 'v_prediction', zeroSnr: false, said: 'Its metadata says: v-prediction.' };
  if (told !== undefined && /^eps(ilon)?$/i.test(told)) return { prediction: 'epsilon', zeroSnr: false };
  const name = file.replace(/^.*[/\\]/, '');
  if (/v[-_. ]?pred/i.test(name))
    return {
      prediction: 'v_prediction',
      zeroSnr: kind === 'sdxl',
      said: `By its name it is a v-prediction model${kind === 'sdxl' ? ' with zero terminal SNR' : ''}; --prediction epsilon says otherwise.`,
    };
  return { prediction: kind === 'sd2' ? undefined : 'epsilon', zeroSnr: false };
}

const noise = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  trained_betas: null,
  steps_offset: 1,
};

/** The scheduler config of the publishers' own folders. */
export function schedulerFor(kind: SingleKind, sign: PredictionSign, latentConsistency: boolean): Json {
  const prediction = sign.prediction ?? 'v_prediction';
  if (latentConsistency)
    return {
      _class_name: 'LCMScheduler',
      ...noise,
      steps_offset: 0,
      clip_sample: false,
      set_alpha_to_one: true,
      original_inference_steps: 50,
      timestep_spacing: 'leading',
      prediction_type: prediction,
    };
  if (kind === 'sdxl' || sign.zeroSnr)
    return {
      _class_name: 'EulerDiscreteScheduler',
      ...noise,
      interpolation_type: 'linear',
      prediction_type: prediction,
      timestep_spacing: sign.zeroSnr ? 'trailing' : 'leading',
      rescale_betas_zero_snr: sign.zeroSnr,
    };
  if (prediction === 'v_prediction')
    return {
      _class_name: 'DDIMScheduler',
      ...noise,
      clip_sample: false,
      set_alpha_to_one: false,
      timestep_spacing: 'leading',
      prediction_type: prediction,
    };
  return {
    _class_name: 'PNDMScheduler',
    ...noise,
    clip_sample: false,
    set_alpha_to_one: false,
    skip_prk_steps: true,
    timestep_spacing: 'leading',
    prediction_type: prediction,
  };
}

/** The scheduler with another prediction type. */
export function withPrediction(scheduler: Json, prediction: Prediction): Json {
  if (scheduler['prediction_type'] === prediction) return scheduler;
  const changed = { ...scheduler, prediction_type: prediction };
  if (prediction === 'v_prediction' && scheduler['_class_name'] === 'PNDMScheduler') {
    const { skip_prk_steps: _pndmOnly, ...rest } = changed as Record<string, unknown>;
    return { ...rest, _class_name: 'DDIMScheduler' };
  }
  if (prediction === 'epsilon' && scheduler['_class_name'] === 'DDIMScheduler')
    return { ...changed, _class_name: 'PNDMScheduler', skip_prk_steps: true };
  if (prediction === 'epsilon' && scheduler['rescale_betas_zero_snr'] === true)
    return { ...changed, rescale_betas_zero_snr: false, timestep_spacing: 'leading' };
  return changed;
}
