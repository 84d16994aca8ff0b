import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type GenerateRequest,
  loadModel,
  type Meaning,
  type Model,
  type Picture,
} from '../../../../worker/engine/index.ts';
import { unit } from '../../../../worker/engine/unclip/embedding.ts';
import { readModels } from '../../../../worker/models/installed.ts';
import { meanDifference } from './models.ts';

const root = path.resolve(import.meta.dirname, '../../../../models');
let model: Model;

beforeAll(async () => {
  const { dir, manifest } = (await readModels(root)).get('pocket-unclip')!;
  model = await loadModel(dir, { threads: 1, ...(manifest.stages ? { stages: manifest.stages } : {}) });
}, 60_000);

afterAll(() => model.release());

const cosine = (a: Float32Array, b: Float32Array): number =>
  unit(a).reduce((total, value, i) => total + value * unit(b)[i]!, 0);

const request: GenerateRequest = {
  prompt: 'a castle by day',
  seeds: [1, 2, 3, 4],
  width: 256,
  height: 256,
  steps: 4,
  guidance: 3,
  prior: { steps: 6 },
  superRes: { steps: 1 },
};

describe('pocket-unclip', () => {
  let castle: Picture;
  let whale: Picture;

  it('paints four together as each alone, to the bit', async () => {
    const grid = await model.generate(request);
    const alone = await model.generate({ ...request, seeds: [3] });
    expect(meanDifference(alone.pictures[0]!.data, grid.pictures[2]!.data)).toBe(0);
    castle = grid.pictures[2]!;
    expect([castle.width, castle.height]).toEqual([256, 256]);
  });

  it('draws embeddings that lie nearer to their own words than to others', async () => {
    const { pictures, imageEmbeddings } = await model.generate({
      ...request,
      prompt: 'a whale under water',
      seeds: [3],
    });
    whale = pictures[0]!;
    const { texts, joint } = await model.embed(['a castle by day', 'a whale under water'], [whale]);
    expect(joint).toBe(true);
    const [own, other] = [cosine(imageEmbeddings![0]!, texts[1]!), cosine(imageEmbeddings![0]!, texts[0]!)];
    expect(own).toBeGreaterThan(other + 0.2);
  });

  it('varies, blends and rewords pictures by what they are about', async () => {
    const meant = async (meaning: Meaning): Promise<Float32Array> =>
      (await model.generate({ ...request, prompt: '', seeds: [3], steps: 1, guidance: 1, meaning }))
        .imageEmbeddings![0]!;
    const [a, b] = [await model.encodeImage!(castle), await model.encodeImage!(whale)];
    const { texts } = await model.embed(['a castle by day', 'a castle at night']);
    const towardsNight = (z: Float32Array): number => cosine(z, texts[1]!) - cosine(z, texts[0]!);
    expect([...(await meant({ pictures: [castle] }))]).toEqual([...a]);

    const half = await meant({ pictures: [castle, whale] });
    expect(cosine(half, a)).toBeCloseTo(cosine(half, b), 3);
    expect(cosine(half, a)).toBeGreaterThan(cosine(a, b));

    const reword = { from: 'a castle by day', to: 'a castle at night', strengths: [0.4] };
    const moved = await meant({ pictures: [castle], reword });
    expect(towardsNight(moved)).toBeGreaterThan(towardsNight(a) + 0.2);
  });
});
