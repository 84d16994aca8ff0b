/**
 * The sampler of Karlo and of Kandinsky's prior (diffusers' UnCLIPScheduler): the posterior of Ho, Jain & Abbeel
 * (2020), eq. 6 and 7, between any two timesteps of the cosine schedule, its variance fixed or learned
 * (Nichol & Dhariwal, 2021, eq. 15).
 */
import { badRequest } from '../errors.ts';
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { addLearned, learnedRange, noVariance } from './ddpm.ts';
import { linearBetas, split } from './discreteSchedule.ts';
import { alphasCumprod, betas, linspace, roundHalfEven } from './noise.ts';
import { clamp, type Plan, sum } from './plan.ts';

const name = 'UnCLIPScheduler';
const defaults = {
  num_train_timesteps: 1000,
  variance_type: 'fixed_small_log',
  clip_sample: true,
  clip_sample_range: 1,
  prediction_type: 'epsilon',
  beta_schedule: 'squaredcos_cap_v2',
};
const f32 = Math.fround;

export const unclip: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    oneOf(name, 'beta_schedule', options.beta_schedule, ['squaredcos_cap_v2']);
    const variance = oneOf(name, 'variance_type', options.variance_type, [
      'fixed_small_log',
      'learned_range',
    ]);
    const train = options.num_train_timesteps;
    if (steps > train) throw badRequest(`steps ${steps} exceeds the ${train} the model was trained with`);
    const schedule = { ...linearBetas, num_train_timesteps: train, beta_schedule: options.beta_schedule };
    const trained = betas(schedule);
    const cumprod = alphasCumprod(schedule);
    // Both ends of the schedule count. A single step, which diffusers cannot do, goes from pure noise to the end.
    const timesteps =
      steps === 1
        ? [train - 1]
        : linspace(0, train - 1, steps)
            .map(roundHalfEven)
            .reverse();
    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => (output, x, i, draw, predicted) => {
        const t = timesteps[i]!;
        const before = timesteps[i + 1] ?? -1;
        const last = before < 0;
        const a = cumprod[t]!;
        const next = last ? 1 : cumprod[before]!;
        // Neighbouring timesteps take the trained beta; its float32 rounding, as all others here, shows in the picture.
        const beta = before === t - 1 ? trained[t]! : f32(1 - f32(a / next));
        const alpha = f32(1 - beta);
        const noiseNow = f32(1 - a);
        const noiseNext = f32(1 - next);
        let { x0 } = split(options.prediction_type, output, x, a, name);
        if (options.clip_sample) x0 = clamp(x0, options.clip_sample_range);
        const mean = sum(
          [(Math.sqrt(next) * beta) / noiseNow, x0],
          [(Math.sqrt(alpha) * noiseNext) / noiseNow, x],
        );
        if (last) return { x: mean, x0 };
        const small = Math.max(f32(f32(noiseNext / noiseNow) * beta), 1e-20);
        if (variance === 'fixed_small_log') return { x: sum([1, mean], [Math.sqrt(small), draw()]), x0 };
        if (predicted?.length !== x.length) throw noVariance(name, variance);
        return { x: addLearned(mean, draw(), learnedRange(predicted, small, beta)), x0 };
      },
    };
  },
};
