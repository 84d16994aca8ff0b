import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineage, MAX_LINEAGE, type Recipe, recipeSchema } from '../../../shared/picture/recipe.ts';
import { engineSettings, resolveRecipe } from '../../../shared/picture/resolve.ts';
import { type Params, type RenderRequest, renderRequestSchema } from '../../../shared/queue/job.ts';
import { UserError } from '../../../shared/service/errors.ts';
import { card, swift } from '../prompt/models.ts';

const request = (params: Params = {}, over: Partial<RenderRequest> = {}): RenderRequest =>
  renderRequestSchema.parse({
    v: 1,
    jobId: '123456789012345678',
    action: 'imagine',
    prompt: 'a fox',
    parts: [{ text: 'a fox', weight: 1 }],
    negative: '',
    params,
    model: 'pocket',
    seed: 7,
    count: 4,
    user: { id: '123456789012345678', name: 'ada' },
    createdAt: 0,
    ...over,
  });

const resolve = (params: Params = {}, over: Partial<RenderRequest> = {}): Recipe => {
  const recipe = resolveRecipe(request(params, over), card());
  expect(recipeSchema.parse(recipe)).toEqual(recipe);
  return recipe;
};

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error.code;
    throw error;
  }
  return 'none';
};

describe('resolveRecipe', () => {
  it('takes the model as it is where nothing is asked', () => {
    expect(resolve()).toEqual({
      v: 1,
      action: 'imagine',
      model: 'pocket',
      modelHash: '0123456789abcdef',
      prompt: 'a fox',
      parts: [{ text: 'a fox', weight: 1 }],
      negative: '',
      seed: 7,
      count: 4,
      width: 256,
      height: 256,
      steps: 20,
      guidance: 7,
      scheduler: 'DPMSolverMultistepScheduler',
      chaos: 0,
      weird: 0,
      stop: 1,
      tile: false,
    });
  });

  it.each<[Params, number]>([
    [{ quality: 0.25 }, 5],
    [{ quality: 0.5 }, 10],
    [{ quality: 2 }, 40],
    [{ quality: 4 }, 80],
    [{ draft: true }, 8],
    [{ draft: true, quality: 0.25 }, 2],
  ])('%j paints in %i steps', (params, steps) => {
    expect(resolve(params).steps).toBe(steps);
  });

  it('paints in two steps at least, unless the model was made for one', () => {
    const few = card({ defaults: { ...card().defaults, steps: 3 } });
    expect(resolveRecipe(request({ quality: 0.25 }), few).steps).toBe(2);
    const one = card({ defaults: { ...card().defaults, steps: 1 } });
    expect(resolveRecipe(request({ quality: 0.25 }), one).steps).toBe(1);
  });

  it.each<[Params, number]>([
    [{ stylize: 0 }, 4],
    [{ stylize: 50 }, 5.5],
    [{ stylize: 100 }, 7],
    [{ stylize: 250 }, 9.3876],
    [{ stylize: 1000 }, 13],
    [{ raw: true }, 5.5],
    [{ raw: true, stylize: 0 }, 3.25],
  ])('%j guides by %f', (params, guidance) => {
    expect(resolve(params).guidance).toBe(guidance);
  });

  it('guides more the more it is stylized', () => {
    const level = fc.integer({ min: 0, max: 1000 });
    const usual = fc.integer({ min: 11, max: 200 }).map((tenths) => tenths / 10);
    fc.assert(
      fc.property(level, level, usual, fc.boolean(), (a, b, guidance, raw) => {
        const model = card({ defaults: { ...card().defaults, guidance } });
        const at = (stylize: number) => resolveRecipe(request({ stylize, raw }), model).guidance;
        expect(at(Math.max(a, b))).toBeGreaterThanOrEqual(at(Math.min(a, b)));
        expect(at(0)).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('leaves a model without guidance alone', () => {
    expect(resolveRecipe(request({ raw: true }), swift).guidance).toBe(1);
  });

  it.each<[[number, number], [number, number]]>([
    [
      [1, 1],
      [256, 256],
    ],
    [
      [3, 2],
      [320, 208],
    ],
    [
      [2, 3],
      [208, 320],
    ],
    [
      [16, 9],
      [352, 192],
    ],
    [
      [9, 16],
      [192, 352],
    ],
    [
      [5, 1],
      [352, 192],
    ],
    [
      [1, 999],
      [192, 352],
    ],
    [
      [10, 9],
      [256, 256],
    ],
  ])('--ar %j is painted at %j', (aspect, [width, height]) => {
    expect(resolve({ aspect })).toMatchObject({ width, height });
  });

  it('falls back to the native size', () => {
    expect(resolveRecipe(request({ aspect: [3, 2] }), card({ buckets: [] }))).toMatchObject({
      width: 256,
      height: 256,
    });
  });

  it.each<[number | undefined, number | undefined]>([
    [undefined, 0.6],
    [1, 0.6],
    [0, undefined],
    [0.5, 0.7746],
    [2, 0.36],
    [3, 0.216],
  ])('--iw %s leaves %s of the schedule', (iw, strength) => {
    const image = { key: 'uploads/ab.png' };
    const recipe = resolve(iw === undefined ? {} : { iw }, { image });
    expect(recipe.image).toEqual(strength === undefined ? undefined : { ...image, strength });
    expect(engineSettings(recipe).strength).toBe(strength);
  });

  it('turns the rest into fractions', () => {
    expect(resolve({ chaos: 50, weird: 1500, stop: 80, tile: true, scheduler: 'euler-a' })).toMatchObject({
      chaos: 0.5,
      weird: 0.5,
      stop: 0.8,
      tile: true,
      scheduler: 'EulerAncestralDiscreteScheduler',
    });
  });

  it("knows the card's own defaults", () => {
    const own = card({
      parameters: { stylize: { default: 0 }, quality: { default: 2 }, stop: { default: 90 } },
    });
    expect(resolveRecipe(request(), own)).toMatchObject({ guidance: 4, steps: 40, stop: 0.9, chaos: 0 });
    expect(resolveRecipe(request({ stylize: 100, quality: 1 }), own)).toMatchObject({
      guidance: 7,
      steps: 20,
    });
  });

  it('refuses what the model cannot do', () => {
    const of = (params: Params) => codeOf(() => resolveRecipe(request(params), swift));
    expect(of({ stylize: 50 })).toBe('unsupported-parameter');
    expect(of({ quality: 4 })).toBe('out-of-range');
    expect(of({ scheduler: 'magic' })).toBe('unknown-sampler');
    expect(of({ quality: 2, tile: false, repeat: 1 })).toBe('none');
  });
});

describe('from a parent', () => {
  const grid = resolve({ aspect: [3, 2] });
  const parent = { jobId: '123456789012345678', index: 2, recipe: grid };

  it.each([
    ['vary-subtle', 0.45, 4, 320, 208],
    ['vary-strong', 0.75, 4, 320, 208],
    ['upscale-subtle', undefined, 1, 640, 416],
    ['upscale-creative', 0.25, 1, 640, 416],
  ] as const)('%s', (action, strength, count, width, height) => {
    const recipe = resolve({}, { action, parent, seed: 99 });
    expect(recipe).toMatchObject({ action, count, width, height, seed: 99, parent });
    expect(engineSettings(recipe).strength).toBe(strength);
    expect(engineSettings(recipe).seeds).toHaveLength(count);
  });

  it('enlarges four times with a model of its own for that', () => {
    const large = resolveRecipe(request({}, { action: 'upscale-subtle', parent }), card({ upscale: true }));
    expect(large).toMatchObject({ width: 1280, height: 832 });
  });

  it('never enlarges beyond the largest recipe', () => {
    let recipe: Recipe = grid;
    for (let i = 0; i < 8; i++)
      recipe = resolve({}, { action: 'upscale-subtle', parent: { ...parent, recipe } });
    expect(recipe).toMatchObject({ width: 4096 });
  });

  it('varies an upscaled picture at the size it was painted in', () => {
    const upscaled = resolve({}, { action: 'upscale-subtle', parent });
    const recipe = resolve({}, { action: 'vary-strong', parent: { ...parent, index: 0, recipe: upscaled } });
    expect(recipe).toMatchObject({ width: 320, height: 208 });
  });

  it('finds the shape again on another model', () => {
    const other = card({
      name: 'other',
      native: { width: 512, height: 512 },
      buckets: [
        [512, 512],
        [608, 416],
      ],
    });
    const recipe = resolveRecipe(request({}, { action: 'vary-strong', parent, model: 'other' }), other);
    expect(recipe).toMatchObject({ width: 608, height: 416 });
  });

  it('forgets the oldest ancestors', () => {
    let recipe: Recipe = grid;
    for (let i = 0; i < 2 * MAX_LINEAGE; i++)
      recipe = resolve({}, { action: 'vary-subtle', parent: { ...parent, recipe }, seed: i });
    expect(lineage(recipe)).toHaveLength(MAX_LINEAGE);
    expect(lineage(recipe)[1]!.seed).toBe(recipe.seed - 1);
  });
});

describe('engineSettings', () => {
  it('gives picture i seed S + i, round the corner too', () => {
    expect(engineSettings(resolve({}, { seed: 0xfffffffe })).seeds).toEqual([0xfffffffe, 0xffffffff, 0, 1]);
  });

  it('treats all four alike without chaos', () => {
    expect(engineSettings(resolve({ weird: 300 }))).toEqual({
      seeds: [7, 8, 9, 10],
      guidances: [7, 7, 7, 7],
      sharedNoise: 0,
      perturb: 0.1,
      perturbs: [0, 0, 0, 0],
    });
  });

  it('spreads guidance within its bounds, wider with more chaos', () => {
    const spread = (chaos: number, seed: number) => {
      const { guidances } = engineSettings(resolve({ chaos }, { seed }));
      for (const guidance of guidances) {
        expect(guidance).toBeGreaterThanOrEqual(1 + 6 / 2);
        expect(guidance).toBeLessThanOrEqual(1 + 6 * 2);
      }
      return Math.max(...guidances) - Math.min(...guidances);
    };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (seed) => {
        expect(spread(0, seed)).toBe(0);
        expect(spread(100, seed)).toBeGreaterThan(spread(50, seed));
        expect(spread(50, seed)).toBeGreaterThan(spread(10, seed));
        expect(spread(100, seed)).toBeGreaterThan(3);
      }),
    );
  });

  it('paints one picture of a grid by itself as it was in the grid', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 3 }),
        (seed, chaos, index) => {
          const four = engineSettings(resolve({ chaos }, { seed }));
          const one = engineSettings(resolve({ chaos }, { seed: (seed + index) >>> 0, count: 1 }));
          expect(one.guidances[0]).toBe(four.guidances[index]);
          expect(one.seeds[0]).toBe(four.seeds[index]);
          expect(one.perturbs[0]).toBe(four.perturbs[index]);
        },
      ),
    );
  });
});
