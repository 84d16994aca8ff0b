/**
 * Text that remembers where each of its UTF-16 units came from, so that a problem found after cleaning and
 * expanding still points into what was typed: unit i stands for units [from[i], to[i]) of the input.
 */
export interface Mapped {
  readonly text: string;
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Text that is the input itself: unit i stands for [i, i + 1). */
export const mapped = (text: string): Mapped => ({
  text,
  from: Array.from({ length: text.length }, (_, i) => i),
  to: Array.from({ length: text.length }, (_, i) => i + 1),
});

/** Text that stands for one place of the input, such as what an option expands to. */
export const placed = (text: string, from: number, to: number): Mapped => ({
  text,
  from: new Array<number>(text.length).fill(from),
  to: new Array<number>(text.length).fill(to),
});

/** Units [start, end) with their places in the input. */
export const slice = (m: Mapped, start: number, end = m.text.length): Mapped => ({
  text: m.text.slice(start, end),
  from: m.from.slice(start, end),
  to: m.to.slice(start, end),
});

/** Parts joined, each with its places in the input. */
export const concat = (parts: readonly Mapped[]): Mapped => ({
  text: parts.map((part) => part.text).join(''),
  from: parts.flatMap((part) => part.from),
  to: parts.flatMap((part) => part.to),
});

/** Like `String.replace` with a global expression; each replacement maps to the whole match. */
export const replace = (m: Mapped, pattern: RegExp, by: (match: string) => string): Mapped => {
  const parts: Mapped[] = [];
  let done = 0;
  for (const match of m.text.matchAll(pattern)) {
    const start = match.index;
    const end = start + match[0].length;
    const text = by(match[0]);
    if (text === match[0]) continue;
    parts.push(slice(m, done, start), placed(text, m.from[start]!, m.to[end - 1]!));
    done = end;
  }
  if (parts.length === 0) return m;
  parts.push(slice(m, done));
  return concat(parts);
};

/** Without blanks at both ends. */
export const trim = (m: Mapped): Mapped => {
  const start = m.text.length - m.text.trimStart().length;
  const end = m.text.trimEnd().length;
  return start >= end ? slice(m, 0, 0) : slice(m, start, end);
};

/** The place in the input of units [start, end); an empty range gives an empty place. */
export const spanOf = (m: Mapped, start: number, end: number): { start: number; end: number } => {
  if (start < end) return { start: m.from[start]!, end: m.to[end - 1]! };
  const at = start < m.text.length ? m.from[start]! : (m.to[m.text.length - 1] ?? 0);
  return { start: at, end: at };
};

export interface Word {
  readonly text: string;
  /** Units in the mapped text. */
  readonly start: number;
  readonly end: number;
}

/** Words between blanks in units [start, end). */
export const wordsOf = (m: Mapped, start = 0, end = m.text.length): Word[] =>
  [...m.text.slice(start, end).matchAll(/\S+/g)].map((match) => ({
    text: match[0],
    start: start + match.index,
    end: start + match.index + match[0].length,
  }));
