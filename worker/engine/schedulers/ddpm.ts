/** Ho, Jain & Abbeel, "Denoising Diffusion Probabilistic Models" (2020), eq. 6 and 7. */
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { alphasCumprod, spacedTimesteps } from './noise.ts';
import { linearBetas, split, thresholding } from './parts.ts';
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
    ]);
    const cumprod = alphasCumprod(options);
    const timesteps = spacedTimesteps(
      options.timestep_spacing,
      steps,
      options.num_train_timesteps,
      options.steps_offset,
    );
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i, draw) => {
        const t = timesteps[i]!;
        const a = cumprod[t]!;
        const next = i + 1 < timesteps.length ? cumprod[timesteps[i + 1]!]! : 1;
        // These differences are small ones of numbers near 1: float32, as in PyTorch, changes them visibly.
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
        return { x: sum([1, mean], [Math.sqrt(variance === 'fixed_large' ? beta : small), draw()]), x0 };
      },
    };
  },
};
