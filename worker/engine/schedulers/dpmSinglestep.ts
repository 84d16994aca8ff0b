/**
 * DPM-Solver++ in its singlestep form: orders 1, 2, 3 in turn, each starting again from where its group began.
 * Lu et al., "DPM-Solver" (2206.00927), algorithms 1 and 2, and "DPM-Solver++" (2211.01095).
 */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, sigmaShapes, thresholding } from './discreteSchedule.ts';
import { type Plan, sum } from './plan.ts';
import { levelsOf, solverLadder, toClean } from './solverNoiseLevels.ts';

const name = 'DPMSolverSinglestepScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  ...sigmaShapes,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: false,
  use_flow_sigmas: false,
  flow_shift: 1,
  final_sigmas_type: 'zero',
  lambda_min_clipped: Number.NEGATIVE_INFINITY,
};
const refused = { use_dynamic_shifting: false, time_shift_type: 'exponential' };

export const dpmSinglestep: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults, refused);
    const algorithm = oneOf(
      name,
      'algorithm_type',
      options.algorithm_type === 'deis' ? 'dpmsolver++' : options.algorithm_type,
      ['dpmsolver++', 'sde-dpmsolver++', 'dpmsolver'],
    );
    const solver = oneOf(
      name,
      'solver_type',
      ['logrho', 'bh1', 'bh2'].includes(options.solver_type) ? 'midpoint' : options.solver_type,
      ['midpoint', 'heun'],
    );
    const last = oneOf(name, 'final_sigmas_type', options.final_sigmas_type, ['zero', 'sigma_min']);
    const predictsData = algorithm !== 'dpmsolver';
    const stochastic = algorithm === 'sde-dpmsolver++';
    if (!predictsData && last === 'zero') {
      throw new EngineError(
        'unsupported',
        `${name}: final_sigmas_type "zero" does not go with algorithm_type "${algorithm}"; use "sigma_min"`,
      );
    }
    const ladder = solverLadder(name, { ...options, timestep_spacing: 'linspace', steps_offset: 0 }, steps);
    const sigmas = [...ladder.sigmas, last === 'zero' ? 0 : ladder.trainedMin].map(Math.fround);
    const { timesteps } = ladder;
    const { at, lambda } = levelsOf(sigmas, options.use_flow_sigmas);
    const lowerFinal = options.lower_order_final || steps % options.solver_order !== 0 || last === 'zero';
    const orders = orderList(steps, options.solver_order, lowerFinal, last === 'zero');

    /** From the start of the group, `order - 1` levels before i, to level i + 1; `m` newest first. */
    function solve(
      order: number,
      m: readonly Float32Array[],
      x: Float32Array,
      i: number,
      noise?: Float32Array,
    ): Float32Array {
      const start = i - order + 1;
      const { alpha, sigma } = at(i + 1);
      const from = at(start);
      const h = lambda(i + 1) - lambda(start);
      const sign = predictsData ? -1 : 1;
      const z = stochastic ? -2 * h : sign * h;
      const scale = predictsData ? alpha : -sigma;
      const phi1 = sign * Math.expm1(z);
      const keep = predictsData ? (sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1) : alpha / from.alpha;
      const origin = m[order - 1]!;
      const terms: [number, Float32Array][] = [
        [keep, x],
        [scale * phi1, origin],
      ];
      const phi2 = order > 1 ? sign * (Math.expm1(z) / z - 1) : 0;
      if (order === 2) {
        const r = (lambda(i) - lambda(start)) / h;
        terms.push([
          scale * (solver === 'midpoint' ? phi1 / 2 : phi2),
          sum([1 / r, m[0]!], [-1 / r, origin]),
        ]);
      } else if (order === 3) {
        const r0 = (lambda(i) - lambda(start)) / h;
        const r1 = (lambda(i - 1) - lambda(start)) / h;
        const near = sum([1 / r1, m[1]!], [-1 / r1, origin]);
        const far = sum([1 / r0, m[0]!], [-1 / r0, origin]);
        if (solver === 'midpoint') terms.push([scale * phi2, far]);
        else {
          const phi3 = sign * ((Math.expm1(z) - z) / z ** 2 - (stochastic ? -0.5 : 0.5));
          terms.push([scale * phi2, sum([r0 / (r0 - r1), near], [-r1 / (r0 - r1), far])]);
          terms.push([scale * phi3, sum([2 / (r0 - r1), far], [-2 / (r0 - r1), near])]);
        }
      }
      if (noise) terms.push([sigma * Math.sqrt(-Math.expm1(-2 * h)), noise]);
      return sum(...terms);
    }

    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => sum([at(i).alpha, clean], [at(i).sigma, noise]),
      sampler: () => {
        let history: Float32Array[] = [];
        let start: Float32Array | undefined;
        return (output, x, i, draw) => {
          const { alpha, sigma } = at(i);
          const x0 = toClean(name, options, output, x, { alpha, sigma });
          const converted = predictsData ? x0 : sum([1 / sigma, x], [-alpha / sigma, x0]);
          history = [converted, ...history].slice(0, options.solver_order);
          const order = Math.min(orders[i]!, history.length);
          if (order === 1) start = x;
          return { x: solve(order, history, start!, i, stochastic ? draw() : undefined), x0 };
        };
      },
    };
  },
};

/** Orders 1, 2, (3,) 1, 2, (3,) …, with the last step lowered to order 1 where its group would be whole. */
function orderList(steps: number, order: number, lowerFinal: boolean, endsAtZero: boolean): number[] {
  const group = Array.from({ length: order }, (_, k) => k + 1);
  const orders: number[] = Array.from({ length: steps }, (_, k) => group[k % order]!);
  if (lowerFinal && steps % order === 0 && order > 1) {
    // The last group would be whole: its last step has order 1 instead.
    orders[steps - 1] = 1;
  }
  if (endsAtZero) orders[steps - 1] = 1;
  return orders;
}
