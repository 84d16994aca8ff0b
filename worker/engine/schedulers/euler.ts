/**
 * Euler steps in sigma space: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models"
 * (2022), algorithm 2 without its second-order correction.
 */
import { oneOf, readConfig, type SchedulerDefinition } from './config.ts';
import {
  denoise,
  linearBetas,
  scaleBySigma,
  sigmaLadder,
  sigmaShapes,
  startSigma,
} from './discreteSchedule.ts';
import { type Plan, sum } from './plan.ts';

const name = 'EulerDiscreteScheduler';
const defaults = {
  ...linearBetas,
  ...sigmaShapes,
  prediction_type: 'epsilon',
  interpolation_type: 'linear',
  sigma_min: null as number | null,
  sigma_max: null as number | null,
  timestep_spacing: 'linspace',
  timestep_type: 'discrete',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
  final_sigmas_type: 'zero',
};

export const euler: SchedulerDefinition = {
  name,
  plan(config, { steps, churn }): Plan {
    const options = readConfig(name, config, defaults);
    const ladder = sigmaLadder(name, options, steps);
    const last = oneOf(name, 'final_sigmas_type', options.final_sigmas_type, ['zero', 'sigma_min']);
    const sigmas = [...ladder.sigmas, last === 'zero' ? 0 : ladder.trainedMin];
    // EDM models take ln(sigma) / 4 instead of a timestep.
    const continuous =
      oneOf(name, 'timestep_type', options.timestep_type, ['discrete', 'continuous']) === 'continuous' &&
      options.prediction_type === 'v_prediction';
    const timesteps = continuous
      ? ladder.sigmas.map((s) => Math.fround(0.25 * Math.log(s)))
      : ladder.timesteps;
    const { amount = 0, min = 0, max = Number.POSITIVE_INFINITY, noise: noiseScale = 1 } = churn ?? {};
    return {
      timesteps,
      order: 1,
      initNoiseSigma: startSigma(options.timestep_spacing, Math.max(...sigmas)),
      scaleInput: (x, i) => scaleBySigma(x, sigmas[i]!),
      addNoise: (clean, noise, i) => sum([1, clean], [sigmas[i]!, noise]),
      sampler: () => (output, x, i, draw) => {
        const sigma = sigmas[i]!;
        const gamma =
          sigma >= min && sigma <= max ? Math.min(amount / (sigmas.length - 1), Math.SQRT2 - 1) : 0;
        const hat = sigma * (gamma + 1);
        const from = gamma > 0 ? sum([1, x], [noiseScale * Math.sqrt(hat ** 2 - sigma ** 2), draw()]) : x;
        const x0 = denoise(
          options.prediction_type,
          output,
          from,
          options.prediction_type === 'epsilon' ? hat : sigma,
          name,
        );
        // x + (x - x0) / hat · (next - hat)
        const ratio = sigmas[i + 1]! / hat;
        return { x: sum([ratio, from], [1 - ratio, x0]), x0 };
      },
    };
  },
};
