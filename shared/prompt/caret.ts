import type { Problem } from './problems.ts';

/** Longest line that is shown whole, in columns; longer prompts are shown around each problem. */
const MAX_COLUMNS = 96;
const MAX_EXCERPTS = 4;

interface Cell {
  text: string;
  start: number;
  end: number;
  wide: boolean;
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|\ufe0f/u;
const HIDDEN = /^[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u;

const cellsOf = (text: string, offset: number): Cell[] =>
  Array.from(segmenter.segment(text), ({ segment, index }) => ({
    // What cannot be seen gets a place of its own, so that a caret can stand under it.
    text: HIDDEN.test(segment) ? ' ' : segment.replaceAll('`', 'ˋ'),
    start: offset + index,
    end: offset + index + segment.length,
    wide: WIDE.test(segment),
  }));

/** One line and the line of carets below; wide characters are answered by wide blanks. */
const underline = (cells: readonly Cell[], problems: readonly Problem[], tail: string): string => {
  const touches = (cell: Cell, { start, end }: Problem) =>
    start === end ? cell.start <= start && start < cell.end : cell.start < end && start < cell.end;
  const marks = cells.map((cell) => {
    const hit = problems.some((problem) => touches(cell, problem));
    return hit ? (cell.wide ? '^^' : '^') : cell.wide ? '\u3000' : ' ';
  });
  const last = cells.at(-1)?.end ?? 0;
  const beyond = problems.some(({ start }) => start >= last) ? '^' : '';
  const line = cells.map((cell) => cell.text).join('');
  return `${line}${tail}\n${`${marks.join('')}${beyond}`.trimEnd()}`;
};

const excerpt = (input: string, problem: Problem): string => {
  const before = 32;
  const from = Math.max(0, problem.start - before);
  const to = Math.min(input.length, from + MAX_COLUMNS - 2);
  const lead: Cell[] = from > 0 ? [{ text: '…', start: -1, end: -1, wide: false }] : [];
  const cells = [...lead, ...cellsOf(input.slice(from, to), from)];
  return underline(cells, [problem], to < input.length ? '…' : '');
};

/** The prompt in one line with `^` below each problem, for a code block; around each problem where it is long. */
export const caretLines = (input: string, problems: readonly Problem[]): string =>
  input.length <= MAX_COLUMNS
    ? underline(cellsOf(input, 0), problems, '')
    : problems
        .slice(0, MAX_EXCERPTS)
        .map((problem) => excerpt(input, problem))
        .join('\n');
