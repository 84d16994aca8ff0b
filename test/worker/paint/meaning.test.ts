import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Recipe, recipeSchema } from '../../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../../shared/picture/resolve.ts';
import { openFolderStore, type Store } from '../../../shared/picture/store.ts';
import { addModel } from '../../../worker/models/hub/add.ts';
import { type InstalledModel, readModels, toCard } from '../../../worker/models/installed.ts';
import { worded } from '../../../worker/paint/blend.ts';
import { encodePng } from '../../../worker/paint/grid.ts';
import { type Painting, paint, rewordedPicture, storePainting } from '../../../worker/paint/paint.ts';
import type { Pixels } from '../../../worker/paint/pixels.ts';
import { type Engine, openEngine } from '../../../worker/process/enginePool.ts';
import type { StepNews } from '../../../worker/process/protocol.ts';
import { makeRequest, snowflake } from '../../support/jobs.ts';
import { sourceOf } from '../engine/unclip/models.ts';

/** Karlo's shape with random weights, taken in as its makers would write it. */
let root: string;
let store: Store;
let engine: Engine;
let model: InstalledModel;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dreamgrid-meaning-'));
  await addModel(root, sourceOf('karlo'), 'tiny-unclip', { link: false });
  const found = (await readModels(root)).get('tiny-unclip') as InstalledModel;
  const stages = { prior: { steps: 2, guidance: 2 }, superRes: { steps: 1 } };
  model = { ...found, manifest: { ...found.manifest, stages } };
  store = await openFolderStore(join(root, '.store'));
  engine = openEngine({ providers: ['cpu'], threads: 1, deadlineMs: 120_000 });
}, 60_000);
afterAll(async () => {
  await engine?.close();
  await rm(root, { recursive: true, force: true });
});

const deps = () => ({ engine, store, model: () => model });
const card = () => ({
  ...toCard(model),
  defaults: { steps: 2, guidance: 2, scheduler: 'UnCLIPScheduler' },
});

/** Another model's picture, of another size. */
const foreign = (shift: number): Pixels => ({
  width: 96,
  height: 64,
  data: Uint8Array.from({ length: 96 * 64 * 3 }, (_, i) => (i * 7 + (i >> 5) * shift) % 251),
});

async function parentOf(): Promise<{ jobId: string; recipe: Recipe; index: number }> {
  const jobId = snowflake();
  const recipe = {
    ...resolveRecipe(makeRequest({ jobId, model: 'tiny-unclip', count: 1 }), card()),
    model: 'another',
    width: 96,
    height: 64,
  };
  await storePainting(store, jobId, recipe, { pictures: [foreign(13)], latents: [new Float32Array(4)] });
  return { jobId, recipe, index: 0 };
}

async function uploaded(shift: number): Promise<{ key: string }> {
  const { recipe } = await parentOf();
  const key = `uploads/${shift}.png`;
  await store.put(key, await encodePng(foreign(shift), recipe, 0));
  return { key };
}

const resolved = (wish: Partial<Parameters<typeof makeRequest>[0]>): Recipe =>
  recipeSchema.parse(resolveRecipe(makeRequest({ model: 'tiny-unclip', count: 2, ...wish }), card()));

const bytesOf = ({ pictures }: Painting): string =>
  Buffer.concat(pictures.map(({ data }) => data)).toString('base64');

