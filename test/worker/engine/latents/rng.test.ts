import { expect, it } from 'vitest';
import { createGenerator } from '../../../../worker/engine/latents/rng.ts';
import { readReference } from '../../../support/reference.ts';

interface Draw {
  readonly first: readonly number[];
  readonly last: number;
}

for (const { seed, shape, first_call, second_call } of readReference('torch-randn.json').cases) {
  it(`torch.randn of ${shape.join('×')}, seed ${seed}`, () => {
    const generator = createGenerator(seed);
    const count = shape.reduce((a: number, b: number) => a * b, 1);
    for (const call of [first_call, second_call] as Draw[]) {
      const values = generator.randn(count);
      const worst = Math.max(...call.first.map((value, i) => Math.abs(value - values[i]!)));
      expect(worst).toBeLessThan(1e-6);
      expect(Math.abs(values.at(-1)! - call.last)).toBeLessThan(1e-6);
    }
  });
}
