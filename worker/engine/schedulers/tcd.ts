/** Zheng et al., "Trajectory Consistency Distillation" (2024), algorithm 4; eta is the paper's gamma. */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { split } from './discreteSchedule.ts';
import { consistencyDefaults, distilledTimesteps } from './lcm.ts';
import { alphasCumprod } from './noise.ts';
import { type Plan, sum } from './plan.ts';

const name = 'TCDScheduler';

export const tcd: SchedulerDefinition = {
  name,
  plan(config, { steps, strength = 1, eta = 0.3 }): Plan {
    const { thresholding, clip_sample, ...defaults } = consistencyDefaults;
    // diffusers' class has both options and clips nothing.
    const options = readConfig(name, config, { ...defaults, thresholding, clip_sample });
    const cumprod = alphasCumprod(options);
    const timesteps = distilledTimesteps(options, steps, strength);
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i, draw) => {
        const next = timesteps[i + 1] ?? 0;
        // Down to s, below the next timestep, along the trajectory; back up to it with fresh noise.
        const below = cumprod[Math.floor((1 - eta) * next)]!;
        const { x0, noise } = split(options.prediction_type, output, x, cumprod[timesteps[i]!]!, name);
        const down = sum([Math.sqrt(below), x0], [Math.sqrt(1 - below), noise]);
        if (eta === 0 || i === timesteps.length - 1) return { x: down, x0 };
        const ratio = cumprod[next]! / below;
        return { x: sum([Math.sqrt(ratio), down], [Math.sqrt(1 - ratio), draw()]), x0 };
      },
    };
  },
};
