/**
 * DPM-Solver and DPM-Solver++, multistep: Lu et al., "DPM-Solver" (2206.00927) and "DPM-Solver++" (2211.01095),
 * orders 1 to 3, deterministic and SDE, midpoint and heun forms.
 */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, sigmaShapes, thresholding } from './parts.ts';
import { type Plan, sum } from './plan.ts';
import { levelsOf, solverLadder, toClean } from './solverLadder.ts';

const name = 'DPMSolverMultistepScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  ...sigmaShapes,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
  use_lu_lambdas: false,
  use_flow_sigmas: false,
  flow_shift: 1,
  final_sigmas_type: 'zero',
  lambda_min_clipped: Number.NEGATIVE_INFINITY,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};
const refused = { variance_type: null, use_dynamic_shifting: false, time_shift_type: 'exponential' };

export const dpmMultistep: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults, refused);
    // Configs written for DEIS and UniPC carry words of theirs; diffusers reads them as the defaults.
    const algorithm = oneOf(
      name,
      'algorithm_type',
      options.algorithm_type === 'deis' ? 'dpmsolver++' : options.algorithm_type,
      ['dpmsolver++', 'sde-dpmsolver++', 'dpmsolver', 'sde-dpmsolver'],
    );
    const solver = oneOf(
      name,
      'solver_type',
      ['logrho', 'bh1', 'bh2'].includes(options.solver_type) ? 'midpoint' : options.solver_type,
      ['midpoint', 'heun'],
    );
    const last = oneOf(name, 'final_sigmas_type', options.final_sigmas_type, ['zero', 'sigma_min']);
    const predictsData = algorithm.endsWith('++');
    const stochastic = algorithm.startsWith('sde');
    if (!predictsData && last === 'zero') {
      throw new EngineError(
        'unsupported',
        `${name}: final_sigmas_type "zero" does not go with algorithm_type "${algorithm}"; use "sigma_min"`,
      );
    }
    if (algorithm === 'sde-dpmsolver' && options.solver_order > 2) {
      throw new EngineError(
        'unsupported',
        `${name}: algorithm_type "sde-dpmsolver" has no solver_order ${options.solver_order}`,
      );
    }
    const ladder = solverLadder(name, options, steps);
    const sigmas = [...ladder.sigmas, last === 'zero' ? 0 : ladder.trainedMin].map(Math.fround);
    const { timesteps } = ladder;
    const { at, lambda } = levelsOf(sigmas, options.use_flow_sigmas);

    /** One step of order 1, 2 or 3 from level i to i + 1; `m` are the converted outputs, newest first. */
    function solve(
      order: number,
      m: readonly Float32Array[],
      x: Float32Array,
      i: number,
      noise?: Float32Array,
    ) {
      const { alpha, sigma } = at(i + 1);
      const from = at(i);
      const h = lambda(i + 1) - lambda(i);
      // The exponential integrals of order 0, 1, 2 over the step, for data or noise prediction, ODE or SDE.
      const sign = predictsData ? -1 : 1;
      const z = stochastic && predictsData ? 2 * sign * h : sign * h;
      const scale = predictsData ? alpha : -sigma * (stochastic ? 2 : 1);
      const phi1 = sign * Math.expm1(z);
      const keep = predictsData ? (sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1) : alpha / from.alpha;
      const terms: [number, Float32Array][] = [
        [keep, x],
        [scale * phi1, m[0]!],
      ];
      if (order >= 2) {
        const phi2 = sign * (Math.expm1(z) / z - 1);
        const r0 = (lambda(i) - lambda(i - 1)) / h;
        const d1 = sum([1 / r0, m[0]!], [-1 / r0, m[1]!]);
        if (order === 2) terms.push([scale * (solver === 'midpoint' ? phi1 / 2 : phi2), d1]);
        else {
          const r1 = (lambda(i - 1) - lambda(i - 2)) / h;
          const d1b = sum([1 / r1, m[1]!], [-1 / r1, m[2]!]);
          const slope = sum([1 + r0 / (r0 + r1), d1], [-r0 / (r0 + r1), d1b]);
          const bend = sum([1 / (r0 + r1), d1], [-1 / (r0 + r1), d1b]);
          // diffusers keeps the half's sign in the SDE form; its numbers are the ones people know.
          const half = stochastic ? -0.5 : 0.5;
          const phi3 = sign * ((Math.expm1(z) - z) / z ** 2 - half);
          terms.push([scale * phi2, slope], [scale * phi3, bend]);
        }
      }
      if (noise) {
        terms.push([sigma * Math.sqrt(predictsData ? -Math.expm1(-2 * h) : Math.expm1(2 * h)), noise]);
      }
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
        return (output, x, i, draw) => {
          const x0 = toClean(name, options, output, x, at(i));
          const { alpha, sigma } = at(i);
          const converted = predictsData ? x0 : sum([1 / sigma, x], [-alpha / sigma, x0]);
          history = [converted, ...history].slice(0, options.solver_order);
          const short = options.lower_order_final && timesteps.length < 15;
          const isLast = i === timesteps.length - 1 && (options.euler_at_final || short || last === 'zero');
          const isSecondLast = i === timesteps.length - 2 && short;
          const order = isLast ? 1 : Math.min(history.length, isSecondLast ? 2 : 3);
          return { x: solve(order, history, x, i, stochastic ? draw() : undefined), x0 };
        };
      },
    };
  },
};
