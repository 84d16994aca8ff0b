/** Functions shared by the schedulers over a discrete beta schedule. */
import { EngineError } from '../errors.ts';
import {
  alphasCumprod,
  type BetaOptions,
  betaSigmas,
  exponentialSigmas,
  interpolate,
  karrasSigmas,
  linspace,
  sigmaToTimestep,
  spacedTimesteps,
  trailing,
  trainingSigmas,
} from './noise.ts';
import { sum } from './plan.ts';

export const linearBetas = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
  trained_betas: null as readonly number[] | null,
};

export const thresholding = { thresholding: false, dynamic_thresholding_ratio: 0.995, sample_max_value: 1 };

export const sigmaShapes = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
};

/** Clean latent and noise from the model's output at signal level sqrt(a), noise level sqrt(1 - a). */
export function split(
  prediction: string,
  output: Float32Array,
  x: Float32Array,
  a: number,
  name: string,
): { x0: Float32Array; noise: Float32Array } {
  const signal = Math.sqrt(a);
  const sigma = Math.sqrt(1 - a);
  switch (prediction) {
    case 'epsilon':
      // Divided last: at zero terminal SNR the signal is 0, and clipping can handle an infinity, but not NaN.
      return { x0: sum([1, x], [-sigma, output]).map((value) => value / signal), noise: output };
    case 'sample':
      return { x0: output, noise: sum([1 / sigma, x], [-signal / sigma, output]) };
    case 'v_prediction':
      // Salimans & Ho, "Progressive Distillation" (2022), appendix D: v = sqrt(a) noise - sqrt(1 - a) x0.
      return { x0: sum([signal, x], [-sigma, output]), noise: sum([signal, output], [sigma, x]) };
    default:
      throw new EngineError('unsupported', `${name}: prediction_type "${prediction}" is not implemented`);
  }
}

/** Clean latent from the model's output where x = x0 + sigma·noise (the model saw x / sqrt(sigma² + 1)). */
export function denoise(
  prediction: string,
  output: Float32Array,
  x: Float32Array,
  sigma: number,
  name: string,
): Float32Array {
  switch (prediction) {
    case 'epsilon':
      return sum([1, x], [-sigma, output]);
    case 'sample':
    case 'original_sample':
      return output;
    case 'v_prediction':
      return sum([-sigma / Math.sqrt(sigma ** 2 + 1), output], [1 / (sigma ** 2 + 1), x]);
    default:
      throw new EngineError('unsupported', `${name}: prediction_type "${prediction}" is not implemented`);
  }
}

export interface SigmaOptions extends BetaOptions {
  readonly timestep_spacing: string;
  readonly steps_offset: number;
  readonly use_karras_sigmas?: boolean;
  readonly use_exponential_sigmas?: boolean;
  readonly use_beta_sigmas?: boolean;
  readonly sigma_min?: number | null;
  readonly sigma_max?: number | null;
  readonly interpolation_type?: string;
}

export interface Ladder {
  /** Noise level of each step, without the final one. */
  readonly sigmas: number[];
  readonly timesteps: number[];
  readonly cumprod: Float32Array;
  /** The smallest noise level that the model was trained on. */
  readonly trainedMin: number;
}

/** Noise levels of the sigma-space schedulers (Euler, LMS, Heun, KDPM2): timesteps may be fractions here. */
export function sigmaLadder(name: string, options: SigmaOptions, steps: number): Ladder {
  const train = options.num_train_timesteps;
  const cumprod = alphasCumprod(options);
  // Close to 0 but not 0, so that the first sigma is finite: the smallest half float.
  if (options.rescale_betas_zero_snr === true) cumprod[cumprod.length - 1] = 2 ** -24;
  const table = trainingSigmas(cumprod);
  const logs = table.map(Math.log);
  let timesteps =
    options.timestep_spacing === 'linspace'
      ? linspace(0, train - 1, steps)
          .map(Math.fround)
          .reverse()
      : options.timestep_spacing === 'trailing'
        ? trailing(train, train / steps)
        : spacedTimesteps(options.timestep_spacing, steps, train, options.steps_offset);
  let sigmas = timesteps.map((t) => interpolate(table, t));
  if (options.interpolation_type === 'log_linear') {
    sigmas = linspace(logs.at(-1)!, logs[0]!, steps + 1).map(Math.exp);
  } else if (options.interpolation_type !== undefined && options.interpolation_type !== 'linear') {
    throw new EngineError(
      'unsupported',
      `${name}: interpolation_type "${options.interpolation_type}" is not implemented`,
    );
  }
  const reshaped = reshapeSigmas(
    name,
    options,
    options.sigma_max ?? sigmas[0]!,
    options.sigma_min ?? sigmas.at(-1)!,
    steps,
  );
  if (reshaped !== undefined) {
    sigmas = reshaped;
    timesteps = sigmas.map((sigma) => sigmaToTimestep(sigma, logs));
  }
  return {
    sigmas: sigmas.map(Math.fround),
    timesteps: timesteps.map(Math.fround),
    cumprod,
    trainedMin: table[0]!,
  };
}

/** The noise levels in Karras', exponential or beta shape, where the config asks for one of them. */
export function reshapeSigmas(
  name: string,
  options: { use_karras_sigmas?: boolean; use_exponential_sigmas?: boolean; use_beta_sigmas?: boolean },
  max: number,
  min: number,
  steps: number,
): number[] | undefined {
  const asked = [options.use_karras_sigmas, options.use_exponential_sigmas, options.use_beta_sigmas];
  if (asked.filter(Boolean).length > 1) {
    throw new EngineError(
      'unsupported',
      `${name}: only one of use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas can be set`,
    );
  }
  if (asked[0]) return karrasSigmas(max, min, steps);
  if (asked[1]) return exponentialSigmas(max, min, steps);
  if (asked[2]) return betaSigmas(max, min, steps);
  return undefined;
}

/** x / sqrt(sigma² + 1): the input of a model trained on unit-variance inputs. */
export const scaleBySigma = (x: Float32Array, sigma: number): Float32Array =>
  sum([1 / Math.sqrt(sigma ** 2 + 1), x]);

/** Standard deviation of the start noise for the largest sigma. */
export const startSigma = (spacing: string, max: number): number =>
  spacing === 'leading' ? Math.sqrt(max ** 2 + 1) : max;

/** Signal and noise levels (they square to 1) at a ratio sigma. */
export function levels(sigma: number): { alpha: number; sigma: number } {
  const alpha = 1 / Math.sqrt(sigma ** 2 + 1);
  return { alpha, sigma: sigma * alpha };
}
