import { parameterOf } from '../picture/params.ts';
import { type Mapped, slice, trim, wordsOf } from './mappedText.ts';

/** A parameter `--name value words` up to the next parameter. */
export interface Segment {
  /** Lower case, without dashes. */
  readonly name: string;
  /** The whole text; the positions below are units in it. */
  readonly start: number;
  readonly nameEnd: number;
  readonly end: number;
}

export interface Tokens {
  /** Links and words, before the first parameter. */
  readonly body: Mapped;
  readonly segments: Segment[];
}

/** `cat--ar 3:2`: a known parameter that takes a number, glued to a word and followed by a digit. */
const isGlued = (name: string, rest: string): boolean => {
  const kind = parameterOf(name.toLowerCase())?.kind;
  return (kind === 'number' || kind === 'integer' || kind === 'ratio') && /^ \.?\d/.test(rest);
};

/** Cuts a clean line into the body before the parameters and the parameters. */
export const tokenise = (m: Mapped): Tokens => {
  const starts: number[] = [];
  for (const match of m.text.matchAll(/--(?=\p{L})/gu)) {
    const at = match.index;
    if (at === 0 || m.text[at - 1] === ' ') starts.push(at);
    else if (m.text[at - 1] !== '-') {
      const name = /^[a-z]+/i.exec(m.text.slice(at + 2))?.[0] ?? '';
      if (isGlued(name, m.text.slice(at + 2 + name.length))) starts.push(at);
    }
  }
  const segments = starts.map((start, i) => {
    const end = starts[i + 1] ?? m.text.length;
    const typed = /^--[^\s=]+/.exec(m.text.slice(start, end))?.[0] ?? '--';
    return { name: typed.slice(2).toLowerCase(), start, nameEnd: start + typed.length, end };
  });
  return { body: trim(slice(m, 0, starts[0] ?? m.text.length)), segments };
};

/** The words of a parameter's value; one `=` between name and value is forgiven. */
export const valueWords = (m: Mapped, segment: Segment) =>
  wordsOf(m, m.text[segment.nameEnd] === '=' ? segment.nameEnd + 1 : segment.nameEnd, segment.end);
