/** Song, Meng & Ermon, "Denoising Diffusion Implicit Models" (2020), eq. 12 and 16. */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, split, thresholding } from './discreteSchedule.ts';
import { alphasCumprod, spacedTimesteps } from './noise.ts';
import { clamp, dynamicThreshold, type Plan, sum } from './plan.ts';

const name = 'DDIMScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  steps_offset: 0,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  rescale_betas_zero_snr: false,
};

export const ddim: SchedulerDefinition = {
  name,
  plan(config, { steps, eta = 0 }): Plan {
    const options = readConfig(name, config, defaults);
    const train = options.num_train_timesteps;
    const cumprod = alphasCumprod(options);
    const final = options.set_alpha_to_one ? 1 : cumprod[0]!;
    const timesteps = spacedTimesteps(options.timestep_spacing, steps, train, options.steps_offset);
    const stride = Math.floor(train / steps);
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i, draw) => {
        const t = timesteps[i]!;
        const a = cumprod[t]!;
        const next = t - stride >= 0 ? cumprod[t - stride]! : final;
        const parts = split(options.prediction_type, output, x, a, name);
        let x0 = parts.x0;
        if (options.thresholding) {
          x0 = dynamicThreshold(x0, options.dynamic_thresholding_ratio, options.sample_max_value);
        } else if (options.clip_sample) x0 = clamp(x0, options.clip_sample_range);
        const deviation = eta * Math.sqrt(((1 - next) / (1 - a)) * (1 - a / next));
        const direction = Math.sqrt(1 - next - deviation ** 2);
        const mean = sum([Math.sqrt(next), x0], [direction, parts.noise]);
        return { x: eta > 0 ? sum([1, mean], [deviation, draw()]) : mean, x0 };
      },
    };
  },
};

/** sqrt(a)·x0 + sqrt(1 - a)·noise, the forward process at a training timestep. */
export function addNoiseAt(
  cumprod: Float32Array,
  clean: Float32Array,
  noise: Float32Array,
  t: number,
): Float32Array {
  const a = cumprod[t]!;
  return sum([Math.sqrt(a), clean], [Math.sqrt(1 - a), noise]);
}
