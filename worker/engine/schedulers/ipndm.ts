/**
 * Improved pseudo linear multistep, F-PNDM without its Runge-Kutta start: Liu et al. (2202.09778), eq. 9 and 12, over
 * Crowson's angular schedule ("v-diffusion", `sampling.py`, 2022). The network predicts v.
 */
import { EngineError } from '../errors.ts';
import { readConfig, type SchedulerDefinition } from './config.ts';
import { linspace } from './noise.ts';
import { type Plan, sum } from './plan.ts';

const name = 'IPNDMScheduler';
const defaults = { num_train_timesteps: 1000, trained_betas: null as readonly number[] | null };

/** Adams-Bashforth weights by the number of known noises; the newest first. */
const weights = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const;

export const ipndm: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    if (options.trained_betas !== null && options.trained_betas.length !== steps + 1) {
      throw new EngineError(
        'unsupported',
        `${name}: trained_betas has ${options.trained_betas.length} levels, so it runs ${options.trained_betas.length - 1} steps, not ${steps}`,
      );
    }
    const sigmas = (
      options.trained_betas ?? linspace(1, 0, steps + 1).map((t) => Math.sin((t * Math.PI) / 2) ** 2)
    ).map(Math.fround);
    const alphas = sigmas.map((sigma) => Math.fround(Math.sqrt(1 - sigma ** 2)));
    return {
      timesteps: sigmas.slice(0, -1).map((s, i) => Math.fround((Math.atan2(s, alphas[i]!) / Math.PI) * 2)),
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => sum([alphas[i]!, clean], [sigmas[i]!, noise]),
      sampler: () => {
        let noises: Float32Array[] = [];
        return (output, x, i) => {
          const [alpha, sigma] = [alphas[i]!, sigmas[i]!];
          noises = [sum([sigma, x], [alpha, output]), ...noises].slice(0, 4);
          const noise = sum(...noises.map((each, k) => [weights[noises.length - 1]![k]!, each] as const));
          // At the start alpha is 0: bounded, so that the division gives no NaN.
          const signal = Math.max(alpha, 1e-8);
          const clean = sum([1 / signal, x], [-sigma / signal, noise]);
          return {
            x: sum([alphas[i + 1]!, clean], [sigmas[i + 1]!, noise]),
            x0: sum([alpha, x], [-sigma, output]),
          };
        };
      },
    };
  },
};
