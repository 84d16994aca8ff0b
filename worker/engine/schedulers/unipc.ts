/**
 * Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models" (2023),
 * algorithms 1 and 2: after each model call the last step is corrected, then the next one predicted.
 */
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, sigmaShapes, thresholding } from './discreteSchedule.ts';
import { linspace } from './noise.ts';
import { type Plan, sum } from './plan.ts';
import { levelsOf, solverLadder, toClean } from './solverNoiseLevels.ts';

const name = 'UniPCMultistepScheduler';
const defaults = {
  ...linearBetas,
  ...thresholding,
  ...sigmaShapes,
  solver_order: 2,
  prediction_type: 'epsilon',
  predict_x0: true,
  solver_type: 'bh2',
  lower_order_final: true,
  disable_corrector: [] as readonly number[],
  use_flow_sigmas: false,
  flow_shift: 1,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  final_sigmas_type: 'zero',
  rescale_betas_zero_snr: false,
};
const refused = {
  solver_p: null,
  use_dynamic_shifting: false,
  time_shift_type: 'exponential',
  sigma_min: null,
  sigma_max: null,
  shift_terminal: null,
};

export const unipc: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults, refused);
    const solver = oneOf(
      name,
      'solver_type',
      ['midpoint', 'heun', 'logrho'].includes(options.solver_type) ? 'bh2' : options.solver_type,
      ['bh1', 'bh2'],
    );
    const last = oneOf(name, 'final_sigmas_type', options.final_sigmas_type, ['zero', 'sigma_min']);
    const { sigmas, timesteps } = unipcLadder(options, steps, last);
    const { at, lambda } = levelsOf(sigmas, options.use_flow_sigmas);
    const data = options.predict_x0;

    /**
     * One step from level s to s + 1. `m` are the outputs at s, s - 1, …, newest first; `reached` is the output at
     * s + 1, given to the corrector and undefined for the predictor.
     */
    function solve(
      order: number,
      m: readonly Float32Array[],
      x: Float32Array,
      s: number,
      reached?: Float32Array,
    ): Float32Array {
      const { alpha, sigma } = at(s + 1);
      const from = at(s);
      const h = lambda(s + 1) - lambda(s);
      const hh = data ? -h : h;
      const phi1 = Math.expm1(hh);
      const scale = solver === 'bh1' ? hh : phi1;
      const ratios = Array.from({ length: order - 1 }, (_, k) => (lambda(s - k - 1) - lambda(s)) / h);
      const level = data ? alpha : sigma;
      const terms: [number, Float32Array][] = [
        [data ? sigma / from.sigma : alpha / from.alpha, x],
        [-level * phi1, m[0]!],
      ];
      const differences = ratios.map((ratio, k) => sum([1 / ratio, m[k + 1]!], [-1 / ratio, m[0]!]));
      if (reached) differences.push(sum([1, reached], [-1, m[0]!]));
      const points = reached ? [...ratios, 1] : ratios;
      weights(points, hh, scale).forEach((weight, k) => {
        terms.push([-level * scale * weight, differences[k]!]);
      });
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
        let before: { readonly x: Float32Array; readonly order: number } | undefined;
        let calls = 0;
        return (output, x, i) => {
          const { alpha, sigma } = at(i);
          const x0 = toClean(name, options, output, x, { alpha, sigma });
          const converted = data ? x0 : sum([1 / sigma, x], [-alpha / sigma, x0]);
          const corrects = before !== undefined && !options.disable_corrector.includes(i - 1);
          const corrected = corrects ? solve(before!.order, history, before!.x, i - 1, converted) : x;
          history = [converted, ...history].slice(0, options.solver_order);
          const wanted = options.lower_order_final
            ? Math.min(options.solver_order, timesteps.length - i)
            : options.solver_order;
          const order = Math.min(wanted, calls + 1);
          calls++;
          before = { x: corrected, order };
          return { x: solve(order, history, corrected, i), x0 };
        };
      },
    };
  },
};

/** Coefficients of the differences: R·rho = b, the paper's eq. 11 and theorem 3.1; 1/2 where the order is low. */
function weights(points: readonly number[], hh: number, scale: number): number[] {
  if (points.length <= 1) return points.map(() => 0.5);
  const rows: number[][] = [];
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  for (let k = 0; k < points.length; k++) {
    rows.push([...points.map((point) => point ** k), (phi * factorial) / scale]);
    factorial *= k + 2;
    phi = phi / hh - 1 / factorial;
  }
  return solveLinear(rows);
}

/** Gauss-Jordan with row exchange; each row ends with its right-hand side. */
function solveLinear(rows: number[][]): number[] {
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++)
      if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let r = 0; r < n; r++) {
      if (r === column) continue;
      const factor = rows[r]![column]! / rows[column]![column]!;
      rows[r] = rows[r]!.map((value, c) => value - factor * rows[column]![c]!);
    }
  }
  return rows.map((row, r) => row[n]! / row[r]!);
}

function unipcLadder(options: typeof defaults, steps: number, last: 'zero' | 'sigma_min') {
  if (options.use_flow_sigmas) {
    const train = options.num_train_timesteps;
    const plain = linspace(1, 1 / train, steps + 1).slice(0, -1);
    const sigmas = plain.map((s) => (options.flow_shift * s) / (1 + (options.flow_shift - 1) * s));
    // At sigma 1 no signal is left and its logarithm is infinite.
    if (Math.abs(sigmas[0]! - 1) < 1e-6) sigmas[0]! -= 1e-6;
    const end = last === 'zero' ? 0 : sigmas.at(-1)!;
    return { sigmas: [...sigmas, end].map(Math.fround), timesteps: sigmas.map((s) => Math.trunc(s * train)) };
  }
  const ladder = solverLadder(name, options, steps);
  const end = ladder.reshaped ? ladder.sigmas.at(-1)! : ladder.trainedMin;
  return {
    sigmas: [...ladder.sigmas, last === 'zero' ? 0 : end].map(Math.fround),
    timesteps: ladder.timesteps,
  };
}
