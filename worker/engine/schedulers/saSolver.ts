/**
 * SA-Solver: Xue et al. (2309.05019), algorithm 1, a stochastic Adams predictor and corrector of orders 1 to 4 over
 * the log signal-to-noise ratio, for data or noise prediction.
 */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, sigmaShapes, thresholding } from './discreteSchedule.ts';
import { type Plan, sum } from './plan.ts';
import { levelsOf, solverLadder, toClean } from './solverNoiseLevels.ts';

const name = 'SASolverScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  ...sigmaShapes,
  predictor_order: 2,
  corrector_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'data_prediction',
  lower_order_final: true,
  use_flow_sigmas: false,
  flow_shift: 1,
  lambda_min_clipped: Number.NEGATIVE_INFINITY,
  timestep_spacing: 'linspace',
  steps_offset: 0,
};
const refused = { tau_func: null, variance_type: null };

/** The share of noise that is renewed at a timestep: diffusers' default, 1 in the middle and 0 at the ends. */
const tau = (timestep: number): number => (timestep >= 200 && timestep <= 800 ? 1 : 0);

interface Last {
  readonly x: Float32Array;
  readonly noise: Float32Array;
  readonly tau: number;
}

export const saSolver: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults, refused);
    const form = oneOf(name, 'algorithm_type', options.algorithm_type, [
      'data_prediction',
      'noise_prediction',
    ]);
    for (const key of ['predictor_order', 'corrector_order'] as const) {
      if (![1, 2, 3, 4].includes(options[key]))
        throw new EngineError(
          'unsupported',
          `${name}: ${key} ${options[key]} is not implemented (1 to 4 are)`,
        );
    }
    const predictsData = form === 'data_prediction';
    const ladder = solverLadder(name, options, steps);
    const end = ladder.reshaped ? ladder.sigmas.at(-1)! : ladder.trainedMin;
    const sigmas = [...ladder.sigmas, end].map(Math.fround);
    const { timesteps } = ladder;
    const { at, lambda } = levelsOf(sigmas, options.use_flow_sigmas);

    /**
     * Eq. 14 and 17: from level i to i + 1 over the polynomial through the outputs at `first`, first - 1, …
     * @param m as many outputs as the order, newest first
     */
    function adams(m: readonly Float32Array[], first: number, from: Last, i: number): Float32Array {
      const { alpha, sigma } = at(i + 1);
      const target = lambda(i + 1);
      const h = target - lambda(i);
      const rate = 1 + from.tau ** 2;
      // Relative to the target, so that no exponential is larger than 1 and none cancels another.
      const points = m.map((_, k) => lambda(first - k) - target);
      const weights = lagrangeIntegrals(points, predictsData ? rate : -1, h);
      if (predictsData && m.length === 2) {
        // As in UniPC: a third-order term that improves runs of few steps.
        const bend = h ** 2 / 2 - (h * rate - 1 + Math.exp(-rate * h)) / rate ** 2;
        const shift = bend / (points[0]! - points[1]!);
        weights[0]! += shift;
        weights[1]! -= shift;
      }
      const scale = predictsData ? rate * alpha : -rate * sigma;
      const keep = predictsData
        ? (Math.exp(-(from.tau ** 2) * h) * sigma) / at(i).sigma
        : alpha / at(i).alpha;
      const spread = predictsData
        ? sigma * Math.sqrt(-Math.expm1(-2 * from.tau ** 2 * h))
        : from.tau * sigma * Math.sqrt(Math.expm1(2 * h));
      return sum([keep, from.x], ...m.map((output, k) => [scale * weights[k]!, output] as const), [
        spread,
        from.noise,
      ]);
    }

    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => sum([at(i).alpha, clean], [at(i).sigma, noise]),
      sampler: () => {
        let history: Float32Array[] = [];
        let last: Last | undefined;
        return (output, x, i, draw) => {
          const { alpha, sigma } = at(i);
          const x0 = toClean(name, options, output, x, { alpha, sigma });
          const converted = predictsData ? x0 : sum([1 / sigma, x], [-alpha / sigma, x0]);
          history = [converted, ...history].slice(
            0,
            Math.max(options.predictor_order, options.corrector_order),
          );
          const left = options.lower_order_final ? timesteps.length - i : Number.POSITIVE_INFINITY;
          const corrected =
            last === undefined
              ? x
              : adams(history.slice(0, Math.min(options.corrector_order, left + 2)), i, last, i - 1);
          last = { x: corrected, noise: draw(), tau: tau(timesteps[i]!) };
          const order = Math.min(options.predictor_order, left);
          return { x: adams(history.slice(0, order), i, last, i), x0 };
        };
      },
    };
  },
};

/** ∫ over u from -h to 0 of e^(rate·u) times each polynomial that is 1 at its own point and 0 at the others. */
function lagrangeIntegrals(points: readonly number[], rate: number, h: number): number[] {
  const moments: number[] = [];
  for (let k = 0; k < points.length; k++) {
    // Integration by parts: u^k e^(ru) / r at both ends, less k / r times the moment before.
    const ends = k === 0 ? -Math.expm1(-rate * h) : -((-h) ** k) * Math.exp(-rate * h);
    moments.push((ends - k * (moments[k - 1] ?? 0)) / rate);
  }
  return points.map((own, k) => {
    let polynomial = [1];
    points.forEach((root, j) => {
      if (j === k) return;
      const next = new Array<number>(polynomial.length + 1).fill(0);
      polynomial.forEach((c, power) => {
        next[power + 1]! += c / (own - root);
        next[power]! -= (c * root) / (own - root);
      });
      polynomial = next;
    });
    return polynomial.reduce((total, c, power) => total + c * moments[power]!, 0);
  });
}
