/** Euler steps with the preconditioning of Karras et al. (2022). */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { edm, edmDefaults } from './edm.ts';
import { type Plan, sum } from './plan.ts';

const name = 'EDMEulerScheduler';

export const edmEuler: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const { levels, last, plan, denoise } = edm(name, readConfig(name, config, edmDefaults), steps);
    const sigmas = [...levels, last === 'zero' ? 0 : levels.at(-1)!].map(Math.fround);
    return {
      ...plan(sigmas),
      sampler: () => (output, x, i) => {
        const x0 = denoise(output, x, sigmas[i]!);
        const ratio = sigmas[i + 1]! / sigmas[i]!;
        return { x: sum([ratio, x], [1 - ratio, x0]), x0 };
      },
    };
  },
};
