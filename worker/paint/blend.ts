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
 * Several pictures become one: their latents are averaged, and where the model's towers meet, the words that fit
 * each of them are too. What was found stands in the recipe, so that it is painted again without looking.
 */
export interface BlendDeps {
  engine: Engine;
  store: Store;
}

/**
 * The recipe with words for its pictures; as it is, where it has words or the model can find none for a blend.
 * @param picture that a rewording starts from
 * @throws PermanentError('reword-unseen') where nobody said what a picture to reword shows, and the model cannot tell
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
  // Where pictures are read as what they are about, no words are needed.
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
