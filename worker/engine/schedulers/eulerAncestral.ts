/** Euler steps with fresh noise at each: k-diffusion's ancestral sampler (Katherine Crowson, 2022). */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { denoise, linearBetas, scaleBySigma, sigmaLadder, startSigma } from './discreteSchedule.ts';
import { type Plan, sum } from './plan.ts';

const name = 'EulerAncestralDiscreteScheduler';
const defaults = {
  ...linearBetas,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

export const eulerAncestral: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const ladder = sigmaLadder(name, options, steps);
    const sigmas = [...ladder.sigmas, 0];
    return {
      timesteps: ladder.timesteps,
      order: 1,
      initNoiseSigma: startSigma(options.timestep_spacing, Math.max(...sigmas)),
      scaleInput: (x, i) => scaleBySigma(x, sigmas[i]!),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[i]!, noise]),
      sampler: () => (output, x, i, draw) => {
        const from = sigmas[i]!;
        const to = sigmas[i + 1]!;
        const x0 = denoise(options.prediction_type, output, x, from, name);
        const { down, up } = ancestral(from, to);
        return { x: sum([down / from, x], [1 - down / from, x0], [up, draw()]), x0 };
      },
    };
  },
};

/** How far down to step and how much noise to add, so that the result has the noise level `to` in distribution. */
export function ancestral(from: number, to: number): { down: number; up: number } {
  const up = Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2);
  return { up, down: Math.sqrt(to ** 2 - up ** 2) };
}
