/**
 * Syntax of other programs that parses here with another meaning: how it was read, and what to
 * write instead. Pure.
 */
export interface Note {
  /** Key into the messages table, after `note.`. */
  code: 'weight' | 'schedule' | 'choice';
  /** The syntax as typed. */
  typed: string;
  /** The syntax of this prompt language with the meaning that was meant. */
  instead: string;
}

const FORMS: readonly { code: Note['code']; pattern: RegExp; instead(match: RegExpExecArray): string }[] = [
  // NovelAI: a weight in front of its words.
  {
    code: 'weight',
    pattern: /(?<=^|[\s,])(-?\d{1,3}(?:\.\d{1,4})?)::([^:{}[\]]{1,200}?)::(?!-?[\d.])/g,
    instead: ([, weight, words]) => `(${(words as string).trim()}:${weight})`,
  },
  // AUTOMATIC1111: words that come or go at a step.
  {
    code: 'schedule',
    pattern: /\[([^[\]{}:]{0,200}):(?:([^[\]{}:]{0,200}):|:)?(\d{0,4}\.?\d{1,4})\]/g,
    instead: ([, before, after]) => [before, after].find((words) => words?.trim()) ?? '',
  },
  // Dynamic prompts and NovelAI: one of several.
  {
    code: 'choice',
    pattern: /\{([^{},]{0,200}\|[^{},]{0,200})\}/g,
    instead: ([, words]) =>
      `{${(words as string)
        .split('|')
        .map((one) => one.trim())
        .join(', ')}}`,
  },
];
const MOST = 3;

/** Notes on a prompt, at most three. @param text as it was typed */
export const notesOn = (text: string): Note[] =>
  FORMS.flatMap(({ code, pattern, instead }) =>
    [...text.slice(0, 6000).matchAll(pattern)].map((match) => ({
      code,
      typed: match[0].slice(0, 100),
      instead: instead(match).slice(0, 100),
    })),
  ).slice(0, MOST);
