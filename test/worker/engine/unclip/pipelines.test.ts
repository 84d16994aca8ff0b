import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model, type Step } from '../../../../worker/engine/index.ts';
import {
  type Family,
  meanDifference,
  readCases,
  readFloats,
  readPixels,
  readSource,
  requestOf,
  writeModel,
} from './models.ts';

let dir: string;
const models = new Map<Family, Model>();
const modelOf = (family: Family): Model => models.get(family)!;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'unclip-'));
  for (const family of ['karlo', 'kandinsky22'] as const) {
    await writeModel(family, path.join(dir, family));
    models.set(family, await loadModel(path.join(dir, family)));
  }
}, 60_000);

afterAll(async () => {
  for (const model of models.values()) await model.release();
  await rm(dir, { recursive: true, force: true });
});

for (const family of ['karlo', 'kandinsky22'] as const) {
  describe(`${family}, out of its safetensors, as diffusers paints it`, () => {
    for (const one of readCases(family)) {
      it(one.name, async () => {
        const { pictures, latents, imageEmbeddings } = await modelOf(family).generate(
          await requestOf(family, one, 1),
        );
        const z = imageEmbeddings![0]!;
        expect(meanDifference(z, readFloats(family, one.stages.z!).subarray(0, z.length))).toBeLessThan(
          one.tolerance,
        );
        const small = one.stages.decoder ?? one.stages.latents!;
        const sample = one.stages.decoder
          ? latents[0]!.map((value) => Math.max(-1, Math.min(1, value)))
          : latents[0]!;
        expect(meanDifference(sample, readFloats(family, small).subarray(0, sample.length))).toBeLessThan(
          one.tolerance,
        );
        expect(meanDifference(pictures[0]!.data, readPixels(family, one))).toBeLessThan(one.tolerance);
      });
    }

    it('paints four together as each alone, bit for bit', async () => {
      const [first] = readCases(family);
      const asked = await requestOf(family, first!, 4);
      const model = modelOf(family);
      const together = await model.generate({ ...asked, guidance: [8, 1, 3, 8], sharedNoise: 0 });
      for (const [i, seed] of asked.seeds.entries()) {
        const alone = await model.generate({ ...asked, seeds: [seed], guidance: [8, 1, 3, 8][i]! });
        expect(meanDifference(alone.pictures[0]!.data, together.pictures[i]!.data)).toBe(0);
      }
    });
  });
}

const request = {
  prompt: 'a fox',
  emphasis: false,
  seeds: [1, 2],
  width: 128,
  height: 128,
  steps: 4,
  guidance: 3,
  prior: { steps: 3 },
  superRes: { steps: 2 },
};

describe('the stages of a model with a picture embedding', () => {
  it('are told by name, with pictures to look at from the decoder on', async () => {
    const seen: { step: number; stage: string; side: number }[] = [];
    const onStep = ({ step, steps, stage, preview }: Step): void => {
      expect(steps).toBe(9);
      seen.push({ step, stage: stage!, side: preview()[0]?.width ?? 0 });
    };
    await modelOf('karlo').generate(request, { onStep });
    expect(seen.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(seen.map(({ stage }) => stage)).toEqual([
      ...Array(3).fill('prior'),
      ...Array(4).fill('decoder'),
      ...Array(2).fill('super-resolution'),
    ]);
    expect(seen.map(({ side }) => side)).toEqual([0, 0, 0, 32, 32, 32, 32, 128, 128]);
  });

  it('can be cancelled in each of them', async () => {
    for (const stage of ['prior', 'decoder', 'super-resolution']) {
      const abort = new AbortController();
      const stop = (step: Step): void => {
        if (step.stage === stage) abort.abort();
      };
      await expect(
        modelOf('karlo').generate(request, { signal: abort.signal, onStep: stop }),
      ).rejects.toMatchObject({ code: 'aborted' });
    }
  });

  it('name the seed and the stage where numbers get lost', async () => {
    const away = { ...request, guidance: 1e39, seeds: [7] };
    const config = { clip_sample: false, variance_type: 'fixed_small_log' };
    await expect(modelOf('karlo').generate({ ...away, scheduler: { config } })).rejects.toMatchObject({
      code: 'not-a-number',
      message: expect.stringMatching(/^seed 7: the decoder's picture/),
    });
  });

  it('stop the decoder early and enlarge all the same', async () => {
    const steps: Step[] = [];
    await modelOf('karlo').generate({ ...request, stop: 0.5 }, { onStep: (step) => void steps.push(step) });
    expect(steps.at(-1)).toMatchObject({ stage: 'super-resolution', step: 7, steps: 7 });
  });

  it('start from a picture in the decoder', async () => {
    const image = await readSource('karlo', 'variation-as-encoded');
    const model = modelOf('karlo');
    const init = { image, strength: 0.25 };
    const { latents } = await model.generate({ ...request, steps: 8, init });
    const again = await model.generate({ ...request, steps: 8, init, seeds: [2] });
    expect(meanDifference(again.latents[0]!, latents[1]!)).toBe(0);
  });
});
