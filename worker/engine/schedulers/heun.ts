/** Heun's second-order method: Karras et al. (2022), algorithm 1. Two model calls a step. */
import { readConfig, type SchedulerDefinition } from './config.ts';
import {
  denoise,
  linearBetas,
  scaleBySigma,
  sigmaLadder,
  sigmaShapes,
  startSigma,
} from './discreteSchedule.ts';
import { clamp, type Plan, sum } from './plan.ts';

const name = 'HeunDiscreteScheduler';
const defaults = {
  ...linearBetas,
  ...sigmaShapes,
  beta_start: 0.00085,
  beta_end: 0.012,
  prediction_type: 'epsilon',
  clip_sample: false,
  clip_sample_range: 1,
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

export const heun: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const ladder = sigmaLadder(name, options, steps);
    const twice = (values: readonly number[]): number[] => [
      values[0]!,
      ...values.slice(1).flatMap((v) => [v, v]),
    ];
    const sigmas = [...twice(ladder.sigmas), 0];
    return {
      timesteps: twice(ladder.timesteps),
      order: 2,
      initNoiseSigma: startSigma(options.timestep_spacing, Math.max(...sigmas)),
      scaleInput: (x, i) => scaleBySigma(x, sigmas[i]!),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[i]!, noise]),
      sampler: () => {
        let first:
          | { readonly x: Float32Array; readonly slope: Float32Array; readonly dt: number }
          | undefined;
        return (output, x, i) => {
          const sigma = sigmas[i]!;
          let x0 = denoise(options.prediction_type, output, x, sigma, name);
          if (options.clip_sample) x0 = clamp(x0, options.clip_sample_range);
          const slope = sum([1 / sigma, x], [-1 / sigma, x0]);
          if (first === undefined) {
            const dt = sigmas[i + 1]! - sigma;
            first = { x, slope, dt };
            return { x: sum([1, x], [dt, slope]), x0 };
          }
          const { x: from, slope: before, dt } = first;
          first = undefined;
          return { x: sum([1, from], [dt / 2, before], [dt / 2, slope]), x0 };
        };
      },
    };
  },
};
