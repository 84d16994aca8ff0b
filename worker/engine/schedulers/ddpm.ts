/**
 * Ho, Jain & Abbeel, "Denoising Diffusion Probabilistic Models" (2020), eq. 6 and 7; learned variances as in
 * Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021), eq. 15.
 */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { linearBetas, split, thresholding } from './discreteSchedule.ts';
import { alphasCumprod, spacedTimesteps } from './noise.ts';
import { clamp, dynamicThreshold, type Plan, sum } from './plan.ts';

const name = 'DDPMScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  variance_type: 'fixed_small',
  clip_sample: true,
  clip_sample_range: 1,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

export const ddpm: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const variance = oneOf(name, 'variance_type', options.variance_type, [
      'fixed_small',
      'fixed_small_log',
      'fixed_large',
      'learned',
      'learned_range',
    ]);
    const learns = variance.startsWith('learned');
    const cumprod = alphasCumprod(options);
    const timesteps = spacedTimesteps(
      options.timestep_spacing,
      steps,
      options.num_train_timesteps,
      options.steps_offset,
    );
    /** The standard deviation for each value. */
    const spreadsOf = (
      predicted: Float32Array | undefined,
      small: number,
      large: number,
      size: number,
    ): Float32Array => {
      if (predicted?.length !== size) throw noVariance(name, variance);
      return variance === 'learned' ? predicted.map(Math.sqrt) : learnedRange(predicted, small, large);
    };
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i, draw, predicted) => {
        const t = timesteps[i]!;
        const a = cumprod[t]!;
        const next = i + 1 < timesteps.length ? cumprod[timesteps[i + 1]!]! : 1;
        // These are small differences of numbers near 1: float32, as in PyTorch, changes them visibly.
        const alpha = Math.fround(a / next);
        const beta = Math.fround(1 - alpha);
        const noiseNow = Math.fround(1 - a);
        const noiseNext = Math.fround(1 - next);
        let { x0 } = split(options.prediction_type, output, x, a, name);
        if (options.thresholding)
          x0 = dynamicThreshold(x0, options.dynamic_thresholding_ratio, options.sample_max_value);
        else if (options.clip_sample) x0 = clamp(x0, options.clip_sample_range);
        // Eq. 7: the mean of q(x_{t-1} | x_t, x_0).
        const mean = sum(
          [(Math.sqrt(next) * beta) / noiseNow, x0],
          [(Math.sqrt(alpha) * noiseNext) / noiseNow, x],
        );
        if (t === 0) return { x: mean, x0 };
        const small = Math.max((noiseNext / noiseNow) * beta, 1e-20);
        if (learns) return { x: addLearned(mean, draw(), spreadsOf(predicted, small, beta, x.length)), x0 };
        return { x: sum([1, mean], [Math.sqrt(variance === 'fixed_large' ? beta : small), draw()]), x0 };
      },
    };
  },
};

/** Standard deviations: the network's -1..1 interpolates between the smallest and the largest log variance. */
export function learnedRange(predicted: Float32Array, small: number, large: number): Float32Array {
  const low = Math.log(small);
  const high = Math.log(large);
  return predicted.map((value) => {
    const share = (value + 1) / 2;
    return Math.exp(0.5 * (share * high + (1 - share) * low));
  });
}

/** mean + spread · noise, value by value. */
export const addLearned = (mean: Float32Array, noise: Float32Array, spread: Float32Array): Float32Array =>
  mean.map((value, k) => value + spread[k]! * noise[k]!);

/** The error for a network without the learned variance that a scheduler needs. */
export const noVariance = (name: string, type: string): EngineError =>
  new EngineError(
    'unsupported',
    `${name}: variance_type "${type}" needs a network that gives a variance for every value, and this one gives none`,
  );
