/** Zhang & Chen, "Fast Sampling of Diffusion Models with Exponential Integrator" (2022): log-rho multistep DEIS. */
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, sigmaShapes, thresholding } from './discreteSchedule.ts';
import { type Plan, sum } from './plan.ts';
import { levelsOf, solverLadder, toClean } from './solverNoiseLevels.ts';

const name = 'DEISMultistepScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  ...sigmaShapes,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'deis',
  solver_type: 'logrho',
  lower_order_final: true,
  use_flow_sigmas: false,
  flow_shift: 1,
  timestep_spacing: 'linspace',
  steps_offset: 0,
};
const refused = { use_dynamic_shifting: false, time_shift_type: 'exponential' };

export const deis: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults, refused);
    // Values of the other solvers' configs are read as DEIS' only form, as in diffusers.
    oneOf(name, 'algorithm_type', options.algorithm_type, ['deis', 'dpmsolver', 'dpmsolver++']);
    oneOf(name, 'solver_type', options.solver_type, ['logrho', 'midpoint', 'heun', 'bh1', 'bh2']);
    const ladder = solverLadder(name, options, steps);
    const end = ladder.reshaped ? ladder.sigmas.at(-1)! : ladder.trainedMin;
    const sigmas = [...ladder.sigmas, end].map(Math.fround);
    const { timesteps } = ladder;
    const { at, lambda } = levelsOf(sigmas, options.use_flow_sigmas);
    const rho = (i: number): number => at(i).sigma / at(i).alpha;

    function solve(order: number, m: readonly Float32Array[], x: Float32Array, i: number): Float32Array {
      const { alpha, sigma } = at(i + 1);
      if (order === 1)
        return sum([alpha / at(i).alpha, x], [-sigma * Math.expm1(lambda(i + 1) - lambda(i)), m[0]!]);
      const points = Array.from({ length: order }, (_, k) => rho(i - k));
      const weights = points.map((_, k) => integral(points, k, rho(i), rho(i + 1)));
      return sum([alpha / at(i).alpha, x], ...weights.map((w, k) => [alpha * w, m[k]!] as const));
    }

    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => sum([at(i).alpha, clean], [at(i).sigma, noise]),
      sampler: () => {
        let history: Float32Array[] = [];
        return (output, x, i) => {
          const { alpha, sigma } = at(i);
          const x0 = toClean(name, options, output, x, { alpha, sigma });
          history = [sum([1 / sigma, x], [-alpha / sigma, x0]), ...history].slice(0, options.solver_order);
          const short = options.lower_order_final && timesteps.length < 15;
          const fromEnd = timesteps.length - i;
          const order = Math.min(history.length, 3, short ? fromEnd : 3);
          return { x: solve(order, history, x, i), x0 };
        };
      },
    };
  },
};

/** Integral from a to b of the polynomial in ln(rho) that is 1 at point k and 0 at the others (2 or 3 points). */
function integral(points: readonly number[], k: number, a: number, b: number): number {
  const log = points.map(Math.log);
  const [c, d] = log.filter((_, j) => j !== k) as [number, number | undefined];
  const primitive = (t: number): number => {
    const l = Math.log(t);
    return d === undefined ? t * (l - c - 1) : t * (c * (d - l + 1) - d * l + d + l ** 2 - 2 * l + 2);
  };
  const scale = (log[k]! - c) * (d === undefined ? 1 : log[k]! - d);
  return (primitive(b) - primitive(a)) / scale;
}
