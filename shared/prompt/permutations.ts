import { concat, type Mapped, slice, spanOf, trim } from './mappedText.ts';
import type { Finding } from './problems.ts';

/** Most prompts of one permutation where the caller sets no cap. */
export const MAX_PERMUTATIONS = 40;

/** Deepest nesting of groups. */
const MAX_DEPTH = 32;

/** A stretch of text, or a choice between sequences. */
type Node = Mapped | { options: Node[][]; count: number };

interface Open {
  /** Sequences already closed by a comma; the last one is being filled. */
  options: Node[][];
  /** Place of the brace; -1 for the whole text. */
  at: number;
}

const countOf = (sequence: readonly Node[]): number =>
  sequence.reduce((product, node) => product * ('options' in node ? node.count : 1), 1);

/** A comma, also the full-width one of East Asian keyboards. */
const isComma = (unit: string | undefined): boolean => unit === ',' || unit === '，';

/** Reads braces into a tree. `\{`, `\}` are braces, and inside a group `\,` is a comma. */
const read = (m: Mapped): { tree: Node[]; findings: Finding[] } => {
  const findings: Finding[] = [];
  const stack: Open[] = [{ options: [[]], at: -1 }];
  const unbalanced = (i: number) => {
    const span = spanOf(m, i, i + 1);
    findings.push({
      code: 'unbalanced-brace',
      ...span,
      params: { brace: m.text[i]! },
      suggestion: `\\${m.text[i]!}`,
      edits: [{ ...span, text: '' }],
    });
  };
  let done = 0;
  const flush = (end: number) => {
    if (end > done)
      stack
        .at(-1)!
        .options.at(-1)!
        .push(slice(m, done, end));
  };
  for (let i = 0; i < m.text.length; i++) {
    const unit = m.text[i]!;
    const inside = stack.length > 1;
    const next = m.text[i + 1];
    if (unit === '\\' && (next === '{' || next === '}' || (inside && isComma(next)))) {
      flush(i);
      done = ++i;
    } else if (unit === '{' && stack.length > MAX_DEPTH) {
      const span = spanOf(m, i, i + 1);
      return { tree: [], findings: [{ code: 'nested-too-deep', ...span, params: { max: MAX_DEPTH } }] };
    } else if (unit === '{') {
      flush(i);
      done = i + 1;
      stack.push({ options: [[]], at: i });
    } else if (inside && isComma(unit)) {
      flush(i);
      done = i + 1;
      stack.at(-1)!.options.push([]);
    } else if (unit === '}') {
      if (!inside) {
        unbalanced(i);
        continue;
      }
      flush(i);
      done = i + 1;
      const { options } = stack.pop()!;
      const count = options.reduce((sum, option) => sum + countOf(option), 0);
      stack.at(-1)!.options.at(-1)!.push({ options, count });
    }
  }
  flush(m.text.length);
  for (const open of stack.slice(1)) unbalanced(open.at);
  return { tree: stack[0]!.options[0]!, findings };
};

const expandSequence = (sequence: readonly Node[]): Mapped[] => {
  let results: Mapped[][] = [[]];
  for (const node of sequence) {
    const choices = 'options' in node ? node.options.flatMap(expandOption) : [node];
    if (choices.length === 1) for (const pieces of results) pieces.push(choices[0]!);
    else results = results.flatMap((pieces) => choices.map((choice) => [...pieces, choice]));
  }
  return results.map(concat);
};

const expandOption = (option: readonly Node[]): Mapped[] => expandSequence(option).map(trim);

/** The prompts of `{a, b} {c, d}`, counted before any is made; more than `cap` are a finding. */
export const expand = (m: Mapped, cap: number): { texts: Mapped[]; count: number; findings: Finding[] } => {
  const { tree, findings } = read(m);
  const count = countOf(tree);
  if (findings.length > 0) return { texts: [], count, findings };
  if (count > cap) {
    const open = m.text.indexOf('{');
    const span = spanOf(m, open, m.text.lastIndexOf('}') + 1);
    const shown = Math.min(count, Number.MAX_SAFE_INTEGER);
    return {
      texts: [],
      count,
      findings: [{ code: 'too-many-permutations', ...span, params: { count: shown, max: cap } }],
    };
  }
  return { texts: expandSequence(tree), count, findings };
};
