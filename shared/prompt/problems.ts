/** One thing that is wrong with a prompt, and where, in units of the text as it was typed. */
export interface Problem {
  /** Key into the messages table. */
  code: ProblemCode;
  start: number;
  end: number;
  params: Record<string, string | number>;
  /** What to write instead: `--stylize`, `1000`, `139:100`. */
  suggestion?: string;
}

export const PROBLEM_CODES = [
  'empty-prompt',
  'too-long',
  'unknown-parameter',
  'unsupported-parameter',
  'missing-value',
  'unexpected-value',
  'not-a-number',
  'not-whole',
  'out-of-range',
  'bad-aspect',
  'unknown-model',
  'unknown-sampler',
  'unknown-style',
  'unknown-lora',
  'lora-base',
  'lora-model',
  'lora-denied',
  'too-many-loras',
  'parameter-before-text',
  'bad-link',
  'misplaced-link',
  'weights-sum',
  'too-many-parts',
  'unbalanced-brace',
  'nested-too-deep',
  'too-many-permutations',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** A change to the text as typed. */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

/** A problem with the change that would mend it. */
export interface Finding extends Problem {
  edits?: Edit[];
}

/** Each finding once (expansions repeat findings), in the order of the text. */
export const distinct = (findings: readonly Finding[]): Finding[] => {
  const seen = new Map<string, Finding>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.code, finding.start, finding.end, finding.params]);
    if (!seen.has(key)) seen.set(key, finding);
  }
  return [...seen.values()].sort((a, b) => a.start - b.start || a.end - b.end);
};

/** A finding without its edits. */
export const toProblem = ({ edits: _, ...problem }: Finding): Problem => problem;

/** Applies the edits that do not overlap, from the end to the start; undefined where there is nothing to do. */
export const applyEdits = (input: string, findings: readonly Finding[]): string | undefined => {
  const edits = findings.flatMap((finding) => finding.edits ?? []);
  if (edits.length === 0) return undefined;
  edits.sort((a, b) => b.start - a.start || b.end - a.end);
  let text = input;
  let before = Number.POSITIVE_INFINITY;
  for (const edit of edits) {
    if (edit.end > before) continue;
    text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
    before = edit.start;
  }
  return text === input ? undefined : text;
};
