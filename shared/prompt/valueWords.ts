import type { EffectiveParameter } from '../picture/params.ts';
import type { Mapped, Word } from './mappedText.ts';

/** How many of the words behind a parameter's name are its value. */

/** Words that only names of samplers have; `a` behind `euler` is one of them. */
const SAMPLER_WORD =
  /^(?:dpm\S*|k_\S+|\d\w{0,2}|sde|karras|exponential|polyexponential|beta|normal|simple|uniform|sgm_?uniform|gpu|ancestral|a|heun\d?|lms|turbo|trailing|restart|cfg\+\+)$/i;

/** How many words a value has: one, but for `16 : 9`, for a sampler's full name and for several styles. */
export const wordsTaken = (m: Mapped, spec: EffectiveParameter, words: readonly Word[]): number => {
  if (spec.kind === 'flag') return 0;
  if (words.length === 0) return 1;
  const until = (fits: (word: Word, i: number) => boolean): number => {
    const end = words.findIndex((word, i) => i > 0 && !fits(word, i));
    return end < 0 ? words.length : end;
  };
  if (spec.kind === 'sampler') return until(({ text }) => SAMPLER_WORD.test(text));
  if (spec.kind === 'styles') return until(({ text }) => STYLE.test(text) || LINK.test(text));
  // `name :0.8`: a LoRA's weight apart from its name.
  if (spec.kind === 'lora')
    return until(({ text }, i) => i === 1 && !words[0]!.text.includes(':') && /^[-+]?[\d.]+$/.test(text));
  if (spec.kind === 'ratio') {
    const spaced = /^(?:\d*\.?\d+) ?[:x/×] ?(?:\d*\.?\d+)(?= |$)/i.exec(m.text.slice(words[0]!.start));
    const end = words[0]!.start + (spaced?.[0].length ?? 0);
    return Math.max(1, words.filter((word) => word.end <= end).length);
  }
  return 1;
};

/** Several words as one, with the blanks between them; at least one word. */
export const joined = (m: Mapped, words: readonly Word[]): Word => {
  const { start } = words[0]!;
  const { end } = words.at(-1)!;
  return { text: m.text.slice(start, end), start, end };
};

export const STYLE = /^(?:\d+(?:::\d*\.?\d+)?|random),?$/i;
export const LINK = /^<?https?:\/\//i;

/**
 * How many words belong to a parameter without effect, so that none of them ends among the prompt's: those that
 * look like its value, and a single word.
 */
export const ownWords = (spec: EffectiveParameter, words: readonly Word[]): number => {
  const [first] = words;
  if (first === undefined) return 0;
  switch (spec.kind) {
    case 'flag':
      return 0;
    case 'list':
      return words.length;
    case 'links': {
      const end = words.findIndex(({ text }) => !LINK.test(text) && !/^(?:\d+|random)$/i.test(text));
      return end < 0 ? words.length : end;
    }
    case 'word':
      return words.length === 1 || /\d|^(?:low|high|loop|random)$/i.test(first.text) || LINK.test(first.text)
        ? 1
        : 0;
    case 'number':
    case 'integer':
      return words.length === 1 || /^[-+.\d]/.test(first.text) ? 1 : 0;
    default:
      return 1;
  }
};
