import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadModel, type Picture } from '../../../../worker/engine/index.ts';
import { writeModel } from './models.ts';

const dirs: string[] = [];
afterAll(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true }))));

/** The spread of colours: 0 for a picture in greys. */
const colour = ({ data }: Picture): number => {
  let most = 0;
  for (let i = 0; i < data.length; i += 3)
    most = Math.max(most, Math.abs(data[i]! - data[i + 1]!), Math.abs(data[i]! - data[i + 2]!));
  return most;
};

it('Kandinsky shows what its own decoder makes of a smaller latent, or nothing', {
  timeout: 60_000,
}, async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'unclip-'));
  dirs.push(dir);
  await writeModel('kandinsky22', dir);
  const model = await loadModel(dir);
  const seen: Picture[][] = [];
  const linear: number[] = [];
  const side = 40 * model.info.multiple;
  await model.generate(
    { prompt: 'a fox', seeds: [1, 2], width: side, height: side, steps: 2, guidance: 4, prior: { steps: 2 } },
    {
      async onStep({ stage, preview, decodePreview }) {
        if (stage !== 'decoder') return;
        linear.push(preview().length);
        seen.push((await decodePreview?.()) ?? []);
      },
    },
  );
  await model.release();
  expect(linear).toEqual([0, 0]);
  expect(seen.map((pictures) => pictures.length)).toEqual([2, 2]);
  const [first] = seen[1]!;
  expect(first!.width).toBeLessThan(side);
  expect(first!.data).toHaveLength(first!.width * first!.height * 3);
  expect(colour(first!)).toBeGreaterThan(0.01);
});
