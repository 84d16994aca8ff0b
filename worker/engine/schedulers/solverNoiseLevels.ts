/** Noise levels and integer timesteps of the exponential integrators: DPM-Solver, DEIS, UniPC. */
import { EngineError } from '../errors.ts';
import { levels, reshapeSigmas, type SigmaOptions } from './discreteSchedule.ts';
import {
  alphasCumprod,
  interpolate,
  linspace,
  roundHalfEven,
  sigmaToTimestep,
  trailing,
  trainingSigmas,
} from './noise.ts';
import { dynamicThreshold, sum } from './plan.ts';

export interface SolverOptions extends SigmaOptions {
  readonly prediction_type: string;
  readonly thresholding: boolean;
  readonly dynamic_thresholding_ratio: number;
  readonly sample_max_value: number;
  readonly use_flow_sigmas: boolean;
  readonly flow_shift: number;
  readonly use_lu_lambdas?: boolean;
  readonly lambda_min_clipped?: number;
}

export interface SolverLadder {
  /** Noise level of each step, without the final one. */
  readonly sigmas: number[];
  readonly timesteps: number[];
  readonly trainedMin: number;
  /** Whether the levels have a shape that the config asks for (Karras, exponential, beta, flow). */
  readonly reshaped: boolean;
}

/** Noise levels and timesteps for `steps` steps. @throws EngineError naming an option that is not implemented */
export function solverLadder(name: string, options: SolverOptions, steps: number): SolverLadder {
  const train = options.num_train_timesteps;
  const cumprod = alphasCumprod(options);
  if (options.rescale_betas_zero_snr === true) cumprod[cumprod.length - 1] = 2 ** -24;
  const table = trainingSigmas(cumprod);
  const logs = table.map(Math.log);
  const trainedMin = table[0]!;
  // Timesteps whose log signal-to-noise lies below the bound are left out.
  const bound = options.lambda_min_clipped ?? Number.NEGATIVE_INFINITY;
  const count =
    train - cumprod.filter((a) => Math.log(Math.sqrt(a)) - Math.log(Math.sqrt(1 - a)) < bound).length;

  const shaped = reshapeSigmas(name, options, table.at(-1)!, trainedMin, steps);
  const round = options.beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven;
  if (shaped) {
    const toInteger = options.use_karras_sigmas === true ? round : Math.trunc;
    return {
      sigmas: shaped,
      timesteps: shaped.map((s) => toInteger(sigmaToTimestep(s, logs))),
      trainedMin,
      reshaped: true,
    };
  }
  if (options.use_lu_lambdas === true) {
    // Lu et al. (2206.00927), 3.4: uniform in half the log signal-to-noise ratio.
    const sigmas = linspace(logs.at(-1)!, logs[0]!, steps).map(Math.exp);
    return {
      sigmas,
      timesteps: sigmas.map((s) => round(sigmaToTimestep(s, logs))),
      trainedMin,
      reshaped: true,
    };
  }
  if (options.use_flow_sigmas) {
    const shift = options.flow_shift;
    const plain = linspace(1, 1 / train, steps + 1).map((a) => 1 - a);
    const sigmas = plain
      .map((s) => (shift * s) / (1 + (shift - 1) * s))
      .reverse()
      .slice(0, -1);
    return { sigmas, timesteps: sigmas.map((s) => Math.trunc(s * train)), trainedMin, reshaped: true };
  }
  const timesteps = solverTimesteps(name, options, steps, count);
  return { sigmas: timesteps.map((t) => interpolate(table, t)), timesteps, trainedMin, reshaped: false };
}

/** Spaced over one more point than steps, without the last one; the other schedulers' are not. */
function solverTimesteps(name: string, options: SolverOptions, steps: number, count: number): number[] {
  switch (options.timestep_spacing) {
    case 'linspace':
      return linspace(0, count - 1, steps + 1)
        .map(roundHalfEven)
        .reverse()
        .slice(0, -1);
    case 'leading': {
      const ratio = Math.floor(count / (steps + 1));
      return Array.from({ length: steps + 1 }, (_, i) => i * ratio + options.steps_offset)
        .reverse()
        .slice(0, -1);
    }
    case 'trailing':
      return trailing(count, options.num_train_timesteps / steps);
    default:
      throw new EngineError(
        'unsupported',
        `${name}: timestep_spacing "${options.timestep_spacing}" is not implemented`,
      );
  }
}

/** Signal and noise levels at each sigma, and half the log of their ratio's square. */
export function levelsOf(sigmas: readonly number[], flow: boolean) {
  const at = (i: number): { alpha: number; sigma: number } => {
    const sigma = sigmas[i]!;
    return flow ? { alpha: 1 - sigma, sigma } : levels(sigma);
  };
  const lambda = (i: number): number => Math.log(at(i).alpha) - Math.log(at(i).sigma);
  return { at, lambda };
}

/** The clean latent from the model's output at the given levels. */
export function toClean(
  name: string,
  options: Pick<
    SolverOptions,
    'prediction_type' | 'thresholding' | 'dynamic_thresholding_ratio' | 'sample_max_value'
  >,
  output: Float32Array,
  x: Float32Array,
  { alpha, sigma }: { alpha: number; sigma: number },
): Float32Array {
  const x0 = predictClean(name, options.prediction_type, output, x, alpha, sigma);
  return options.thresholding
    ? dynamicThreshold(x0, options.dynamic_thresholding_ratio, options.sample_max_value)
    : x0;
}

function predictClean(
  name: string,
  prediction: string,
  output: Float32Array,
  x: Float32Array,
  alpha: number,
  sigma: number,
): Float32Array {
  switch (prediction) {
    case 'epsilon':
      return sum([1 / alpha, x], [-sigma / alpha, output]);
    case 'sample':
      return output;
    case 'v_prediction':
      return sum([alpha, x], [-sigma, output]);
    case 'flow_prediction':
      return sum([1, x], [-sigma, output]);
    default:
      throw new EngineError('unsupported', `${name}: prediction_type "${prediction}" is not implemented`);
  }
}
