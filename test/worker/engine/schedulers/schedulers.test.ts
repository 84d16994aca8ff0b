import { describe, expect, it } from 'vitest';
import { createGenerator } from '../../../../worker/engine/latents/rng.ts';
import { planSchedule, schedulerNames } from '../../../../worker/engine/schedulers/index.ts';
import { type Plan, sum } from '../../../../worker/engine/schedulers/plan.ts';
import { readReference } from '../../../support/reference.ts';

/** [4, 3, 8, 8], flattened b, c, h, w; see `meta` of both files. */
const place = Array.from({ length: 768 }, (_, k) => (k % 192) * 4 + Math.floor(k / 192));
const sampleDeter = Float32Array.from(place, (p) => p / 768);
const noiseDeter = Float32Array.from(place, (p) => (767 - p) / 768);

const sumAbs = (x: Float32Array): number => x.reduce((total, value) => total + Math.abs(value), 0);

describe('schedulers on real configs, as diffusers runs them', () => {
  const noise = noiseDeter.map((value) => value - 0.5);
  const models: Record<string, (x: Float32Array, t: number) => Float32Array> = {
    model2: (x, t) => x.map((value) => Math.sin(2 * value + 0.01 * t)),
    dummy_model: (x, t) => x.map((value) => (value * t) / (t + 1)),
  };
  for (const entry of readReference('schedulers-real-configs.json').entries) {
    it(entry.id, () => {
      const { num_inference_steps: steps, ...setTimesteps } = entry.set_timesteps;
      const { eta, s_churn: amount, s_noise } = entry.step_kwargs;
      const plan = planSchedule(
        {},
        { name: entry.scheduler, config: entry.config },
        {
          steps: steps ?? setTimesteps.sigmas.length,
          ...setTimesteps,
          ...(eta === undefined ? {} : { eta }),
          ...(amount === undefined ? {} : { churn: { amount, noise: s_noise } }),
        },
      );
      expectClose(plan.timesteps, entry.timesteps, 1e-5);
      const start = (entry.t_start ?? 0) * plan.order;
      let x =
        entry.t_start === null
          ? sum([plan.initNoiseSigma, noise])
          : plan.addNoise(
              sampleDeter.map((value) => value - 0.25),
              noise,
              start,
            );
      expect(relative(sumAbs(x), entry.start_abs_sum)).toBeLessThan(1e-5);
      let draws = 0;
      const sampler = plan.sampler();
      const sums: number[] = [];
      for (let i = start; i < plan.timesteps.length; i++) {
        const output = models[entry.model]!(plan.scaleInput(x, i), plan.timesteps[i]!);
        x = sampler(output, x, i, () => {
          draws++;
          return noise;
        }).x;
        sums.push(sumAbs(x));
      }
      expect(draws).toBe(entry.noise_draws);
      const worst = Math.max(...sums.map((value, i) => relative(value, entry.abs_sum_after_each_step[i])));
      expect(worst).toBeLessThan(2e-4);
      expect(
        Math.max(...entry.final_first8.map((value: number, i: number) => Math.abs(value - x[i]!))),
      ).toBeLessThan(1e-3 * Math.max(1, Math.abs(entry.final_first8[0])));
    });
  }
});

