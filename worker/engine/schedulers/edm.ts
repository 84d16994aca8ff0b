/** The preconditioning of Karras et al. (2022), table 1, column "Ours" (EDM), which the EDM schedulers share. */
import { oneOf } from './config.ts';
import { exponentialSigmas, karrasSigmas } from './noise.ts';
import { type Plan, sum } from './plan.ts';

export const edmDefaults = {
  sigma_min: 0.002,
  sigma_max: 80,
  sigma_data: 0.5,
  sigma_schedule: 'karras',
  num_train_timesteps: 1000,
  prediction_type: 'epsilon',
  rho: 7,
  final_sigmas_type: 'zero',
};

export interface Edm {
  /** Noise levels, one a step, without the final one. */
  readonly levels: number[];
  /** Which level comes last: 0, or the smallest. */
  readonly last: 'zero' | 'sigma_min';
  /** The parts that all EDM plans share, at levels rounded to float32. */
  plan(sigmas: readonly number[]): Omit<Plan, 'sampler'>;
  /** Clean latent from the network's output at noise level sigma: c_skip · x + c_out · output. */
  denoise(output: Float32Array, x: Float32Array, sigma: number): Float32Array;
}

/** @param steps number of noise levels. @throws EngineError('unsupported') naming the option that is not implemented */
export function edm(name: string, options: typeof edmDefaults, steps: number): Edm {
  const { sigma_min: min, sigma_max: max, sigma_data: data, rho } = options;
  const schedule = oneOf(name, 'sigma_schedule', options.sigma_schedule, ['karras', 'exponential']);
  const sign =
    oneOf(name, 'prediction_type', options.prediction_type, ['epsilon', 'v_prediction']) === 'epsilon'
      ? 1
      : -1;
  return {
    levels:
      schedule === 'exponential' ? exponentialSigmas(max, min, steps) : karrasSigmas(max, min, steps, rho),
    last: oneOf(name, 'final_sigmas_type', options.final_sigmas_type, ['zero', 'sigma_min']),
    plan: (sigmas) => ({
      timesteps: sigmas.slice(0, steps).map((sigma) => Math.fround(0.25 * Math.log(sigma))),
      order: 1,
      initNoiseSigma: Math.sqrt(max ** 2 + 1),
      scaleInput: (x, i) => sum([1 / Math.sqrt(sigmas[i]! ** 2 + data ** 2), x]),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[i]!, noise]),
    }),
    denoise: (output, x, sigma) => {
      const total = sigma ** 2 + data ** 2;
      return sum([data ** 2 / total, x], [(sign * sigma * data) / Math.sqrt(total), output]);
    },
  };
}
