import { resolveConfusablesTransformer } from 'obscenity';

/**
 * What people type so that a word is not found, undone: look-alike letters, invisible characters, stacked
 * marks, digits for letters, stars for vowels, letters set apart. Pure.
 */
export interface Normalised {
  /** Plain a-z and digits, one space between words; once as typed and once with digits read as letters. */
  texts: string[];
  /** Words typed with gaps or punctuation between letters, each rejoined, separated by `GAP`. */
  joined: string;
  /** Lower case with every mark, for words of a language that needs its marks. */
  marked: string;
}

/** Between joined words: belongs to no word and is no word of its own. */
export const GAP = ' · ';

const INVISIBLE = /[\p{Cf}\p{DI}\p{Cc}\p{NChar}\p{Cs}]+/gu;
const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '!': 'i',
  '|': 'i',
  '3': 'e',
  '4': 'a',
  '@': 'a',
  '5': 's',
  $: 's',
  '7': 't',
};
const VOWELS = ['a', 'e', 'i', 'o', 'u'];

export function normalise(typed: string): Normalised {
  const text = typed
    .normalize('NFKC')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(INVISIBLE, '')
    .trim();
  const marked = text.toLowerCase();
  const plain = marked
    .split(' ')
    .map((word) => word.replace(/[\p{L}\p{M}]+/gu, (run) => (isVietnamese(run) ? '·' : toLatin(run))))
    .join(' ');
  const latin = plain.replace(/[^\x20-\x7e·]/gu, (letter) => toLatin(letter));
  const read = unleet(latin);
  return { texts: [...new Set([latin, read])], joined: joinApart(latin, read), marked };
}

const confusables = resolveConfusablesTransformer();

function toLatin(run: string): string {
  let latin = '';
  for (const letter of run.normalize('NFD').replace(/\p{M}/gu, '')) {
    const code = letter.codePointAt(0) as number;
    latin += code < 0x80 ? letter : String.fromCodePoint(confusables.transform(code) ?? code);
  }
  return latin.toLowerCase();
}

/** Onset, nucleus, coda of a written syllable (Thompson, A Vietnamese Reference Grammar, 1987, ch. 3). */
const SYLLABLE =
  /^(?:ngh?|nh|ch|gh?|gi|kh|ph|qu|th|tr|[bcdđhklmnprstvx])?[aăâeêioôơuưy]{1,3}(?:ch|ng|nh|[cmnpt])?$/;
const TONES = /[\u0300\u0301\u0303\u0309\u0323]/g;

/**
 * "cụm hoa" is a cluster of flowers and "cúm" the flu: a Vietnamese syllable with its marks is no
 * English word in disguise.
 */
function isVietnamese(run: string): boolean {
  const toneless = run.normalize('NFD').replace(TONES, '').normalize('NFC');
  return !/^[a-z]*$/.test(run) && SYLLABLE.test(toneless);
}

/** Only inside a word that has letters of its own: "4k", "35mm" and a lone number stay what they are. */
const unleet = (text: string): string =>
  text.replace(/[a-z0-9@$!|]+/g, (word) =>
    /[a-z]/.test(word) && !/^\d+[a-z]{1,2}$/.test(word)
      ? word.replace(/[01345!|@$7]/g, (sign) => LEET[sign] as string)
      : word,
  );

const SPACED =
  /(?<![a-z0-9])(?:[a-z0-9@$!](?:[\s._*~+=/\\,-]{1,3}(?=[a-z0-9@$!](?![a-z0-9]))|(?![a-z0-9]))){3,}/g;
const SPLIT = /(?<![a-z0-9])[a-z0-9]+(?:[._*~+=/\\'’^`#-]+[a-z0-9]+)+/g;
const STARRED = /(?<![a-z])[a-z]+(?:[*#]+[a-z]+)+/g;

function joinApart(latin: string, read: string): string {
  const words = new Set<string>();
  for (const text of [latin, read]) {
    for (const [run] of text.matchAll(SPACED)) words.add(run.replace(/[^a-z0-9@$!]/g, ''));
    for (const [run] of text.matchAll(SPLIT)) words.add(run.replace(/[^a-z0-9]/g, ''));
    for (const [run] of text.matchAll(STARRED))
      for (const vowel of VOWELS) words.add(run.replace(/[*#]+/g, vowel));
  }
  return [...words].map(unleet).join(GAP);
}