describe("schedulers in diffusers' own tests", () => {
  /** These use other dummies than the ones described. */
  const skipped = /^edm_euler|^unipc.*#[234]$/;
  const entries = readReference('schedulers-diffusers-tests.json').entries.filter(
    (entry: { scheduler: string; executed: boolean; id: string }) =>
      entry.executed && schedulerNames.includes(entry.scheduler) && !skipped.test(entry.id),
  );
  for (const entry of entries) {
    it(entry.id, () => {
      const { loop, expected } = entry;
      const config =
        entry.config.lambda_min_clipped === '-inf'
          ? { ...entry.config, lambda_min_clipped: -Infinity }
          : entry.config;
      const plan: Plan = planSchedule(
        {},
        { name: entry.scheduler, config },
        {
          steps: entry.steps?.args[0] ?? 1000,
          ...(loop.step_extra_args.eta === undefined ? {} : { eta: loop.step_extra_args.eta }),
        },
      );
      const generator = createGenerator(0);
      let x = loop.initial_factor === 1 ? sampleDeter : sum([plan.initNoiseSigma, sampleDeter]);
      const calls = loop.step_timesteps.length ?? loop.step_methods.step;
      // IPNDM's test goes through its timesteps twice with one memory.
      const rounds = Math.max(1, calls / plan.timesteps.length);
      const start = rounds * plan.timesteps.length - calls;
      if (loop.add_noise) x = plan.addNoise(x, noiseDeter, start);
      const sampler = plan.sampler();
      const sums: number[] = [];
      for (let call = start; call < start + calls; call++) {
        const i = call % plan.timesteps.length;
        const t = plan.timesteps[i]!;
        if (loop.step_receives_scaled_sample) x = plan.scaleInput(x, i);
        const output = x.map((value) => (value * t) / (t + 1));
        x = sampler(output, x, i, () => generator.randn(768)).x;
        sums.push(sumAbs(x));
      }
      if (expected.sum !== undefined) {
        // Where sums are large, float32's own error is above the test's tolerance.
        const tolerance = Math.max(expected.sum_tolerance, 2e-6 * expected.sum);
        expect(Math.abs(sumAbs(x) - expected.sum)).toBeLessThan(tolerance);
      }
      const tolerance = Math.max(expected.mean_tolerance, 1e-5 * expected.mean);
      expect(Math.abs(sumAbs(x) / 768 - expected.mean)).toBeLessThan(tolerance);
      const known: number[] = entry.abs_sum_after_each_step ?? [];
      const worst = Math.max(0, ...known.map((value, k) => relative(sums[k]!, value)));
      expect(worst).toBeLessThan(2e-4);
    });
  }
});

describe('DPMSolverSDEScheduler', () => {
  // diffusers' own numbers come from torchsde's random numbers. Data that are normal with a spread of 0.7 have a
  // known denoiser, x·s²/(s² + sigma²), and what a right solver of the stochastic equation paints has their spread.
  const spread = 0.7;
  it.each(['epsilon', 'v_prediction'])('ends with the spread of the data (%s)', (prediction_type) => {
    const plan = planSchedule(
      {},
      { name: 'DPMSolverSDEScheduler', config: { prediction_type, use_karras_sigmas: true } },
      { steps: 40 },
    );
    const generator = createGenerator(7);
    const size = 40_000;
    let draws = 0;
    let x = sum([plan.initNoiseSigma, generator.randn(size)]);
    const sampler = plan.sampler();
    for (let i = 0; i < plan.timesteps.length; i++) {
      const seen = plan.scaleInput(x, i);
      const shrink = seen[0]! / x[0]!; // 1 / sqrt(sigma² + 1)
      const sigma = Math.sqrt(1 / shrink ** 2 - 1);
      const clean = spread ** 2 / (spread ** 2 + sigma ** 2);
      const factor =
        prediction_type === 'epsilon'
          ? (1 - clean) / sigma
          : ((1 / (sigma ** 2 + 1) - clean) / sigma) * Math.sqrt(sigma ** 2 + 1);
      x = sampler(sum([factor, x]), x, i, () => {
        draws++;
        return generator.randn(size);
      }).x;
    }
    const deviation = Math.sqrt(x.reduce((total, value) => total + value ** 2, 0) / size);
    expect(relative(deviation, spread)).toBeLessThan(0.02);
    expect(draws).toBe(2 * 39); // two calls a step, the last is one and renews nothing
  });
});

const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(b), 1e-6);

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = Math.max(...actual.map((value, i) => relative(value, expected[i]!)));
  expect(worst).toBeLessThan(tolerance);
}
