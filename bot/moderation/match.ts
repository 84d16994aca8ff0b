import { collapseDuplicatesTransformer, RegExpMatcher } from 'obscenity';
import { GAP, type Normalised, normalise } from './normalise.ts';
import {
  CHILD,
  CHILD_VI,
  IN_HALVES,
  leftOut,
  THRESHOLDS,
  vietnamese,
  WITH_CHILD,
  type WordRule,
  without,
  wordList,
} from './words.ts';

/** Which rules a text breaks. Pure; the word lists are compiled at the first call. */
export type Rule = WordRule | 'own';

/** A word spelt with gaps must match from its start; up to 3 more letters may follow: -s, -ed, -ing. */
const SUFFIX = 3;

interface Lists {
  matcher: RegExpMatcher;
  ruleOf(id: number): WordRule;
  vietnamese: [WordRule, RegExp][];
}

let lists: Lists | undefined;

function compile(): Lists {
  const dataset = wordList();
  const built = dataset.build();
  const collapse = collapseDuplicatesTransformer({ defaultThreshold: 1, customThresholds: THRESHOLDS });
  const rules = new Map<number, WordRule>();
  return {
    matcher: new RegExpMatcher({ ...built, blacklistMatcherTransformers: [collapse] }),
    ruleOf: (id) => {
      const known = rules.get(id);
      if (known) return known;
      const { phraseMetadata } = dataset.getPayloadWithPhraseMetadata({
        termId: id,
        startIndex: 0,
        endIndex: 0,
        matchLength: 0,
      });
      const rule = (phraseMetadata as { rule: WordRule }).rule;
      rules.set(id, rule);
      return rule;
    },
    vietnamese: (Object.entries(vietnamese) as [WordRule, string[]][]).map(([rule, words]) => [
      rule,
      new RegExp(
        `(?<![\\p{L}\\p{M}])(?:${words.map((word) => word.normalize('NFC')).join('|')})(?![\\p{L}\\p{M}])`,
        'u',
      ),
    ]),
  };
}

/**
 * The rules that a text breaks, of our lists and of a server's own words.
 * @param unwanted what the same wish wants left out; of it only what undresses or makes younger is read
 */
export function brokenRules(text: string, own: readonly string[] = [], unwanted = ''): Set<Rule> {
  lists ??= compile();
  const form = normalise(text);
  const out = normalise(unwanted);
  const broken = new Set<Rule>();
  for (const read of form.texts)
    for (const { termId } of lists.matcher.getAllMatches(read)) broken.add(lists.ruleOf(termId));
  for (const id of apart(lists.matcher, form.joined)) broken.add(lists.ruleOf(id));
  for (const [rule, words] of lists.vietnamese) if (words.test(form.marked)) broken.add(rule);
  if (undresses(form, out)) broken.add('sexual');
  if (broken.has('sexual') ? isYoung(form) || has(out, leftOut.adults) : isYoung(form) && isUnfit(form, out))
    broken.add('minors');
  if (own.some((word) => hasOwnWord(form, word))) broken.add('own');
  return broken;
}

/** Whether words occur in a text as typed, with digits read as letters, or with its split letters rejoined. */
const has = ({ texts, joined }: Normalised, words: RegExp): boolean =>
  texts.some((read) => words.test(read)) || words.test(joined);

const undresses = (form: Normalised, out: Normalised): boolean =>
  has(form, IN_HALVES) ||
  has(form, without.clothes) ||
  without.clothesVi.test(form.marked) ||
  has(out, leftOut.clothes) ||
  leftOut.clothesVi.test(out.marked);

const isYoung = (form: Normalised): boolean => has(form, CHILD) || CHILD_VI.test(form.marked);

/** Whether a text has words that are allowed of an adult and not of a child. */
const isUnfit = (form: Normalised, out: Normalised): boolean =>
  has(form, WITH_CHILD) ||
  has(form, without.piece) ||
  has(out, leftOut.anyClothes) ||
  leftOut.anyClothesVi.test(out.marked);

function* apart(matcher: RegExpMatcher, joined: string): Generator<number> {
  if (joined === '') return;
  for (const { termId, startIndex, endIndex } of matcher.getAllMatches(joined)) {
    const end = joined.indexOf(GAP, endIndex);
    const starts = startIndex === 0 || joined.endsWith(GAP, startIndex);
    if (starts && (end < 0 ? joined.length : end) - 1 - endIndex <= SUFFIX) yield termId;
  }
}

/**
 * A server's own word, whole; `*` at either end stands for any letters. A word with marks is looked for
 * with its marks, a plain one also behind look-alikes, digits and spaces.
 */
function hasOwnWord(form: Normalised, word: string): boolean {
  const plain = word.normalize('NFKC').toLowerCase().trim();
  const core = plain.replace(/^\*+|\*+$/g, '').trim();
  if (core === '') return false;
  const escaped = core.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(/\s+/g, '\\s+');
  const before = plain.startsWith('*') ? '' : '(?<![\\p{L}\\p{M}\\d])';
  const after = plain.endsWith('*') ? '' : '(?![\\p{L}\\p{M}\\d])';
  const found = new RegExp(`${before}${escaped}${after}`, 'u');
  if (found.test(form.marked)) return true;
  return /^[\x20-\x7e]+$/.test(core) && [...form.texts, form.joined].some((text) => found.test(text));
}
