import type { EffectiveParameter } from '../picture/params.ts';
import type { ModelCard } from '../queue/job.ts';
import { badLink, linkOf } from './links.ts';
import { type Mapped, spanOf, type Word } from './mappedText.ts';
import type { Edit, Finding } from './problems.ts';
import type { Segment } from './tokenise.ts';
import type { Typed } from './typedParameters.ts';
import { LINK } from './valueWords.ts';

/** Parameters that refer to a style or a picture: `--sref`, and Midjourney's references that are links. */

/** Edits that remove a parameter but its kept words; links go to the front as image prompts, with --iw. */
export const linkEdits = (
  m: Mapped,
  body: Mapped,
  span: { start: number; end: number },
  words: readonly Word[],
  typed: Typed,
  kept = '',
): Edit[] => {
  const links = words.map(({ text }) => linkOf(text)).filter((link) => link !== undefined);
  if (links.length === 0) return [{ ...span, text: '' }];
  const head = spanOf(body, 0, 0).start;
  const weighted = typed.params.iw !== undefined || / --iw\b/i.test(m.text) || typed.findings.some(movesLink);
  return [
    { ...span, text: [kept, weighted ? '' : IMAGE_WEIGHT].filter(Boolean).join(' ') },
    { start: head, end: head, text: `${links.join(' ')} ` },
  ];
};
const movesLink = ({ edits = [] }: Finding): boolean => edits.some(({ text }) => text.endsWith(IMAGE_WEIGHT));
const IMAGE_WEIGHT = '--iw 1';

/** `--sref 123 456`, `--sref random`; links only where the model looks at pictures. */
export const readStyles = (
  m: Mapped,
  body: Mapped,
  segment: Segment,
  spec: EffectiveParameter,
  words: readonly Word[],
  card: ModelCard | undefined,
  typed: Typed,
): void => {
  const parameter = '--sref';
  const ofModel: Record<string, string> = card === undefined ? {} : { model: card.name };
  const seesPictures = card?.parameters?.['sref']?.supported === true;
  const links = words.filter(({ text }) => LINK.test(text));
  if (links.length > 0 && !seesPictures) {
    const span = spanOf(m, segment.start, words.at(-1)!.end);
    const codes = words.filter((word) => !links.includes(word)).map((word) => word.text);
    const params = { parameter, instead: 'image-link', ...ofModel };
    const kept = codes.length === 0 ? '' : `--sref ${codes.join(' ')}`;
    const edits = linkEdits(m, body, span, links, typed, kept);
    typed.findings.push({ code: 'unsupported-parameter', ...span, params, edits });
  }
  const codes: (number | 'random')[] = [];
  for (const word of words) {
    if (LINK.test(word.text)) {
      const link = seesPictures ? linkOf(word.text) : '';
      if (link === undefined) typed.findings.push(badLink(m, word));
      else if (link !== '') typed.srefs.push(link);
      continue;
    }
    const [, digits] = /^(\d+)(?:::\d*\.?\d+)?,?$/.exec(word.text) ?? [];
    const { max = Number.POSITIVE_INFINITY } = spec;
    const value = { value: word.text.slice(0, 100), parameter, ...ofModel };
    const span = spanOf(m, word.start, word.end);
    if (/^random,?$/i.test(word.text)) codes.push('random');
    else if (digits === undefined)
      typed.findings.push({
        code: 'unknown-style',
        ...span,
        params: value,
        edits: [{ ...spanOf(m, words.length === 1 ? segment.start : word.start, word.end), text: '' }],
      });
    else if (Number(digits) > max) {
      // A number over the maximum gets its remainder as suggestion.
      const suggestion = String(BigInt(digits) % (BigInt(max) + 1n));
      const params = { ...value, min: 0, max };
      typed.findings.push({
        code: 'out-of-range',
        ...span,
        params,
        suggestion,
        edits: [{ ...span, text: suggestion }],
      });
    } else codes.push(Number(digits));
  }
  if (codes.length > 0) typed.params.sref = [...(typed.params.sref ?? []), ...codes].slice(0, MAX_STYLES);
};
const MAX_STYLES = 4;