describe('a model with a picture embedding', () => {
  it('is known for it by its card, and tells its stages', async () => {
    expect(toCard(model)).toMatchObject({ family: 'unclip', pictureEmbedding: true });
    const stages = new Set<string | undefined>();
    const seen: StepNews[] = [];
    await paint(deps(), resolved({ action: 'imagine' }), {
      previewEveryMs: 0,
      onStep: (news) => {
        stages.add(news.stage);
        seen.push(news);
      },
    });
    expect([...stages]).toEqual(['prior', 'decoder', 'super-resolution']);
    for (const { stage, previews } of seen) if (stage === 'prior') expect(previews).toBeUndefined();
    expect(seen.some(({ stage, previews }) => stage === 'decoder' && previews?.length === 2)).toBe(true);
  });

  it('varies another model’s picture by what it shows, bit for bit again, Subtle unlike Strong', async () => {
    const parent = await parentOf();
    const strong = resolved({ action: 'vary-strong', parent });
    expect(strong.meaning).toEqual({ text: 0 });
    const subtle = resolved({ action: 'vary-subtle', parent });
    expect(subtle.meaning).toEqual({ text: 0, layout: true });
    const [first, again, other] = [
      await paint(deps(), strong),
      await paint(deps(), strong),
      await paint(deps(), subtle),
    ];
    expect(bytesOf(again)).toBe(bytesOf(first));
    expect(bytesOf(other)).not.toBe(bytesOf(first));
    expect(first.pictures).toHaveLength(2);
  });

  it('blends uploads without words, the order mattering less than what they are', async () => {
    const blend = [await uploaded(3), await uploaded(13), await uploaded(29)];
    const recipe = resolved({ action: 'blend', blend, parts: [{ text: '', weight: 1 }] });
    expect(recipe.meaning).toEqual({ text: 0 });
    const one = await paint(deps(), recipe);
    expect(bytesOf(await paint(deps(), recipe))).toBe(bytesOf(one));
    const two = resolved({ action: 'blend', blend: blend.slice(0, 2), parts: [{ text: '', weight: 1 }] });
    expect(bytesOf(await paint(deps(), two))).not.toBe(bytesOf(one));
  });

  it('gives each of several pictures its share', async () => {
    const [a, b] = [await uploaded(3), await uploaded(13)];
    const paintOf = (first: number) =>
      paint(
        deps(),
        resolved({
          action: 'blend',
          count: 1,
          blend: [
            { ...a, share: first },
            { ...b, share: 1 - first },
          ],
          parts: [{ text: '', weight: 1 }],
        }),
      );
    const [near, middle] = [await paintOf(0.9), await paintOf(0.5)];
    expect(bytesOf(near)).not.toBe(bytesOf(middle));
    const evenly = resolved({ action: 'blend', count: 1, blend: [a, b], parts: [{ text: '', weight: 1 }] });
    expect(bytesOf(await paint(deps(), evenly))).toBe(bytesOf(middle));
  });

  it('rewords an upload, and says where it cannot tell what that shows', async () => {
    const image = await uploaded(3);
    const wish = { action: 'reword' as const, image, count: 2 };
    const recipe = resolved({ ...wish, reword: { from: 'a cat', to: 'a castle' } });
    expect(recipe).toMatchObject({ image: { key: image.key }, meaning: { layout: true } });
    expect((await paint(deps(), recipe)).pictures).toHaveLength(2);
    const unsaid = resolved({ ...wish, reword: { from: '', to: 'a castle' } });
    const look = () => rewordedPicture(deps(), unsaid);
    const told = await worded(deps(), model, unsaid, look);
    expect(told.meaning?.reword?.from).toMatch(/^an? \w+/);
    const blind = { ...engine, embed: async () => ({ texts: [], pictures: [], joint: false }) };
    await expect(worded({ ...deps(), engine: blind }, model, unsaid, look)).rejects.toMatchObject({
      code: 'reword-unseen',
      params: { model: 'tiny-unclip' },
    });
  });

  it('reads an image prompt with the words, by --iw', async () => {
    const image = await uploaded(3);
    const usual = resolved({ action: 'imagine', image });
    expect(usual.meaning).toEqual({ text: 0.5 });
    const close = resolved({ action: 'imagine', image, params: { iw: 3 } });
    expect(close.meaning).toEqual({ text: 0.25 });
    const wordless = resolved({ action: 'imagine', image, parts: [{ text: '', weight: 1 }] });
    expect(wordless.meaning).toEqual({ text: 0 });
    expect(resolved({ action: 'imagine', image, params: { iw: 0 } }).meaning).toBeUndefined();
    expect(bytesOf(await paint(deps(), usual))).not.toBe(bytesOf(await paint(deps(), close)));
  });

  it('rewords in four strengths, each picture the same alone', async () => {
    const parent = await parentOf();
    const reword = { from: 'a cat', to: 'a castle at night' };
    const grid = resolved({ action: 'reword', parent, reword, count: 4 });
    expect(grid.meaning?.reword).toEqual({ ...reword, strengths: [0.15, 0.25, 0.35, 0.5] });
    const painted = await paint(deps(), grid);
    expect(new Set(painted.pictures.map(({ data }) => Buffer.from(data).toString('base64'))).size).toBe(4);
    // Chaos paints one by one; the strengths go along.
    const apart = await paint(deps(), { ...grid, chaos: 1e-9 });
    expect(bytesOf(apart)).toBe(bytesOf(painted));
  });

  it('says so where it has none: Reword is refused, V goes on from the picture itself', () => {
    const { pictureEmbedding: _, ...plain } = card();
    const parent = { jobId: snowflake(), index: 0, recipe: resolved({}) };
    const wish = { model: 'tiny-unclip', parent, reword: { from: 'a', to: 'b' } };
    expect(() => resolveRecipe(makeRequest({ ...wish, action: 'reword' }), plain)).toThrow(
      expect.objectContaining({ code: 'no-reword' }),
    );
    expect(resolveRecipe(makeRequest({ ...wish, action: 'vary-strong' }), plain).meaning).toBeUndefined();
  });
});
