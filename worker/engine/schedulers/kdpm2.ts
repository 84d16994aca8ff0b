/** A midpoint method inspired by DPM-Solver-2 and Karras' algorithm 2: k-diffusion's `sample_dpm_2` (2022). */
import { readConfig, type SchedulerDefinition } from './config.ts';
import {
  denoise,
  linearBetas,
  type SigmaOptions,
  scaleBySigma,
  sigmaLadder,
  sigmaShapes,
  startSigma,
} from './discreteSchedule.ts';
import { roundHalfEven, sigmaToTimestep, trainingSigmas } from './noise.ts';
import { type Plan, sum } from './plan.ts';

const name = 'KDPM2DiscreteScheduler';
export const kdpm2Defaults = {
  ...linearBetas,
  ...sigmaShapes,
  beta_start: 0.00085,
  beta_end: 0.012,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

export const kdpm2: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, kdpm2Defaults);
    const { sigmas, timesteps, toTimestep } = kdpm2Ladder(name, options, steps);
    const middles = sigmas.slice(0, -1).map((sigma, k) => Math.fround(Math.sqrt(sigma * sigmas[k + 1]!)));
    const isFirst = (i: number): boolean => i % 2 === 0;
    const levelAt = (i: number): number => (isFirst(i) ? sigmas[i / 2]! : middles[(i - 1) / 2]!);
    return {
      timesteps: timesteps.flatMap((t, k) =>
        k === timesteps.length - 1 ? [t] : [t, toTimestep(middles[k]!)],
      ),
      order: 2,
      initNoiseSigma: startSigma(options.timestep_spacing, Math.max(...sigmas)),
      scaleInput: (x, i) => scaleBySigma(x, levelAt(i)),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[Math.ceil(i / 2)]!, noise]),
      sampler: () => {
        let start: Float32Array | undefined;
        return (output, x, i) => {
          const k = Math.floor(i / 2);
          const level = levelAt(i);
          const x0 = denoise(options.prediction_type, output, x, level, name);
          const slope = sum([1 / level, x], [-1 / level, x0]);
          if (isFirst(i) || start === undefined) {
            start = x;
            return { x: sum([1, x], [middles[k]! - sigmas[k]!, slope]), x0 };
          }
          return { x: sum([1, start], [sigmas[k + 1]! - sigmas[k]!, slope]), x0 };
        };
      },
    };
  },
};

/** Noise levels with the final zero, timesteps, and the timestep for a level between two of them. */
export function kdpm2Ladder(scheduler: string, options: SigmaOptions, steps: number) {
  const ladder = sigmaLadder(scheduler, options, steps);
  const logs = trainingSigmas(ladder.cumprod).map(Math.log);
  return {
    sigmas: [...ladder.sigmas, 0],
    timesteps: options.use_karras_sigmas === true ? ladder.timesteps.map(roundHalfEven) : ladder.timesteps,
    toTimestep: (sigma: number): number => sigmaToTimestep(sigma, logs),
  };
}
