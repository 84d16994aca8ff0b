/** DPM-Solver++ multistep with the preconditioning of Karras et al. (2022): Playground v2.5's scheduler. */
import { EngineError } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { thresholding } from './discreteSchedule.ts';
import { dpmOrder, dpmUpdate } from './dpmUpdate.ts';
import { edm, edmDefaults } from './edm.ts';
import { dynamicThreshold, type Plan } from './plan.ts';

const name = 'EDMDPMSolverMultistepScheduler';
const defaults = {
  ...edmDefaults,
  ...thresholding,
  solver_order: 2,
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
};

export const edmDpmMultistep: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    // Values of the other solvers' configs are read as the defaults, as in diffusers.
    const algorithm = oneOf(
      name,
      'algorithm_type',
      options.algorithm_type === 'deis' ? 'dpmsolver++' : options.algorithm_type,
      ['dpmsolver++', 'sde-dpmsolver++'],
    );
    const solver = oneOf(
      name,
      'solver_type',
      ['logrho', 'bh1', 'bh2'].includes(options.solver_type) ? 'midpoint' : options.solver_type,
      ['midpoint', 'heun'],
    );
    const stochastic = algorithm.startsWith('sde');
    if (options.solver_order > (stochastic ? 2 : 3)) {
      throw new EngineError(
        'unsupported',
        `${name}: algorithm_type "${algorithm}" has no solver_order ${options.solver_order}`,
      );
    }
    const { levels, last, plan, denoise } = edm(name, options, steps);
    const sigmas = [...levels, last === 'zero' ? 0 : options.sigma_min].map(Math.fround);
    // The input is scaled before the network sees it, so the signal's level stays 1.
    const at = (i: number) => ({ alpha: 1, sigma: sigmas[i]! });
    const form = { predictsData: true, stochastic, solver, at, lambda: (i: number) => -Math.log(sigmas[i]!) };
    return {
      ...plan(sigmas),
      sampler: () => {
        let history: Float32Array[] = [];
        return (output, x, i, draw) => {
          const clean = denoise(output, x, sigmas[i]!);
          const x0 = options.thresholding
            ? dynamicThreshold(clean, options.dynamic_thresholding_ratio, options.sample_max_value)
            : clean;
          history = [x0, ...history].slice(0, options.solver_order);
          const order = dpmOrder(options, steps, last === 'zero', i, history.length);
          return { x: dpmUpdate(form, order, history, x, i, stochastic ? draw() : undefined), x0 };
        };
      },
    };
  },
};
