import { resolve } from 'node:path';
import { type GenerateRequest, loadModel } from '../../worker/engine/index.ts';
import { median, spread } from './figures.ts';

const dir = resolve(import.meta.dirname, '../../models/pocket');

/** The engine on pocket: load, a grid, a draft, batches against singles, the share of time outside the model. */
export async function benchEngine(): Promise<void> {
  const began = performance.now();
  const model = await loadModel(dir);
  console.log(`load: ${((performance.now() - began) / 1000).toFixed(2)} s\n`);
  const base: GenerateRequest = {
    prompt: 'a red fox in the snow',
    seeds: [1, 2, 3, 4],
    width: 128,
    height: 128,
    steps: 20,
    guidance: 4,
  };
  const cases: Record<string, () => Promise<number>> = {
    'grid of four, 20 steps': () => time(base),
    'grid of four, 8 steps (draft)': () => time({ ...base, steps: 8 }),
    'the same four, one by one': async () => {
      let sum = 0;
      for (const seed of base.seeds) sum += await time({ ...base, seeds: [seed] });
      return sum;
    },
  };
  let outside = 0;
  async function time(request: GenerateRequest): Promise<number> {
    const at = performance.now();
    const { timings } = await model.generate(request);
    const ms = performance.now() - at;
    outside = 1 - timings.runMs / ms;
    return ms / 1000;
  }
  await time(base);
  const rows: Record<string, number[]> = {};
  for (let round = 0; round < 3; round++) {
    for (const [name, measure] of Object.entries(cases)) {
      rows[name] ??= [];
      rows[name].push(await measure());
    }
  }
  console.log('| seconds | min | median | max |\n|---|---|---|---|');
  for (const [name, values] of Object.entries(rows)) console.log(`| ${name} | ${spread(values)} |`);
  const [grid = [], , singles = []] = Object.values(rows);
  console.log(
    `\nsingles / batch: ${(median(singles) / median(grid)).toFixed(2)} · outside session.run: ${(outside * 100).toFixed(1)} %`,
  );
  await model.release();
}
