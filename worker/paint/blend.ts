import type { Recipe } from '../../shared/picture/recipe.ts';
import type { Store } from '../../shared/picture/store.ts';
import { printPrompt } from '../../shared/prompt/index.ts';
import { PermanentError } from '../../shared/service/errors.ts';
import { describe } from '../ask/describe.ts';
import type { InstalledModel } from '../models/installed.ts';
import type { Engine } from '../process/enginePool.ts';
import type { PaintRequest } from '../process/protocol.ts';
import { decodePng, fitImage } from './grid.ts';

/**
 * Several pictures become one: their latents are averaged, and where the model's towers meet, the words that fit
 * each of them are too. What was found stands in the recipe, so that it is painted again without looking.
 */
export interface BlendDeps {
  engine: Engine;
  store: Store;
}

/** The recipe with words for its pictures; as it is, where it has words or the model can find none. */
export async function worded(
  { engine, store }: BlendDeps,
  model: InstalledModel,
  recipe: Recipe,
  signal?: AbortSignal,
): Promise<Recipe> {
  const { blend, parts, meaning } = recipe;
  // Where pictures are read as what they are about, no words are needed.
  if (!blend || meaning || parts.some(({ text }) => text !== '')) return recipe;
  const found: string[] = [];
  for (const { key } of blend) {
    const picture = await decodePng(await bytesOf(store, key));
    try {
      found.push(...(await describe(engine, model, picture, 1, signal)));
    } catch (error) {
      if (error instanceof PermanentError && error.code === 'not-able') return recipe;
      throw error;
    }
  }
  const weight = 1 / found.length;
  return {
    ...recipe,
    parts: found.map((text) => ({ text, weight })),
    prompt: printPrompt({ prompt: found.map((text) => `${text}::`).join(' '), params: {} }),
  };
}

export async function blendInit(
  { store }: Pick<BlendDeps, 'store'>,
  { blend, width, height }: Recipe,
  strength: number,
): Promise<NonNullable<PaintRequest['init']>> {
  if (!blend) throw new PermanentError('failed');
  const images = await Promise.all(
    blend.map(async ({ key }) => fitImage(await bytesOf(store, key), width, height)),
  );
  return { images, strength };
}

async function bytesOf(store: Store, key: string): Promise<Buffer> {
  const bytes = await store.get(key);
  if (!bytes) throw new PermanentError('no-parent');
  return bytes;
}
