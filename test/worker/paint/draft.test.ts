import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Recipe } from '../../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../../shared/picture/resolve.ts';
import { openFolderStore } from '../../../shared/picture/store.ts';
import { type InstalledModel, readModels, toCard } from '../../../worker/models/installed.ts';
import { paint } from '../../../worker/paint/paint.ts';
import { type Engine, openEngine } from '../../../worker/process/enginePool.ts';
import { makeRequest } from '../../support/jobs.ts';
import { type ModelsFolder, makeModels } from '../../support/tinyModel.ts';

/** `--draft` decodes with the tiny decoder where a model has one; here it is the large one with a range of its own. */
let folder: ModelsFolder;
let engine: Engine;
let models: Map<string, InstalledModel>;
beforeAll(async () => {
  folder = await makeModels(['plain', 'quick']);
  const part = (name: string) => join(folder.root, 'quick', name);
  await cp(part('vae_decoder'), part('tiny_decoder'), { recursive: true, dereference: true });
  await writeFile(join(part('tiny_decoder'), 'config.json'), '{"output_range": [0, 1]}');
  await folder.writeManifest('quick');
  models = new Map((await readModels(folder.root)).all.map((model) => [model.name, model]));
  engine = openEngine({ providers: ['cpu'], threads: 1, deadlineMs: 120_000, maxLoaded: 2 });
});
afterAll(async () => {
  await engine?.close();
  await folder?.remove();
});

it('a draft of a model with a tiny decoder is decoded by it, and is the same each time', async () => {
  const store = await openFolderStore(join(folder.root, '.store'));
  const painted = async (model: string, change: Partial<Recipe> = {}) => {
    const card = toCard(models.get(model) as InstalledModel);
    const recipe = resolveRecipe(makeRequest({ model, count: 1, params: { draft: true } }), card);
    expect(recipe.draft).toBe(true);
    const deps = { engine, store, model: (name: string) => models.get(name) };
    return (await paint(deps, { ...recipe, ...change })).pictures[0]?.data as Uint8Array;
  };
  const whole = { draft: undefined };
  expect(await painted('quick')).toEqual(await painted('quick'));
  expect(await painted('quick')).not.toEqual(await painted('quick', whole));
  expect(await painted('plain')).toEqual(await painted('plain', whole));
});
