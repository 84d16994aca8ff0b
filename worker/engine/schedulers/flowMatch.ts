/**
 * Straight paths from noise to data: Lipman et al., "Flow Matching for Generative Modeling" (2022); the shift of
 * noise levels by resolution is Esser et al., "Scaling Rectified Flow Transformers" (SD3, 2024), eq. 23.
 */
import { badRequest } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { reshapeSigmas, sigmaShapes } from './discreteSchedule.ts';
import { linspace } from './noise.ts';
import { type Plan, type PlanRequest, sum } from './plan.ts';

const eulerName = 'FlowMatchEulerDiscreteScheduler';
const eulerDefaults = {
  ...sigmaShapes,
  num_train_timesteps: 1000,
  shift: 1,
  use_dynamic_shifting: false,
  // The four below are for callers that compute mu from the picture's size; the schedule itself takes mu.
  base_shift: 0.5,
  max_shift: 1.15,
  base_image_seq_len: 256,
  max_image_seq_len: 4096,
  shift_terminal: null as number | null,
  time_shift_type: 'exponential',
  stochastic_sampling: false,
};

export const flowMatchEuler: SchedulerDefinition = {
  name: eulerName,
  plan(config, request): Plan {
    const options = readConfig(eulerName, config, eulerDefaults, { invert_sigmas: false });
    const levels = flowSigmas(options, request);
    const shaped = reshapeSigmas(eulerName, options, levels[0]!, levels.at(-1)!, levels.length) ?? levels;
    const sigmas = [...shaped, 0].map(Math.fround);
    return {
      timesteps: sigmas.slice(0, -1).map((s) => Math.fround(s * options.num_train_timesteps)),
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => sum([1 - sigmas[i]!, clean], [sigmas[i]!, noise]),
      sampler: () => (output, x, i, draw) => {
        const next = sigmas[i + 1]!;
        const x0 = sum([1, x], [-sigmas[i]!, output]);
        if (options.stochastic_sampling) return { x: sum([1 - next, x0], [next, draw()]), x0 };
        return { x: sum([1, x], [next - sigmas[i]!, output]), x0 };
      },
    };
  },
};

function flowSigmas(options: typeof eulerDefaults, { steps, sigmas, mu }: PlanRequest): number[] {
  const kind = oneOf(eulerName, 'time_shift_type', options.time_shift_type, ['exponential', 'linear']);
  const shift = (s: number): number => (options.shift * s) / (1 + (options.shift - 1) * s);
  const lowest = 1 / options.num_train_timesteps;
  // diffusers shifts the ends when it makes the scheduler, and all levels once more here.
  const ends = options.use_dynamic_shifting ? [1, lowest] : [shift(1), shift(lowest)];
  let levels = sigmas ? [...sigmas] : linspace(ends[0]!, ends[1]!, steps);
  if (options.use_dynamic_shifting) {
    if (mu === undefined)
      throw badRequest(`${eulerName}: use_dynamic_shifting needs mu, which depends on the picture's size`);
    const strength = kind === 'exponential' ? Math.exp(mu) : mu;
    levels = levels.map((s) => strength / (strength + (1 / s - 1)));
  } else levels = levels.map(shift);
  if (options.shift_terminal) {
    const factor = (1 - levels.at(-1)!) / (1 - options.shift_terminal);
    levels = levels.map((s) => 1 - (1 - s) / factor);
  }
  return levels;
}

const heunName = 'FlowMatchHeunDiscreteScheduler';

export const flowMatchHeun: SchedulerDefinition = {
  name: heunName,
  plan(config, { steps }): Plan {
    const options = readConfig(heunName, config, { num_train_timesteps: 1000, shift: 1 });
    const shift = (s: number): number => (options.shift * s) / (1 + (options.shift - 1) * s);
    const levels = linspace(shift(1), shift(1 / options.num_train_timesteps), steps).map((s) =>
      Math.fround(shift(s)),
    );
    const doubled = [levels[0]!, ...levels.slice(1).flatMap((s) => [s, s])];
    const sigmas = [...doubled, 0];
    return {
      timesteps: doubled.map((s) => Math.fround(s * options.num_train_timesteps)),
      order: 2,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => sum([1 - sigmas[i]!, clean], [sigmas[i]!, noise]),
      sampler: () => {
        let first:
          | { readonly x: Float32Array; readonly slope: Float32Array; readonly dt: number }
          | undefined;
        return (output, x, i) => {
          const x0 = sum([1, x], [-sigmas[i]!, output]);
          if (first === undefined) {
            const dt = sigmas[i + 1]! - sigmas[i]!;
            first = { x, slope: output, dt };
            return { x: sum([1, x], [dt, output]), x0 };
          }
          const { x: from, slope, dt } = first;
          first = undefined;
          return { x: sum([1, from], [dt / 2, slope], [dt / 2, output]), x0 };
        };
      },
    };
  },
};
