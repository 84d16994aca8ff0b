import { type Recipe, sharesOf } from '../../shared/picture/recipe.ts';
import type { Store } from '../../shared/picture/store.ts';
import { printPrompt } from '../../shared/prompt/index.ts';
import { PermanentError } from '../../shared/service/errors.ts';
import { describe } from '../ask/describe.ts';
import type { InstalledModel } from '../models/installed.ts';
import type { Engine } from '../process/enginePool.ts';
import type { PaintRequest } from '../process/protocol.ts';
import { decodePng, fitImage } from './grid.ts';
import type { Pixels } from './pixels.ts';

/**
 * Several pictures become one: their latents are averaged, and where the model can compare pictures with words, the
 * words that fit each picture, too. The words stand in the recipe, so painting it again searches for none.
 */
export interface BlendDeps {
  engine: Engine;
  store: Store;
}

/**
 * The recipe with words for its pictures; unchanged where it has words or the model finds none for a blend.
 * @param picture that a rewording starts from
 * @throws PermanentError('reword-unseen') where neither user nor model say what a picture to reword shows
 */
export async function worded(
  { engine, store }: BlendDeps,
  model: InstalledModel,
  recipe: Recipe,
  picture: () => Promise<Pixels>,
  signal?: AbortSignal,
): Promise<Recipe> {
  const { blend, parts, meaning } = recipe;
  if (meaning?.reword?.from === '') {
    const from = await shownBy(engine, model, await picture(), signal);
    return { ...recipe, meaning: { ...meaning, reword: { ...meaning.reword, from } } };
  }
  // A model that takes pictures as embeddings needs no words for them.
  if (!blend || meaning || parts.some(({ text }) => text !== '')) return recipe;
  const found: { text: string; weight: number }[] = [];
  const shares = sharesOf(blend);
  for (const [i, { key }] of blend.entries()) {
    const picture = await decodePng(await bytesOf(store, key));
    try {
      const [text] = await describe(engine, model, picture, 1, signal);
      if (text !== undefined) found.push({ text, weight: shares[i]! });
    } catch (error) {
      if (error instanceof PermanentError && error.code === 'not-able') return recipe;
      throw error;
    }
  }
  const total = found.reduce((sum, { weight }) => sum + weight, 0);
  const told = blend.some(({ share }) => share !== undefined);
  const typed = ({ text, weight }: (typeof found)[number]): string => `${text}::${told ? weight : ''}`;
  return {
    ...recipe,
    parts: found.map(({ text, weight }) => ({ text, weight: weight / total })),
    prompt: printPrompt({ prompt: found.map(typed).join(' '), params: {} }),
  };
}

async function shownBy(
  engine: Engine,
  model: InstalledModel,
  picture: Pixels,
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    const [text] = await describe(engine, model, picture, 1, signal);
    if (text !== undefined) return text;
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === 'not-able')) throw error;
  }
  throw new PermanentError('reword-unseen', { model: model.name });
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
  const weights = blend.some(({ share }) => share !== undefined) ? sharesOf(blend) : undefined;
  return { images, ...(weights ? { weights } : {}), strength };
}

async function bytesOf(store: Store, key: string): Promise<Buffer> {
  const bytes = await store.get(key);
  if (!bytes) throw new PermanentError('no-parent');
  return bytes;
}
