/** The midpoint method with fresh noise at each step: k-diffusion's `sample_dpm_2_ancestral` (2022). */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { denoise, scaleBySigma, startSigma } from './discreteSchedule.ts';
import { ancestral } from './eulerAncestral.ts';
import { kdpm2Defaults, kdpm2Ladder } from './kdpm2.ts';
import { type Plan, sum } from './plan.ts';

const name = 'KDPM2AncestralDiscreteScheduler';

export const kdpm2Ancestral: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, kdpm2Defaults);
    const { sigmas, timesteps, toTimestep } = kdpm2Ladder(name, options, steps);
    const ways = sigmas.slice(0, -1).map((sigma, k) => ancestral(sigma, sigmas[k + 1]!));
    const middles = ways.map(({ down }, k) => Math.fround(Math.sqrt(sigmas[k]! * down)));
    const isFirst = (i: number): boolean => i % 2 === 0;
    const levelAt = (i: number): number => (isFirst(i) ? sigmas[i / 2]! : middles[(i - 1) / 2]!);
    return {
      timesteps: timesteps.flatMap((t, k) =>
        k === timesteps.length - 1 ? [t] : [t, toTimestep(middles[k]!)],
      ),
      order: 2,
      initNoiseSigma: startSigma(options.timestep_spacing, Math.max(...sigmas)),
      scaleInput: (x, i) => scaleBySigma(x, levelAt(i)),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[Math.ceil(i / 2)]!, noise]),
      sampler: () => {
        let start: Float32Array | undefined;
        return (output, x, i, draw) => {
          const k = Math.floor(i / 2);
          const level = levelAt(i);
          const x0 = denoise(options.prediction_type, output, x, level, name);
          const slope = sum([1 / level, x], [-1 / level, x0]);
          if (isFirst(i) || start === undefined) {
            start = x;
            return { x: sum([1, x], [middles[k]! - sigmas[k]!, slope]), x0 };
          }
          const { down, up } = ways[k]!;
          return { x: sum([1, start], [down - sigmas[k]!, slope], [up, draw()]), x0 };
        };
      },
    };
  },
};
