import ExifReader from 'exifreader';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readPlainMetadata } from '../../../shared/picture/metadata.ts';
import {
  paintedXmp,
  parametersText,
  readRecipe,
  recipeXmp,
  withRecipe,
  withText,
} from '../../../shared/picture/png.ts';
import type { Recipe } from '../../../shared/picture/recipe.ts';

const recipe: Recipe = {
  v: 1,
  action: 'imagine',
  model: 'pocket',
  modelHash: '0123456789abcdef',
  prompt: 'một con cáo 🦊 trong tuyết --seed 7',
  parts: [
    { text: 'một con cáo 🦊', weight: 1 },
    { text: 'tuyết', weight: 0.5 },
  ],
  negative: 'text, frame',
  seed: 7,
  count: 4,
  width: 128,
  height: 96,
  steps: 12,
  guidance: 6.5,
  scheduler: 'EulerDiscreteScheduler',
  chaos: 0,
  weird: 0,
  stop: 1,
  tile: false,
};
const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#fa0' } })
  .png()
  .toBuffer();

describe('the recipe inside a PNG', () => {
  it('comes back as it went in, and the picture is untouched', async () => {
    const file = withRecipe(png, recipe, 2);
    expect(readRecipe(file)).toEqual(recipe);
    const [before, after] = await Promise.all([png, file].map((bytes) => sharp(bytes).raw().toBuffer()));
    expect(after?.equals(before as Buffer)).toBe(true);
  });

  it('carries its ancestors', () => {
    const child: Recipe = {
      ...recipe,
      action: 'vary-strong',
      parent: { jobId: '1'.repeat(18), index: 3, recipe },
    };
    expect(readRecipe(withRecipe(png, child))).toEqual(child);
  });

  it('says what other tools read, with the seed of the picture', () => {
    expect(readPlainMetadata(withRecipe(png, recipe, 2)).texts.get('parameters')).toBe(
      'một con cáo 🦊 (tuyết:0.5)\nNegative prompt: text, frame\nSteps: 12, Sampler: EulerDiscreteScheduler, ' +
        'CFG scale: 6.5, Seed: 9, Size: 128x96, Model hash: 0123456789abcdef, Model: pocket, Version: Dreamgrid',
    );
    expect(parametersText({ ...recipe, negative: '', seed: 0xffffffff }, 1)).toContain('Seed: 0,');
  });

  it('is text that libpng reads too', async () => {
    const { comments } = await sharp(withText(png, { parameters: 'plain', other: 'ünïcode ⛄' })).metadata();
    expect(comments).toEqual(
      expect.arrayContaining([
        { keyword: 'parameters', text: 'plain' },
        { keyword: 'other', text: 'ünïcode ⛄' },
      ]),
    );
  });

  it('is found in a WebP as well', async () => {
    const webp = await sharp(png).webp({ quality: 60 }).withXmp(recipeXmp(recipe)).toBuffer();
    expect(readRecipe(webp)).toEqual(recipe);
  });

  it('says to machines that one of them painted it, in PNG and WebP, and the same bytes each time', async () => {
    const webp = () => sharp(png).webp({ quality: 60 }).withXmp(recipeXmp(recipe)).toBuffer();
    for (const file of [withRecipe(png, recipe, 1), await webp()])
      expect(ExifReader.load(file)['DigitalSourceType']?.value).toBe(
        'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia',
      );
    expect(withRecipe(png, recipe, 1)).toEqual(withRecipe(png, recipe, 1));
    expect(await webp()).toEqual(await webp());
    expect((await sharp(withRecipe(png, recipe)).metadata()).xmp?.toString()).toBe(paintedXmp());
  });
});

describe('hostile bytes', () => {
  it('are never an exception', () => {
    const file = withRecipe(png, recipe);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        readRecipe(bytes);
        readPlainMetadata(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(255), fc.nat(file.length), (at, value, length) => {
        const broken = Buffer.from(file);
        broken[at] = value;
        readRecipe(broken);
        readRecipe(broken.subarray(0, length));
      }),
    );
  });

  it.each([
    ['not JSON', '{'],
    ['null', 'null'],
    ['another version', JSON.stringify({ ...recipe, v: 2 })],
    ['a field too many', JSON.stringify({ ...recipe, evil: 1 })],
    ['a key that changes the prototype', JSON.stringify(recipe).replace('{', '{"__proto__":{"x":1},')],
    ['a store key with a way out', JSON.stringify({ ...recipe, image: { key: '../secret', strength: 0.5 } })],
    ['nested deeper than the stack', '{"parent":{"recipe":'.repeat(20_000)],
    ['longer than a recipe can be', JSON.stringify({ ...recipe, prompt: 'x'.repeat(2 << 20) })],
  ])('%s is no recipe', (_, text) => {
    expect(readRecipe(withText(png, { dreamgrid: text }))).toBeUndefined();
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('a line of ancestors longer than ours is no recipe', () => {
    let deep = recipe;
    for (let i = 0; i < 40; i++)
      deep = { ...recipe, parent: { jobId: '1'.repeat(18), index: 0, recipe: deep } };
    expect(readRecipe(withRecipe(png, deep))).toBeUndefined();
  });

  it('a chunk whose CRC is wrong is not read', () => {
    const file = withText(png, { dreamgrid: JSON.stringify(recipe) });
    file[60] = (file[60] as number) ^ 1;
    expect(readRecipe(file)).toBeUndefined();
  });
});
