/**
 * DDIM run backwards, from a picture to the noise that it would have come from (Song, Meng & Ermon, 2020, 4.3;
 * diffusers' DDIMInverseScheduler). Timesteps ascend, and each step moves to the level of its own timestep.
 */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { linearBetas, split } from './discreteSchedule.ts';
import { alphasCumprod, spacedTimesteps } from './noise.ts';
import { clamp, type Plan, sum } from './plan.ts';

const name = 'DDIMInverseScheduler';
const defaults = {
  ...linearBetas,
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  steps_offset: 0,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  rescale_betas_zero_snr: false,
};

export const ddimInverse: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const train = options.num_train_timesteps;
    const cumprod = alphasCumprod(options);
    const initial = options.set_alpha_to_one ? 1 : cumprod[0]!;
    const timesteps = spacedTimesteps(options.timestep_spacing, steps, train, options.steps_offset).reverse();
    const stride = Math.floor(train / steps);
    const levelBefore = (i: number): number => {
      const t = Math.min(timesteps[i]! - stride, train - 1);
      return t >= 0 ? cumprod[t]! : initial;
    };
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i) => {
        const a = levelBefore(i);
        const next = cumprod[timesteps[i]!]!;
        const parts = split(options.prediction_type, output, x, a, name);
        const x0 = options.clip_sample ? clamp(parts.x0, options.clip_sample_range) : parts.x0;
        return { x: sum([Math.sqrt(next), x0], [Math.sqrt(1 - next), parts.noise]), x0 };
      },
    };
  },
};
