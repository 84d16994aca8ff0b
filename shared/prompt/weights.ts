import type { PromptPart } from '../picture/recipe.ts';
import { type Mapped, spanOf } from './mappedText.ts';
import type { Edit, Finding } from './problems.ts';

export const MAX_PARTS = 64;
/** Largest share that a part may have: beyond it, positive and negative weights almost cancel out. */
const MAX_WEIGHT = 100;

/** `::` with a weight that ends its word; `cat::2dogs` is the part "cat" and the text "2dogs". */
const MARK = /::(-?(?:\d+(?:\.\d*)?|\.\d+)(?=$|[\s,;]))?/g;

const rounded = (value: number): number => Math.round(value * 1e6) / 1e6;

/**
 * `space:: ship::2` as parts: a weight covers the whole text before it, and no number means 1. Weights are
 * divided by their sum, which must be positive, so that they add up to 1 as Midjourney has it.
 */
export const weigh = (m: Mapped): { parts: PromptPart[]; findings: Finding[] } => {
  const marks = [...m.text.matchAll(MARK)];
  const typed: PromptPart[] = [];
  let start = 0;
  const add = (end: number, weight: number) => {
    const text = m.text.slice(start, end).trim();
    if (text !== '' && weight !== 0) typed.push({ text, weight });
  };
  for (const mark of marks) {
    add(mark.index, mark[1] === undefined ? 1 : Number(mark[1]));
    start = mark.index + mark[0].length;
  }
  add(m.text.length, 1);
  if (marks.length === 0) return { parts: typed, findings: [] };

  const span = spanOf(m, marks[0]!.index, marks.at(-1)!.index + marks.at(-1)![0].length);
  if (typed.length > MAX_PARTS) {
    const params = { count: typed.length, max: MAX_PARTS };
    return { parts: [], findings: [{ code: 'too-many-parts', ...span, params }] };
  }
  const sum = typed.reduce((total, part) => total + part.weight, 0);
  const parts = typed.map(({ text, weight }) => ({ text, weight: rounded(weight / sum) }));
  const fine = sum > 0 && parts.every(({ weight }) => Math.abs(weight) <= MAX_WEIGHT);
  if (typed.length === 0 || fine) return { parts, findings: [] };
  const edits = softened(m, marks, typed);
  const params = { sum: rounded(sum) };
  return { parts: [], findings: [{ code: 'weights-sum', ...span, params, ...(edits ? { edits } : {}) }] };
};

/** Edits that scale the negative weights down, together, to half of the positive ones. */
const softened = (m: Mapped, marks: RegExpExecArray[], typed: readonly PromptPart[]): Edit[] | undefined => {
  const total = (sign: number) => typed.reduce((sum, { weight }) => sum + Math.max(0, sign * weight), 0);
  if (total(1) === 0) return undefined;
  const factor = (0.5 * total(1)) / total(-1);
  return marks
    .filter((mark) => Number(mark[1]) < 0)
    .map((mark) => ({
      ...spanOf(m, mark.index, mark.index + mark[0].length),
      text: `::${(Number(mark[1]) * factor).toFixed(3).replace(/\.?0+$/, '')}`,
    }));
};
