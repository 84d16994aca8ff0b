/** DPM-Solver and DPM-Solver++, multistep, over a discrete beta schedule. */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { linearBetas, sigmaShapes, thresholding } from './discreteSchedule.ts';
import { dpmOrder, dpmUpdate } from './dpmUpdate.ts';
import { type Plan, sum } from './plan.ts';
import { levelsOf, solverLadder, toClean } from './solverNoiseLevels.ts';

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
const refused = { use_dynamic_shifting: false, time_shift_type: 'exponential' };

export const dpmMultistep: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults, refused);
    // Configs for DEIS and UniPC hold their own values here; diffusers reads them as the defaults.
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

    const form = { predictsData, stochastic, solver, at, lambda };

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
          const order = dpmOrder(options, timesteps.length, last === 'zero', i, history.length);
          return { x: dpmUpdate(form, order, history, x, i, stochastic ? draw() : undefined), x0 };
        };
      },
    };
  },
};
