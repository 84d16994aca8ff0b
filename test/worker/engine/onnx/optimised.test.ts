import { cp, mkdtemp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, optimise } from '../../../../worker/engine/index.ts';
import { differenceOf, modelDir, readCases, requestOf } from '../../../support/reference.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'dreamgrid-optimised-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const copyOf = async (family: string, name = family): Promise<string> => {
  const dir = path.join(root, name);
  await cp(modelDir(family), dir, { recursive: true });
  return dir;
};

describe('an optimised model', () => {
  for (const [family, cases] of [
    ['sd15', 'sd15'],
    ['sd15-external-data', 'sd15'],
    ['sd15-fp16', 'sd15'],
    ['lcm', 'lcm'],
    ['inpaint', 'inpaint'],
  ] as const) {
    it(`paints what diffusers paints, and four as it paints four alone: ${family}`, async () => {
      const dir = await copyOf(family);
      expect(await optimise(dir)).toBeGreaterThan(100_000);
      const model = await loadModel(dir, { threads: 1 });
      expect(model.info.optimised).toBe(true);
      const one = readCases(cases)[0]!;
      expect(await differenceOf(model, cases, one)).toBeLessThan(family === 'sd15-fp16' ? 0.02 : 1e-4);
      const request = { ...(await requestOf(cases, one)), steps: 2, seeds: [5, 6, 7, 8] };
      const together = await model.generate(request);
      for (const [i, seed] of request.seeds.entries()) {
        const alone = await model.generate({ ...request, seeds: [seed] });
        expect(alone.pictures[0]!.data).toEqual(together.pictures[i]!.data);
      }
      await model.release();
    });
  }

  it('is opened as it was exported once a file of it has changed, or its note cannot be read', async () => {
    const dir = await copyOf('sd-turbo', 'changed');
    await optimise(dir);
    const optimised = async (): Promise<boolean> => {
      const model = await loadModel(dir, { threads: 1 });
      await model.release();
      return model.info.optimised;
    };
    expect(await optimised()).toBe(true);
    await utimes(path.join(dir, 'unet/model.onnx'), 1, 1);
    expect(await optimised()).toBe(false);
    await optimise(dir);
    expect(await optimised()).toBe(true);
    await writeFile(path.join(dir, 'optimised/optimised.json'), '{');
    expect(await optimised()).toBe(false);
  });

  it('is refused by the name of the optimised file when that is cut short', async () => {
    const dir = await copyOf('sd-turbo', 'cut');
    await optimise(dir);
    const file = path.join(dir, 'optimised/unet/model.onnx_data');
    await truncate(file, 1000);
    await expect(loadModel(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'bad-model',
      message: expect.stringContaining(path.join(dir, 'optimised')),
    });
  });

  it('leaves nothing behind where the model is damaged', async () => {
    const dir = await copyOf('sd-turbo', 'damaged');
    await truncate(path.join(dir, 'vae_decoder/model.onnx'), 5000);
    await expect(optimise(dir)).rejects.toMatchObject({ code: 'bad-model' });
    expect((await readdir(dir)).filter((name) => name.startsWith('optimised'))).toEqual([]);
  });
});
