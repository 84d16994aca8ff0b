import { PermanentError } from '../../shared/service/errors.ts';
import type { InstalledModel } from '../models/installed.ts';
import type { Pixels } from '../paint/pixels.ts';
import type { Engine } from '../process/enginePool.ts';
import { NOUNS, PLACES, STYLES, TIMES, WEATHERS } from './vocabulary.ts';

/**
 * A picture in words. Captions made by a grammar are compared with the picture in the common space of the model's text
 * and image towers (Radford et al., "Learning Transferable Visual Models", 2021), part by part: first what, then
 * where, when and how, always keeping the captions that fit best. So a few hundred captions are encoded instead of
 * a million.
 */
interface Caption {
  noun: string;
  place: string;
  time: string;
  weather: string;
  style: string;
}
type Scored = Caption & { text: string; score: number };

/** Captions kept for the next part. */
const KEPT = 6;
/** Most answers about the same noun. */
const SAME_NOUN = 2;

const article = (noun: string): string => (/^[aeiou]/.test(noun) ? 'an ' : 'a ') + noun;

export const captionText = ({ noun, place, time, weather, style }: Caption): string =>
  [[article(noun), place, time, weather].filter(Boolean).join(' '), style].filter(Boolean).join(', ');

/**
 * The `count` captions that fit best, the best first.
 * @throws PermanentError 'not-able' where the model's text and image towers have no common space
 */
export async function describe(
  engine: Engine,
  model: InstalledModel,
  picture: Pixels,
  count: number,
  signal?: AbortSignal,
): Promise<string[]> {
  const score = await scorer(engine, model, picture, signal);
  const bare: Caption = { noun: '', place: '', time: '', weather: '', style: '' };
  // A noun alone says little to a tower trained on whole scenes, so the place is searched with it.
  const places = best(await score(PLACES.map((place) => ({ ...bare, noun: 'thing', place }))), 3);
  const nouns = best(await score(NOUNS.map((noun) => ({ ...bare, noun }))), 12);
  const placed = await score(
    nouns.flatMap((caption) => [
      { ...caption, place: '' },
      ...places.map(({ place }) => ({ ...caption, place })),
    ]),
  );
  const again = await score(
    best(placed, KEPT).flatMap((caption) => PLACES.map((place) => ({ ...caption, place }))),
  );
  const styled = await score(
    best([...placed, ...again], KEPT).flatMap((caption) => STYLES.map((style) => ({ ...caption, style }))),
  );
  const timed = await score(
    best(styled, KEPT).flatMap((caption) =>
      TIMES.flatMap((time) => WEATHERS.map((weather) => ({ ...caption, time, weather }))),
    ),
  );
  // A noun that scored lower at first may score best now that the rest is known.
  const [winner] = best(timed, 1) as [Scored];
  const renamed = await score(NOUNS.map((noun) => ({ ...winner, noun })));
  return varied([...timed, ...renamed], count);
}

type Score = (captions: readonly Caption[]) => Promise<Scored[]>;

async function scorer(
  engine: Engine,
  model: InstalledModel,
  picture: Pixels,
  signal: AbortSignal | undefined,
): Promise<Score> {
  const probe = await engine.embed(model, [captionText({ ...NOTHING, noun: 'fox' })], [picture], { signal });
  const [seen] = probe.pictures;
  if (!probe.joint || !seen) throw new PermanentError('not-able', { model: model.name });
  const known = readBefore(model);
  return async (captions) => {
    const texts = captions.map(captionText);
    const fresh = [...new Set(texts)].filter((text) => !known.has(text));
    const { texts: read } = await engine.embed(model, fresh, [], { signal });
    fresh.forEach((text, i) => {
      known.set(text, read[i] as Float32Array);
    });
    return captions.map((caption, i) => {
      const text = texts[i] as string;
      return { ...caption, text, score: dot(known.get(text) as Float32Array, seen) };
    });
  };
}

/** Embeddings of captions: the same captions come with every picture, so each is encoded once by a model. */
const remembered = new WeakMap<InstalledModel, Map<string, Float32Array>>();
const MOST_REMEMBERED = 8000;

function readBefore(model: InstalledModel): Map<string, Float32Array> {
  const known = remembered.get(model);
  if (known && known.size < MOST_REMEMBERED) return known;
  const fresh = new Map<string, Float32Array>();
  remembered.set(model, fresh);
  return fresh;
}

const NOTHING: Caption = { noun: '', place: '', time: '', weather: '', style: '' };

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

const best = (captions: readonly Scored[], count: number): Scored[] => {
  const seen = new Set<string>();
  return [...captions]
    .sort((a, b) => b.score - a.score)
    .filter(({ text }) => !seen.has(text) && seen.add(text))
    .slice(0, count);
};

/** The best captions, not all about the same noun. */
function varied(captions: readonly Scored[], count: number): string[] {
  const nouns = new Map<string, number>();
  return best(captions, captions.length)
    .filter(({ noun }) => {
      const times = (nouns.get(noun) ?? 0) + 1;
      nouns.set(noun, times);
      return times <= SAME_NOUN;
    })
    .slice(0, count)
    .map(({ text }) => text);
}
