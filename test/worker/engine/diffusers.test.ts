/**
 * Painted by diffusers itself from the reference models' weights: every scheduler class with options that change
 * something, in all three kinds of painting, with prompts and sizes that the reference cases do not have.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Parts } from '../../../worker/engine/generate.ts';
import { type GenerateRequest, loadModel, type Model } from '../../../worker/engine/index.ts';
import { loadParts } from '../../../worker/engine/load.ts';
import { parsePythonJson } from '../../../worker/engine/schedulers/config.ts';
import { meanDifference, modelDir, readPicture, referenceDir } from '../../support/reference.ts';

interface Painted {
  readonly family: string;
  readonly kind: 'text-to-image' | 'img2img' | 'inpaint';
  readonly scheduler: string;
  readonly options: Record<string, unknown>;
  readonly prompt: string;
  readonly negative: string | null;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
  readonly strength?: number;
  readonly config: Record<string, unknown>;
  readonly mean: number;
  readonly samples: readonly number[];
}

interface Digest {
  readonly sum: number;
  readonly abs: number;
  readonly at: readonly number[];
}

interface Encoded {
  readonly name: string;
  readonly prompt: string;
  readonly negative: string | null;
  readonly hidden: Digest;
  readonly pooled: Digest;
  readonly negativeHidden: Digest;
  readonly negativePooled: Digest;
}

const read = <T>(file: string): T[] =>
  (
    parsePythonJson(readFileSync(path.join(import.meta.dirname, '../../data/diffusers', file), 'utf8')) as {
      cases: T[];
    }
  ).cases;

const pipelines = path.join(referenceDir, 'pipelines');
const source = path.join(pipelines, 'sd15/expected/img2img-60-source.png');
const mask = path.join(pipelines, 'inpaint/expected/region-mask.png');

describe("diffusers' pictures", () => {
  const models = new Map<string, Promise<Model>>();
  const modelOf = (family: string): Promise<Model> => {
    if (!models.has(family)) models.set(family, loadModel(modelDir(family), { threads: 1 }));
    return models.get(family)!;
  };
  afterAll(async () => {
    for (const model of models.values()) await (await model).release();
  });

  for (const one of read<Painted>('pictures.json')) {
    const options = Object.entries(one.options).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
    it(`${one.family}, ${one.kind}, ${one.scheduler} ${options.join(', ')}`, async () => {
      const { prompt, seed, width, height, steps, guidance } = one;
      const request: GenerateRequest = {
        ...{ prompt, seeds: [seed], width, height, steps, guidance, emphasis: false },
        ...(one.negative === null ? {} : { negative: one.negative }),
        scheduler: { name: one.scheduler, config: one.config },
        ...(one.kind === 'text-to-image'
          ? {}
          : { init: { image: await readPicture(source), strength: one.strength! } }),
        ...(one.kind === 'inpaint' ? { mask: await readPicture(mask) } : {}),
      };
      const { data } = (await (await modelOf(one.family)).generate(request)).pictures[0]!;
      const samples = one.samples.map((_, i) => data[Math.floor((i * data.length) / one.samples.length)]!);
      expect(meanDifference(samples, one.samples)).toBeLessThan(1e-4);
      expect(Math.abs(data.reduce((total, value) => total + value, 0) / data.length - one.mean)).toBeLessThan(
        1e-4,
      );
    });
  }
});

describe('what SDXL is told', () => {
  let parts: Parts;
  beforeAll(async () => {
    parts = await loadParts(modelDir('sdxl'), { threads: 1 });
  });
  afterAll(async () => {
    for (const session of parts.sessions) await session.release();
  });

  for (const one of read<Encoded>('sdxl-conditions.json')) {
    it(`${one.name}: both encoders' hidden states, pooled embedding, sizes, as diffusers makes them`, async () => {
      const { positive, negative } = await parts.family.condition({
        ...{ folder: parts.folder, encoders: parts.encoders, denoiser: parts.denoiser, emphasis: false },
        prompt: [{ text: one.prompt, weight: 1 }],
        negative: one.negative ?? undefined,
        ...{ width: 96, height: 64, perturb: { amount: 0, seed: 0 } },
      });
      expectDigest(positive.hidden, one.hidden);
      expectDigest(positive.extras['text_embeds']!, one.pooled);
      expectDigest(negative!.hidden, one.negativeHidden);
      expectDigest(negative!.extras['text_embeds']!, one.negativePooled);
      expect([...positive.extras['time_ids']!]).toEqual([64, 96, 0, 0, 64, 96]);
    });
  }
});

/** Up to five parts in a million of the largest value, which float32's own sums differ by. */
function expectDigest(values: Float32Array, { sum, abs, at }: Digest): void {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  const samples = at.map((_, i) => values[Math.floor((i * values.length) / at.length)]!);
  expect(Math.max(...at.map((value, i) => Math.abs(value - samples[i]!)))).toBeLessThan(
    5e-6 * largest + 1e-5,
  );
  const total = values.reduce((t, value) => t + value, 0);
  const absolute = values.reduce((t, value) => t + Math.abs(value), 0);
  expect(Math.abs(total - sum)).toBeLessThan(1e-5 * Math.max(abs, 1));
  expect(Math.abs(absolute - abs)).toBeLessThan(1e-5 * Math.max(abs, 1));
}
