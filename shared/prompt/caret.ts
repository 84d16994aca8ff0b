import type { Problem } from './problems.ts';

/** Columns of an embed's code block on a phone: a longer line would be broken, and its carets with it. */
const COLUMNS = 44;
/** Of a prompt of more rows only the rows with problems are shown. */
const MAX_ROWS = 5;
/** Above the limit of a prompt; of a longer text only a stretch around the first problem is shown. */
const MAX_TEXT = 8_000;
const LEAD = 500;
const MAX_PROBLEMS = 50;

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

const cellsOf = (text: string): Cell[] =>
  Array.from(segmenter.segment(text), ({ segment, index }) => ({
    // An invisible character becomes a blank, so that a caret can stand under it.
    text: HIDDEN.test(segment) ? ' ' : segment.replaceAll('`', 'ˋ'),
    start: index,
    end: index + segment.length,
    wide: WIDE.test(segment),
  }));

/** Breaks cells into rows, behind blanks where there are some. */
const rowsOf = (cells: readonly Cell[]): Cell[][] => {
  const rows: Cell[][] = [];
  for (let from = 0; from < cells.length; ) {
    let [to, columns] = [from, 0];
    while (to < cells.length && columns < COLUMNS) columns += cells[to++]?.wide ? 2 : 1;
    const blank = cells.slice(from, to).findLastIndex(({ text }) => text === ' ');
    if (cells[to]?.text === ' ') to++;
    else if (to < cells.length && blank > 0) to = from + blank + 1;
    rows.push(cells.slice(from, to));
    from = to;
  }
  return rows.length === 0 ? [[]] : rows;
};

const touches = (cell: Cell, { start, end }: Problem): boolean =>
  start === end ? cell.start <= start && start < cell.end : cell.start < end && start < cell.end;

/** The carets below a row; wide blanks stand under wide characters. */
const marksOf = (row: readonly Cell[], problems: readonly Problem[]): string =>
  row
    .map((cell) => {
      const hit = problems.some((problem) => touches(cell, problem));
      return hit ? (cell.wide ? '^^' : '^') : cell.wide ? '\u3000' : ' ';
    })
    .join('');

/** The prompt in short rows with `^` below each problem, for a code block; of a long one, the rows with problems. */
export const caretLines = (input: string, problems: readonly Problem[]): string => {
  const from = input.length > MAX_TEXT ? Math.max(0, (problems[0]?.start ?? 0) - LEAD) : 0;
  const text = input.slice(from, from + MAX_TEXT);
  const near = problems
    .slice(0, MAX_PROBLEMS)
    .map((problem) => ({ ...problem, start: problem.start - from, end: problem.end - from }));
  return drawRows(text, near, { before: from > 0, after: from + MAX_TEXT < input.length });
};

const drawRows = (
  input: string,
  problems: readonly Problem[],
  more: { before: boolean; after: boolean },
): string => {
  const rows = rowsOf(cellsOf(input)).map((row, at, all) => {
    const beyond = at === all.length - 1 && problems.some(({ start }) => start >= input.length) ? '^' : '';
    const marks = `${marksOf(row, problems)}${beyond}`.trimEnd();
    return { at, text: row.map((cell) => cell.text).join(''), marks };
  });
  const shown = rows.length <= MAX_ROWS ? rows : rows.filter(({ marks }) => marks !== '').slice(0, MAX_ROWS);
  return shown
    .flatMap(({ at, text, marks }, i) => {
      const cut = at === 0 ? more.before : shown[i - 1]?.at !== at - 1;
      const open = at === rows.length - 1 ? more.after : shown[i + 1]?.at !== at + 1;
      const lead = cut ? '…' : '';
      return [`${lead}${text}${open ? '…' : ''}`, ...(marks === '' ? [] : [`${cut ? ' ' : ''}${marks}`])];
    })
    .join('\n');
};
