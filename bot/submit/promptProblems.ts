import { type MessageKey, say, withInstead } from '../../shared/messages/index.ts';
import { caretLines, type Problem } from '../../shared/prompt/index.ts';

/** Most problems shown at once. */
const SHOWN = 10;

/** A prompt's problems as text, with a caret at each place and the suggestion. Pure. */
export function describeProblems(locale: string, input: string, problems: readonly Problem[]): string {
  const lines = problems.slice(0, SHOWN).map((problem) => describe(locale, problem));
  const carets = caretLines(input, problems.slice(0, SHOWN));
  return `\`\`\`\n${carets.slice(0, 1500)}\n\`\`\`\n${lines.map((line) => `- ${line}`).join('\n')}`;
}

function describe(locale: string, { code, params, suggestion }: Problem): string {
  const ranged = code === 'out-of-range' && params['model'] !== undefined;
  const key: MessageKey = ranged ? 'problem.out-of-range-model' : `problem.${code}`;
  const safe = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, quoted(value)]));
  const text = say(locale, key, withInstead(locale, safe));
  if (suggestion === undefined) return text;
  return `${text} ${say(locale, 'problem.suggestion', { suggestion: quoted(suggestion) })}`;
}

/** Typed text stands between backticks; one inside would end them. */
const quoted = <T extends string | number>(value: T): T | string =>
  typeof value === 'string' ? value.replaceAll('`', 'ˋ') : value;
