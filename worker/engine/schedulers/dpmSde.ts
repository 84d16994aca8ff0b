/**
 * DPM-Solver++ (SDE), a midpoint method with noise that is renewed in both halves of a step: k-diffusion's
 * `sample_dpmpp_sde` (2022), after Lu et al. (2211.01095) and Karras et al. (2022), algorithm 2.
 */
import { readConfig, type SchedulerDefinition } from './config.ts';
import {
  denoise,
  linearBetas,
  scaleBySigma,
  sigmaLadder,
  sigmaShapes,
  startSigma,
} from './discreteSchedule.ts';
import { sigmaToTimestep, trainingSigmas } from './noise.ts';
import { type Plan, sum } from './plan.ts';

const name = 'DPMSolverSDEScheduler';
const defaults = {
  ...linearBetas,
  ...sigmaShapes,
  beta_start: 0.00085,
  beta_end: 0.012,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

export const dpmSde: SchedulerDefinition = {
  name,
  plan(config, { steps }): Plan {
    const options = readConfig(name, config, defaults);
    const ladder = sigmaLadder(name, options, steps);
    const logs = trainingSigmas(ladder.cumprod).map(Math.log);
    const sigmas = [...ladder.sigmas, 0];
    const middles = ladder.sigmas.map((sigma, k) => Math.sqrt(sigma * sigmas[k + 1]!));
    const isFirst = (i: number): boolean => i % 2 === 0;
    const levelAt = (i: number): number => (isFirst(i) ? sigmas[i / 2]! : middles[(i - 1) / 2]!);
    return {
      timesteps: ladder.timesteps.flatMap((t, k) =>
        k === ladder.timesteps.length - 1 ? [t] : [t, sigmaToTimestep(middles[k]!, logs)],
      ),
      order: 2,
      initNoiseSigma: startSigma(options.timestep_spacing, Math.max(...sigmas)),
      scaleInput: (x, i) => scaleBySigma(x, levelAt(i)),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[Math.ceil(i / 2)]!, noise]),
      sampler: () => {
        let start: { x: Float32Array; noise: Float32Array } | undefined;
        return (output, x, i, draw) => {
          const k = Math.floor(i / 2);
          const [from, middle, to] = [sigmas[k]!, middles[k]!, sigmas[k + 1]!];
          const x0 = denoise(options.prediction_type, output, x, levelAt(i), name);
          if (to === 0) return { x: x0, x0 };
          const drawn = draw();
          if (isFirst(i) || start === undefined) {
            start = { x, noise: drawn };
            return { x: renew(x, x0, drawn, from, middle), x0 };
          }
          // One Brownian path over sigma: the whole step's noise is the sum of its two halves'.
          const noise = sum(
            [Math.sqrt((from - middle) / (from - to)), start.noise],
            [Math.sqrt((middle - to) / (from - to)), drawn],
          );
          const next = renew(start.x, x0, noise, from, to);
          start = undefined;
          return { x: next, x0 };
        };
      },
    };
  },
};

/** From noise level `from` below `to` towards x0, and up to `to` with new noise (an ancestral step with eta 1). */
function renew(
  x: Float32Array,
  x0: Float32Array,
  noise: Float32Array,
  from: number,
  to: number,
): Float32Array {
  const up = Math.min(to, Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2));
  const ratio = Math.sqrt(to ** 2 - up ** 2) / from;
  return sum([ratio, x], [1 - ratio, x0], [up, noise]);
}
