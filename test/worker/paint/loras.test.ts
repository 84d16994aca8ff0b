/** A recipe with LoRAs and an embedding through the engine's process: painted again bit for bit, or a word that names what is gone. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Recipe } from '../../../shared/picture/recipe.ts';
import { type AdapterStore, openAdapterStore } from '../../../worker/models/adapterStore.ts';
import { readModels, toCard } from '../../../worker/models/installed.ts';
import { paint } from '../../../worker/paint/paint.ts';
import { openEngine } from '../../../worker/process/enginePool.ts';
import type { StepNews } from '../../../worker/process/protocol.ts';
import { installed } from '../engine/adapters/setup.ts';
import { data } from '../models/import/cases.ts';

const place = installed('sd15');

it('LoRAs and embeddings of a recipe', { timeout: 120_000 }, async () => {
  const root = join(place.work, 'models');
  for (const [kind, from, name] of [
    ['loras', 'lora/sd15/kohya.safetensors', 'pixelart'],
    ['loras', 'lora/sd15/loha.safetensors', 'ink'],
    ['embeddings', 'embeddings/sd15-a1111.safetensors', 'mystyle'],
  ] as const) {
    await mkdir(join(root, kind), { recursive: true });
    await copyFile(join(data, from), join(root, kind, `${name}.safetensors`));
  }
  const adapters = await openAdapterStore(root);
  const models = await readModels(root);
  expect(models.problems).toEqual([]);
  const card = toCard(models.get('sd15')!, adapters);
  expect(card).toMatchObject({ base: 'sd1' });
  const [ink, pixelart] = card.loras!;
  const recipe: Recipe = {
    v: 1,
    action: 'imagine',
    model: 'sd15',
    modelHash: card.hash,
    prompt: 'a knight in mystyle --lora pixelart:0.8 --lora ink:0.5',
    parts: [{ text: 'a knight in mystyle', weight: 1 }],
    negative: '',
    ...{
      seed: 7,
      count: 2,
      width: 64,
      height: 64,
      steps: 2,
      guidance: 6,
      scheduler: 'EulerDiscreteScheduler',
    },
    ...{ chaos: 0, weird: 0, stop: 1, tile: false },
    loras: [
      { name: 'pixelart', weight: 0.8, sha256: pixelart!.sha256 },
      { name: 'ink', weight: 0.5, sha256: ink!.sha256 },
    ],
    embeddings: [{ name: 'mystyle', sha256: card.embeddings![0]!.sha256 }],
  };
  const paintOnce = async (store: AdapterStore, asked: Recipe) => {
    const engine = openEngine({ providers: ['cpu'], threads: 1, deadlineMs: 100_000 });
    const news: StepNews[] = [];
    try {
      const deps = { engine, store: undefined as never, model: models.get, adapters: store };
      const { pictures } = await paint(deps, asked, { onStep: (step) => void news.push(step) });
      return { pictures, prepared: news.flatMap(({ preparing }) => preparing ?? []) };
    } finally {
      await engine.close();
    }
  };
  const first = await paintOnce(adapters, recipe);
  expect(new Set(first.prepared)).toEqual(new Set(['ink']));
  const again = await paintOnce(await openAdapterStore(root), recipe);
  expect(again).toEqual({ pictures: first.pictures, prepared: [] });
  const { loras: _, embeddings: _none, ...bare } = recipe;
  expect((await paintOnce(adapters, bare)).pictures).not.toEqual(first.pictures);
  const trailing = await paintOnce(adapters, { ...bare, spacing: 'trailing' });
  expect(trailing.pictures).not.toEqual((await paintOnce(adapters, bare)).pictures);
  const gone = { ...recipe, loras: [{ name: 'pixelart', weight: 1, sha256: 'f'.repeat(64) }] };
  await expect(paintOnce(adapters, gone)).rejects.toMatchObject({
    code: 'adapter-gone',
    params: { name: 'pixelart' },
  });
});
