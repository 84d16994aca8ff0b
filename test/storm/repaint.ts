import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessageView } from '../../playground/index.ts';
import { readRecipe } from '../../shared/picture/png.ts';
import { openFolderStore, type Store } from '../../shared/picture/store.ts';
import { readModels } from '../../worker/models/installed.ts';
import { composeGrid, encodePng } from '../../worker/paint/grid.ts';
import { paint } from '../../worker/paint/paint.ts';
import { openEngine } from '../../worker/process/enginePool.ts';

/**
 * Paints each message's picture again, from the recipe in its own file and what people uploaded, and nothing else.
 * @param from the storm's store @returns which differ
 */
export async function repaint(
  modelsRoot: string,
  from: Store,
  messages: readonly MessageView[],
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'dreamgrid-repaint-'));
  const store = await openFolderStore(folder);
  for await (const { key } of from.list('uploads/'))
    await store.put(key, (await from.get(key)) ?? Buffer.alloc(0));
  const models = await readModels(modelsRoot);
  const engine = openEngine({ providers: ['cpu'], threads: 1, deadlineMs: 60_000 });
  const wrong: string[] = [];
  try {
    const deps = { engine, store, model: models.get };
    for (const { id, attachments } of messages) {
      const file = attachments[0];
      const recipe = file && readRecipe(file.data);
      if (!recipe) {
        wrong.push(`${id}: no recipe in ${file?.filename}`);
        continue;
      }
      const { pictures } = await paint(deps, recipe);
      const again = await encodePng(await composeGrid(pictures), recipe, 0);
      if (!again.equals(file.data)) wrong.push(`${id}: ${recipe.action} painted again is another picture`);
    }
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
  return wrong;
}
