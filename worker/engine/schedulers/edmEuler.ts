/** Euler steps with the preconditioning of Karras et al. (2022), table 1, column "Ours" (EDM). */
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { exponentialSigmas, linspace } from './noise.ts';
import { type Plan, sum } from './plan.ts';

const name = 'EDMEulerScheduler';
const defaults = {
  sigma_min: 0.002,
  sigma_max: 80,
  sigma_data: 0.5,
  sigma_schedule: 'karras',
  num_train_timesteps: 1000,
  prediction_type: 'epsilon',
  rho: 7,
  final_sigmas_type: 'zero',
};

export const edmEuler: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const { sigma_min: min, sigma_max: max, sigma_data: data, rho } = options;
    const schedule = oneOf(name, 'sigma_schedule', options.sigma_schedule, ['karras', 'exponential']);
    const sign =
      oneOf(name, 'prediction_type', options.prediction_type, ['epsilon', 'v_prediction']) === 'epsilon'
        ? 1
        : -1;
    const last = oneOf(name, 'final_sigmas_type', options.final_sigmas_type, ['zero', 'sigma_min']);
    const a = max ** (1 / rho);
    const b = min ** (1 / rho);
    const levels =
      schedule === 'exponential'
        ? exponentialSigmas(max, min, steps)
        : linspace(0, 1, steps).map((r) => (a + r * (b - a)) ** rho);
    const sigmas = [...levels, last === 'zero' ? 0 : levels.at(-1)!].map(Math.fround);
    return {
      timesteps: sigmas.slice(0, -1).map((sigma) => Math.fround(0.25 * Math.log(sigma))),
      order: 1,
      initNoiseSigma: Math.sqrt(max ** 2 + 1),
      scaleInput: (x, i) => sum([1 / Math.sqrt(sigmas[i]! ** 2 + data ** 2), x]),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[i]!, noise]),
      sampler: () => (output, x, i) => {
        const sigma = sigmas[i]!;
        const total = sigma ** 2 + data ** 2;
        const x0 = sum([data ** 2 / total, x], [(sign * sigma * data) / Math.sqrt(total), output]);
        const ratio = sigmas[i + 1]! / sigma;
        return { x: sum([ratio, x], [1 - ratio, x0]), x0 };
      },
    };
  },
};
