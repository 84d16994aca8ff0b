import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createGenerator } from '../../../../worker/engine/latents/rng.ts';
import { planSchedule } from '../../../../worker/engine/schedulers/index.ts';

/** test/data/unclip/README.md says how it was made; its own `definitions` say what start, network and noise are. */
const reference = JSON.parse(
  readFileSync(new URL('../../../data/unclip/scheduler-unclip.json', import.meta.url), 'utf8'),
);

interface Entry {
  id: string;
  scheduler: string;
  config: Record<string, unknown>;
  steps: number | null;
  seed: number;
  timesteps: number[] | { count: number; first: number[]; last: number[] };
  abs_sum_after_each_step: number[];
  expected: { sum: number; mean: number; first: number[]; last: number[] };
}

/** [4, 3, 8, 8] as it lies in memory: picture, channel, row, column. */
const start = Float32Array.from({ length: 768 }, (_, k) => ((k % 192) * 4 + Math.floor(k / 192)) / 768);
const cut = (x: Float32Array): Float32Array => x.map((value) => Math.max(-1, Math.min(1, value)));
const absSum = (x: Float32Array): number => x.reduce((total, value) => total + Math.abs(value), 0);

describe('UnCLIPScheduler and DDIMInverseScheduler, as diffusers runs them', () => {
  const entries = (reference.entries as Entry[]).filter((entry) => entry.expected !== undefined);
  for (const { id, scheduler, config, steps, seed = 0, ...entry } of entries) {
    it(id, () => {
      const plan = planSchedule({}, { name: scheduler, config }, { steps: steps ?? 1000 });
      if (Array.isArray(entry.timesteps)) expect(plan.timesteps).toEqual(entry.timesteps);
      const generator = createGenerator(seed);
      const sampler = plan.sampler();
      const sums: number[] = [];
      let x: Float32Array = start;
      plan.timesteps.forEach((t, i) => {
        const shown = x;
        const share = Math.fround(t / (t + 1));
        const output =
          config['prediction_type'] === 'sample' && scheduler === 'UnCLIPScheduler'
            ? shown.map((value) => 0.8 * value + 0.1)
            : shown.map((value) => value * share);
        const variance = config['variance_type'] === 'learned_range' ? cut(shown) : undefined;
        x = sampler(output, shown, i, () => generator.randn(768), variance).x;
        if (plan.timesteps.length <= 100 || i % 100 === 0 || i + 1 === plan.timesteps.length)
          sums.push(absSum(x));
      });
      const wanted = entry.abs_sum_after_each_step;
      expect(Math.abs(absSum(x) - entry.expected.sum) / entry.expected.sum).toBeLessThan(1e-5);
      const worst = Math.max(
        ...wanted.map((value, i) => Math.abs((sums[i + sums.length - wanted.length] ?? NaN) - value) / value),
      );
      expect(worst).toBeLessThan(2e-4);
      entry.expected.first.forEach((value, i) => {
        expect(Math.abs(x[i]! - value)).toBeLessThan(1e-3);
      });
    });
  }
});
