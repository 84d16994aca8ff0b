/**
 * Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds" (2022): eq. 9 as the transfer,
 * Runge-Kutta warm-up (12 calls) or, with skip_prk_steps, the first level visited twice, then linear multistep.
 */
import { readConfig, type SchedulerDefinition } from './config.ts';
import { addNoiseAt } from './ddim.ts';
import { linearBetas, split } from './discreteSchedule.ts';
import { alphasCumprod, spacedTimesteps } from './noise.ts';
import { type Plan, sum } from './plan.ts';

const name = 'PNDMScheduler';
const defaults = {
  ...linearBetas,
  skip_prk_steps: false,
  set_alpha_to_one: false,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  steps_offset: 0,
};

export const pndm: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const train = options.num_train_timesteps;
    const cumprod = alphasCumprod(options);
    const final = options.set_alpha_to_one ? 1 : cumprod[0]!;
    const stride = Math.floor(train / steps);
    const spaced = spacedTimesteps(options.timestep_spacing, steps, train, options.steps_offset);
    const warmUp = options.skip_prk_steps ? [] : rungeKutta(spaced, Math.floor(stride / 2));
    const multistep = options.skip_prk_steps
      ? steps > 1
        ? [spaced[0]!, spaced[1]!, ...spaced.slice(1)]
        : spaced
      : spaced.slice(3);
    const timesteps = [...warmUp, ...multistep];

    /** Eq. 9, from timestep t to timestep `to`. */
    function transfer(x: Float32Array, output: Float32Array, t: number, to: number) {
      const a = cumprod[Math.min(Math.max(t, 0), train - 1)]!;
      const b = to >= 0 ? cumprod[to]! : final;
      const { x0, noise } = split(options.prediction_type, output, x, a, name);
      const denominator = a * Math.sqrt(1 - b) + Math.sqrt(a * (1 - a) * b);
      return { x: sum([Math.sqrt(b / a), x], [-(b - a) / denominator, noise]), x0 };
    }

    return {
      timesteps,
      order: 1,
      initNoiseSigma: 1,
      scaleInput: (x) => x,
      addNoise: (clean, noise, i) => addNoiseAt(cumprod, clean, noise, timesteps[i]!),
      sampler: () => {
        let calls = 0;
        let outputs: Float32Array[] = [];
        let start: Float32Array | undefined;
        let accumulated: Float32Array | undefined;

        function rungeKuttaStep(output: Float32Array, x: Float32Array, i: number) {
          const phase = calls % 4;
          const to = timesteps[i]! - (phase % 2 === 1 ? 0 : Math.floor(stride / 2));
          const from = warmUp[Math.floor(calls / 4) * 4]!;
          let slope = output;
          if (phase === 0) {
            accumulated = sum([1 / 6, output]);
            outputs.push(output);
            start = x;
          } else if (phase === 3) slope = sum([1, accumulated!], [1 / 6, output]);
          else accumulated = sum([1, accumulated!], [1 / 3, output]);
          calls++;
          return transfer(start!, slope, from, to);
        }

        return (output, x, i) => {
          if (calls < warmUp.length) return rungeKuttaStep(output, x, i);
          let from = timesteps[i]!;
          let to = from - stride;
          if (calls === 1) [from, to] = [from + stride, from];
          else outputs = [...outputs.slice(-3), output];
          const [e0, e1, e2, e3] = outputs.toReversed();
          let slope = output;
          let base = x;
          if (outputs.length === 1 && calls === 0) start = x;
          else if (outputs.length === 1) {
            slope = sum([1 / 2, output], [1 / 2, e0!]);
            base = start!;
          } else if (outputs.length === 2) slope = sum([3 / 2, e0!], [-1 / 2, e1!]);
          else if (outputs.length === 3) slope = sum([23 / 12, e0!], [-16 / 12, e1!], [5 / 12, e2!]);
          else slope = sum([55 / 24, e0!], [-59 / 24, e1!], [37 / 24, e2!], [-9 / 24, e3!]);
          calls++;
          return transfer(base, slope, from, to);
        };
      },
    };
  },
};

/** Timesteps of the warm-up, four for each of the first three levels: it, twice half a stride on, and the next. */
function rungeKutta(spaced: readonly number[], half: number): number[] {
  const ascending = spaced.slice(0, 4).reverse();
  const pairs = ascending.flatMap((t) => [t, t + half]);
  const doubled = pairs.slice(0, -1).flatMap((t) => [t, t]);
  return doubled.slice(1, -1).reverse();
}
