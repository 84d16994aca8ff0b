import type { PromptPart } from './recipe.ts';

/**
 * Style numbers (`--sref 1234`): each is a fixed mixture of directions in the space of the text encoder. A
 * direction is what a phrase adds to the words: E(words, phrase) − E(words), and the embedding becomes
 * E(words) + s · Σ wₖ · (E(words, phraseₖ) − E(words)), which is a blend of parts with weights that keep their sum.
 *
 * A style number must look the same for ever: these lists are only added to at their end,
 * together with a new way to draw from them, never changed.
 */
const MEDIA = [
  'oil painting',
  'watercolor',
  'pencil drawing',
  'pixel art',
  'neon',
  'cinematic',
  'flat illustration',
] as const;
/** Accents, for models that know many words. */
const ACCENTS = [
  'pastel colors',
  'vivid colors',
  'muted colors',
  'black and white',
  'golden light',
  'blue tones',
  'red tones',
  'green tones',
  'soft light',
  'hard shadows',
  'high contrast',
  'sepia',
  'ink wash',
  'woodcut print',
  'stained glass',
  'charcoal',
  'paper cut',
  'art nouveau',
  'clay animation',
  'comic book',
  'ukiyo-e',
  'low poly render',
  'vintage photograph',
  'mosaic',
  'embroidery',
  'graffiti',
  'impressionism',
  'blueprint',
] as const;

export interface Style {
  /** 0..2^32 − 1 each; several are mixed in equal shares. */
  codes: number[];
  /** `s` of the formula; 0 leaves the words alone, above 1 they are pushed past the style. */
  strength: number;
}

/** 32 well-mixed bits for each number in turn (splitmix32). */
const drawer = (code: number) => {
  let state = code >>> 0;
  return (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
};

const rounded = (value: number): number => Math.round(value * 1e6) / 1e6;

/** The phrases of one number by their shares, which add up to 1: two ways to make a picture, and an accent. */
export function mixtureOf(code: number): { phrase: string; share: number }[] {
  const draw = drawer(code);
  const first = Math.floor(draw() * MEDIA.length);
  const second = (first + 1 + Math.floor(draw() * (MEDIA.length - 1))) % MEDIA.length;
  const accent = ACCENTS[Math.floor(draw() * ACCENTS.length)] as string;
  const lead = 0.6 + 0.3 * draw();
  const tint = 0.08 + 0.12 * draw();
  return [
    { phrase: MEDIA[first] as string, share: rounded(lead * (1 - tint)) },
    { phrase: MEDIA[second] as string, share: rounded((1 - lead) * (1 - tint)) },
    { phrase: accent, share: rounded(tint) },
  ];
}

/** `--sw` 0..1000 as a strength: 1 at 100, straight below, logarithmic above (3 at 1000). */
export const styleStrength = (sw: number): number =>
  rounded(sw <= 100 ? sw / 100 : 1 + 2 * Math.log10(sw / 100));

/** The words with their style, as parts of a blend whose weights have the same sum; pure. */
export function styledParts(parts: readonly PromptPart[], style: Style | undefined): PromptPart[] {
  if (style === undefined || style.strength === 0) return [...parts];
  const { codes, strength } = style;
  const mixture = codes.flatMap((code) =>
    mixtureOf(code).map((one) => ({ ...one, share: one.share / codes.length })),
  );
  return parts.flatMap(({ text, weight }) => {
    if (weight <= 0) return [{ text, weight }];
    const styled = mixture.map(({ phrase, share }) => ({
      text: text === '' ? phrase : `${text}, ${phrase}`,
      weight: rounded(weight * strength * share),
    }));
    const left = rounded(weight * (1 - strength));
    return left === 0 ? styled : [{ text, weight: left }, ...styled];
  });
}
