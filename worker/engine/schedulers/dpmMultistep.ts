/**
 * DPM-Solver and DPM-Solver++, multistep: Lu et al., "DPM-Solver" (2206.00927) and "DPM-Solver++" (2211.01095),
 * orders 1 to 3, deterministic and SDE, midpoint and heun forms.
 */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import {
  alphasCumprod,
  interpolate,
  linspace,
  roundHalfEven,
  sigmaToTimestep,
  trailing,
  trainingSigmas,
} from './noise.ts';
import { levels, linearBetas, reshapeSigmas, sigmaShapes, thresholding } from './parts.ts';
import { dynamicThreshold, type Plan, sum } from './plan.ts';

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
    const { sigmas, timesteps } = dpmLadder(options, steps, last);
    const flow = options.use_flow_sigmas;
    const at = (i: number) => (flow ? { alpha: 1 - sigmas[i]!, sigma: sigmas[i]! } : levels(sigmas[i]!));
    /** Half the log of signal over noise power. */
    const lambda = (i: number): number => Math.log(at(i).alpha) - Math.log(at(i).sigma);

    function toClean(output: Float32Array, x: Float32Array, i: number): Float32Array {
      const { alpha, sigma } = at(i);
      let x0: Float32Array;
      if (options.prediction_type === 'epsilon') x0 = sum([1 / alpha, x], [-sigma / alpha, output]);
      else if (options.prediction_type === 'sample') x0 = output;
      else if (options.prediction_type === 'v_prediction') x0 = sum([alpha, x], [-sigma, output]);
      else if (options.prediction_type === 'flow_prediction') x0 = sum([1, x], [-sigma, output]);
      else
        throw new EngineError(
          'unsupported',
          `${name}: prediction_type "${options.prediction_type}" is not implemented`,
        );
      return options.thresholding
        ? dynamicThreshold(x0, options.dynamic_thresholding_ratio, options.sample_max_value)
        : x0;
    }

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
          const x0 = toClean(output, x, i);
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

/** Noise levels (with the final one) and integer timesteps of the DPM-Solver, DEIS and UniPC kind. */
function dpmLadder(options: typeof defaults, steps: number, last: 'zero' | 'sigma_min') {
  const train = options.num_train_timesteps;
  const cumprod = alphasCumprod(options);
  if (options.rescale_betas_zero_snr) cumprod[cumprod.length - 1] = 2 ** -24;
  const table = trainingSigmas(cumprod);
  const logs = table.map(Math.log);
  // Timesteps whose log signal-to-noise lies below the bound are left out.
  const clipped = cumprod.filter(
    (a) => Math.log(Math.sqrt(a)) - Math.log(Math.sqrt(1 - a)) < options.lambda_min_clipped,
  ).length;
  const count = train - clipped;
  let timesteps: number[];
  if (options.timestep_spacing === 'linspace') {
    timesteps = linspace(0, count - 1, steps + 1)
      .map(roundHalfEven)
      .reverse()
      .slice(0, -1);
  } else if (options.timestep_spacing === 'leading') {
    const ratio = Math.floor(count / (steps + 1));
    timesteps = Array.from({ length: steps + 1 }, (_, i) => i * ratio + options.steps_offset)
      .reverse()
      .slice(0, -1);
  } else if (options.timestep_spacing === 'trailing') timesteps = trailing(count, train / steps);
  else
    throw new EngineError(
      'unsupported',
      `${name}: timestep_spacing "${options.timestep_spacing}" is not implemented`,
    );

  let sigmas = timesteps.map((t) => interpolate(table, t));
  const reshaped = reshapeSigmas(name, options, table.at(-1)!, table[0]!, steps);
  const round = options.beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven;
  if (reshaped) {
    sigmas = reshaped;
    timesteps = sigmas.map((s) => (options.use_karras_sigmas ? round : Math.trunc)(sigmaToTimestep(s, logs)));
  } else if (options.use_lu_lambdas) {
    // Lu et al. (2206.00927), 3.4: uniform in half the log signal-to-noise ratio.
    sigmas = linspace(logs.at(-1)!, logs[0]!, steps).map(Math.exp);
    timesteps = sigmas.map((s) => round(sigmaToTimestep(s, logs)));
  } else if (options.use_flow_sigmas) {
    const shift = options.flow_shift;
    const plain = linspace(1, 1 / train, steps + 1).map((a) => 1 - a);
    sigmas = plain
      .map((s) => (shift * s) / (1 + (shift - 1) * s))
      .reverse()
      .slice(0, -1);
    timesteps = sigmas.map((s) => Math.trunc(s * train));
  }
  const final = last === 'zero' ? 0 : table[0]!;
  return { sigmas: [...sigmas, final].map(Math.fround), timesteps };
}
