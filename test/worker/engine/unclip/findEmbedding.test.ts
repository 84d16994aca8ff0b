import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../../worker/engine/index.ts';
import {
  interpolate,
  lengthOf,
  reword,
  slerp,
  unit,
} from '../../../../worker/engine/unclip/embeddingArithmetic.ts';
import { meanDifference, readSource, writeModel } from './models.ts';

let dir: string;
let model: Model;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'unclip-'));
  await writeModel('karlo', path.join(dir, 'karlo'));
  model = await loadModel(path.join(dir, 'karlo'));
}, 60_000);

afterAll(async () => {
  await model.release();
  await rm(dir, { recursive: true, force: true });
});

const cosine = (a: Float32Array, b: Float32Array): number =>
  unit(a).reduce((total, value, i) => total + value * unit(b)[i]!, 0);
const v = (...values: number[]): Float32Array => Float32Array.from(values);

describe('arithmetic on picture embeddings', () => {
  it('goes by the angle between two, their lengths on a line', () => {
    const half = slerp(v(2, 0), v(0, 4), 0.5);
    expect(lengthOf(half)).toBeCloseTo(3, 5);
    expect(cosine(half, v(1, 1))).toBeCloseTo(1, 5);
    expect([...slerp(v(2, 0), v(0, 4), 0)]).toEqual([2, 0]);
    expect([...slerp(v(1, 0), v(1, 0), 0.3)]).toEqual([1, 0]);
  });

  it('takes the mean direction of more, at their mean length', () => {
    const mixed = interpolate([v(1, 0, 0), v(0, 1, 0), v(0, 0, 4)], [1, 1, 1]);
    expect(lengthOf(mixed)).toBeCloseTo(2, 5);
    expect(cosine(mixed, v(1, 1, 1))).toBeCloseTo(1, 5);
  });

  it('turns towards what tells two texts apart, and not at all where they are one', () => {
    const picture = v(3, 0, 0);
    const moved = reword(picture, v(0, 1, 0), v(0, 0, 1), 0.5);
    expect(lengthOf(moved)).toBeCloseTo(3, 5);
    expect(cosine(moved, v(0, -1, 1))).toBeCloseTo(Math.SQRT1_2, 5);
    expect([...reword(picture, v(0, 1, 0), v(0, 2, 0), 0.5)]).toEqual([3, 0, 0]);
  });
});

const request = {
  prompt: '',
  seeds: [1, 2],
  width: 128,
  height: 128,
  steps: 3,
  guidance: 1,
  superRes: { steps: 1 },
};

describe('pictures as what a picture is about', () => {
  it('of one picture no prior runs, and its embedding is the encoder’s', async () => {
    const picture = await readSource('karlo', 'variation-as-encoded');
    const stages = new Set<string | undefined>();
    const { imageEmbeddings } = await model.generate(
      { ...request, meaning: { pictures: [picture] } },
      { onStep: ({ stage }) => void stages.add(stage) },
    );
    expect([...stages]).toEqual(['decoder', 'super-resolution']);
    expect([...imageEmbeddings![0]!]).toEqual([...(await model.encodeImage!(picture))]);
  });

  it('of two and a prompt, all have their share', async () => {
    const pictures = [
      await readSource('karlo', 'variation-as-encoded'),
      await readSource('karlo', 'variation-resized'),
    ];
    const [a, b] = [await model.encodeImage!(pictures[0]!), await model.encodeImage!(pictures[1]!)];
    const zOf = async (weights: number[], text = 0): Promise<Float32Array> =>
      (
        await model.generate({
          ...request,
          prompt: 'a fox',
          prior: { steps: 2, guidance: 1 },
          seeds: [1],
          steps: 1,
          meaning: { pictures, weights, text },
        })
      ).imageEmbeddings![0]!;
    const near = await zOf([3, 1]);
    const far = await zOf([1, 3]);
    expect(cosine(near, a)).toBeGreaterThan(cosine(far, a));
    expect(cosine(far, b)).toBeGreaterThan(cosine(near, b));
    expect(meanDifference(await zOf([1, 1], 2), await zOf([1, 1]))).toBeGreaterThan(1e-3);
  });

  it('reworded by four strengths goes ever further, each picture alone as in the grid', async () => {
    const picture = await readSource('karlo', 'variation-as-encoded');
    const own = await model.encodeImage!(picture);
    const asked = (strengths: number[], seeds: number[]) => ({
      ...request,
      seeds,
      meaning: {
        pictures: [picture],
        keepLayout: true,
        reword: { from: 'a cat', to: 'a castle at night', strengths },
      },
    });
    const grid = await model.generate(asked([0, 0.25, 0.5, 1], [1, 2, 3, 4]));
    const turns = grid.imageEmbeddings!.map((z) => cosine(z, own));
    expect(turns[0]).toBeCloseTo(1, 5);
    expect([...turns].sort((x, y) => y - x)).toEqual(turns);
    const third = await model.generate(asked([0.5], [3]));
    expect(meanDifference(third.pictures[0]!.data, grid.pictures[2]!.data)).toBe(0);
  });

  it('keeps the layout: decoded from its own noise it is nearer to the picture than from fresh noise', async () => {
    const picture = await readSource('karlo', 'variation-as-encoded');
    const asked = { ...request, seeds: [5], steps: 20, eta: 0, guidance: 1 };
    const scheduler = { name: 'DDIMScheduler', config: { clip_sample: false, variance_type: null } };
    const near = await model.generate({
      ...asked,
      scheduler,
      meaning: { pictures: [picture], keepLayout: true },
    });
    const far = await model.generate({ ...asked, scheduler, meaning: { pictures: [picture] } });
    const target = Float32Array.from({ length: 3072 }, (_, k) => {
      const [c, at] = [Math.floor(k / 1024), k % 1024];
      return 2 * picture.data[3 * at + c]! - 1;
    });
    expect(meanDifference(near.latents[0]!, target)).toBeLessThan(
      0.5 * meanDifference(far.latents[0]!, target),
    );
  });
});

describe('a meaning that makes no sense', () => {
  const wrong: [string, object, RegExp][] = [
    ['no picture', { pictures: [] }, /needs a picture/],
    ['weights that do not fit', { pictures: ['p'], weights: [1, 2] }, /2 weights for 1/],
    ['a negative weight', { pictures: ['p'], weights: [-1] }, /must be 0 or more; got 0, -1/],
    ['nothing but zeros', { pictures: ['p'], weights: [0] }, /above 0/],
    [
      'a strength beyond the way',
      { pictures: ['p'], reword: { from: 'a', to: 'b', strengths: [0.5, 1.5] } },
      /between 0 and 1; got 1.5/,
    ],
  ];
  for (const [what, meaning, message] of wrong) {
    it(`is refused in words: ${what}`, async () => {
      const picture = await readSource('karlo', 'variation-as-encoded');
      const given = JSON.parse(JSON.stringify(meaning)) as { pictures: unknown[] };
      const filled = { ...given, pictures: given.pictures.map(() => picture) };
      await expect(model.generate({ ...request, meaning: filled })).rejects.toMatchObject({
        code: 'bad-request',
        message: expect.stringMatching(message),
      });
    });
  }
});
