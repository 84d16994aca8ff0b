/** Latent Consistency Models' multistep sampling: Luo et al. (2023), algorithm 3. */
import { badRequest } from '../errors.ts';
import { readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { linearBetas, split, thresholding } from './discreteSchedule.ts';
import { alphasCumprod } from './noise.ts';
import { clamp, dynamicThreshold, type Plan, sum } from './plan.ts';

const name = 'LCMScheduler';
export const consistencyDefaults = {
  ...linearBetas,
  ...thresholding,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  original_inference_steps: 50,
  clip_sample: false,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  // LCM configs hold both and neither is used: the timesteps come from the training schedule below.
  steps_offset: 0,
  timestep_spacing: 'leading',
  prediction_type: 'epsilon',
  timestep_scaling: 10,
  rescale_betas_zero_snr: false,
};
const dataDeviation = 0.5;

export const lcm: SchedulerDefinition = {
  name,
  plan(config, { steps, strength = 1 }): Plan {
    const options = readConfig(name, config, consistencyDefaults);
    const cumprod = alphasCumprod(options);
    const timesteps = distilledTimesteps(options, steps, strength);
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i, draw) => {
        const t = timesteps[i]!;
        let { x0 } = split(options.prediction_type, output, x, cumprod[t]!, name);
        if (options.thresholding)
          x0 = dynamicThreshold(x0, options.dynamic_thresholding_ratio, options.sample_max_value);
        else if (options.clip_sample) x0 = clamp(x0, options.clip_sample_range);
        // Boundary condition of a consistency function: at t = 0 it is the identity.
        const scaled = t * options.timestep_scaling;
        const spread = scaled ** 2 + dataDeviation ** 2;
        const denoised = sum([scaled / Math.sqrt(spread), x0], [dataDeviation ** 2 / spread, x]);
        if (i === timesteps.length - 1) return { x: denoised, x0: denoised };
        return { x: addNoiseAt(cumprod, denoised, draw(), timesteps[i + 1]!), x0: denoised };
      },
    };
  },
};

/** Evenly chosen from the timesteps that the model was distilled on, the noisiest first. */
export function distilledTimesteps(
  options: { readonly num_train_timesteps: number; readonly original_inference_steps: number },
  steps: number,
  strength: number,
): number[] {
  const original = options.original_inference_steps;
  const stride = Math.floor(options.num_train_timesteps / original);
  const count = Math.trunc(original * strength);
  if (count < steps)
    throw badRequest(
      `this model was distilled to ${count} steps at strength ${strength}; ${steps} are too many`,
    );
  const trained = Array.from({ length: count }, (_, k) => (k + 1) * stride - 1).reverse();
  return Array.from({ length: steps }, (_, k) => trained[Math.floor((k * count) / steps)]!);
}
