/** Linear multistep of order 4 over the sigmas: Katherine Crowson's k-diffusion, `sample_lms` (2022). */
import { readConfig, type SchedulerDefinition } from './config.ts';
import {
  denoise,
  linearBetas,
  scaleBySigma,
  sigmaLadder,
  sigmaShapes,
  startSigma,
} from './discreteSchedule.ts';
import { type Plan, sum } from './plan.ts';

const name = 'LMSDiscreteScheduler';
const defaults = {
  ...linearBetas,
  ...sigmaShapes,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
};
const maxOrder = 4;

export const lms: SchedulerDefinition = {
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
      sampler: () => {
        let slopes: Float32Array[] = [];
        return (output, x, i) => {
          const sigma = sigmas[i]!;
          const x0 = denoise(options.prediction_type, output, x, sigma, name);
          slopes = [sum([1 / sigma, x], [-1 / sigma, x0]), ...slopes].slice(0, maxOrder);
          // A run that starts in the middle has fewer slopes than the polynomial has points; missing ones count as 0.
          const order = Math.min(i + 1, maxOrder);
          const terms = slopes
            .slice(0, order)
            .map((slope, k) => [coefficient(sigmas, i, order, k), slope] as const);
          return { x: sum([1, x], ...terms), x0 };
        };
      },
    };
  },
};

/** Integral over the step of the Lagrange polynomial that is 1 at sigma[i - k]; exact by Gauss-Legendre. */
function coefficient(sigmas: readonly number[], i: number, order: number, k: number): number {
  const from = sigmas[i]!;
  const to = sigmas[i + 1]!;
  const lagrange = (at: number): number => {
    let product = 1;
    for (let j = 0; j < order; j++) {
      if (j !== k) product *= (at - sigmas[i - j]!) / (sigmas[i - k]! - sigmas[i - j]!);
    }
    return product;
  };
  // Two nodes integrate polynomials up to degree 3 exactly, which is what order 4 needs.
  const middle = (from + to) / 2;
  const half = (to - from) / 2;
  const node = half / Math.sqrt(3);
  return half * (lagrange(middle - node) + lagrange(middle + node));
}
