import { type EffectiveParameter, SAMPLERS, samplerOf } from '../picture/params.ts';
import type { ModelCard, Params } from '../queue/job.ts';
import type { ProblemCode } from './problems.ts';
import { distance, nearest } from './suggest.ts';

/** A parsed value, or why the word has none. */
export type Reading =
  | { value: NonNullable<Params[keyof Params]> }
  | { code: ProblemCode; params?: Record<string, string | number>; suggestion?: string };

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Nearest ratio of whole numbers up to `max`, by the smallest denominator that is near enough. */
const rational = (ratio: number, max: number): [number, number] => {
  let best: [number, number] = ratio >= 1 ? [max, 1] : [1, max];
  let least = Number.POSITIVE_INFINITY;
  for (let h = 1; h <= max; h++) {
    const w = Math.round(ratio * h);
    if (w < 1 || w > max) continue;
    const off = Math.abs(Math.log(w / h / ratio));
    if (off < least - 1e-12) {
      best = [w, h];
      least = off;
    }
    if (off < 1e-6) break;
  }
  return best;
};

/** `16:9` in lowest terms; also `16x9`, `16/9` and `16 : 9`. `1.39:1` is refused with `139:100`, as Midjourney does. */
const readRatio = (word: string, { max = 999 }: EffectiveParameter): Reading => {
  const match = /^(\d*\.?\d+) ?[:x/×] ?(\d*\.?\d+)$/i.exec(word);
  const [w, h] = [Number(match?.[1]), Number(match?.[2])];
  if (!(w > 0 && h > 0 && Number.isFinite(w / h) && w / h > 0)) return { code: 'bad-aspect' };
  if (Number.isSafeInteger(w) && Number.isSafeInteger(h)) {
    const divisor = gcd(w, h);
    if (w / divisor <= max && h / divisor <= max) return { value: [w / divisor, h / divisor] };
  }
  return { code: 'bad-aspect', suggestion: rational(w / h, max).join(':') };
};

const readNumber = (word: string, spec: EffectiveParameter): Reading => {
  const comma = /^-?\d+,\d+$/.test(word) ? word.replace(',', '.') : undefined;
  if (comma !== undefined) return { code: 'not-a-number', suggestion: comma };
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(word)) return { code: 'not-a-number' };
  const value = Math.round(Number(word) * 1e4) / 1e4 + 0;
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = spec;
  if (value < min || value > max)
    return { code: 'out-of-range', params: { min, max }, suggestion: String(value < min ? min : max) };
  if (spec.kind === 'integer' && !Number.isInteger(value))
    return { code: 'not-whole', suggestion: String(Math.min(max, Math.max(min, Math.round(value)))) };
  return { value };
};

const readModel = (word: string, models: ReadonlyMap<string, ModelCard> | undefined): Reading => {
  if (models === undefined)
    return /^[a-z0-9][a-z0-9._-]{0,63}$/i.test(word)
      ? { value: word }
      : { code: 'unknown-model', params: { models: '' } };
  const names = [...models.keys()];
  const lower = word.toLowerCase();
  const exact = names.find((name) => name === word) ?? names.find((name) => name.toLowerCase() === lower);
  if (exact !== undefined) return { value: exact };
  const byPlace = /^[1-9]\d{0,2}$/.test(word) ? names[Number(word) - 1] : undefined;
  if (byPlace !== undefined) return { value: byPlace };
  const near = nearest(lower, names) ?? (names.length === 1 ? names[0] : undefined);
  const params = { models: names.slice(0, 25).join(', ') };
  return { code: 'unknown-model', params, ...(near === undefined ? {} : { suggestion: near }) };
};

const readSampler = (word: string): Reading => {
  const found = samplerOf(word);
  if (found !== undefined) return { value: found };
  const names = Object.keys(SAMPLERS);
  const near = nearest(word.toLowerCase(), names);
  const params = { samplers: names.join(', ') };
  return { code: 'unknown-sampler', params, ...(near === undefined ? {} : { suggestion: near }) };
};

/**
 * Reads one word as the value of one parameter, within the model's range. A word that is valid without
 * its last characters (`50,` `80%` `3:2"`) is suggested without them.
 */
export const readValue = (
  word: string,
  spec: EffectiveParameter,
  models: ReadonlyMap<string, ModelCard> | undefined,
): Reading => {
  const reading = readExactly(word, spec, models);
  if ('value' in reading || reading.suggestion !== undefined) return reading;
  const bare = word.replace(/^[("']+|[^\p{L}\p{N}]+$/gu, '');
  if (bare === word || bare === '' || !('value' in readExactly(bare, spec, models))) return reading;
  return { ...reading, suggestion: bare };
};

const readExactly = (
  word: string,
  spec: EffectiveParameter,
  models: ReadonlyMap<string, ModelCard> | undefined,
): Reading => {
  switch (spec.kind) {
    case 'ratio':
      return readRatio(word, spec);
    case 'model':
      return readModel(word, models);
    case 'sampler':
      return readSampler(word);
    case 'style':
      if (word.toLowerCase() === 'raw') return { value: true };
      return distance(word.toLowerCase(), 'raw') <= 1
        ? { code: 'unknown-style', suggestion: 'raw' }
        : { code: 'unknown-style' };
    default:
      return readNumber(word, spec);
  }
};
