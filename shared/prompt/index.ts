import { PARAMETERS, type ParameterSpec, parameterFor } from '../picture/params.ts';
import type { PromptPart } from '../picture/recipe.ts';
import type { ModelCard, Params } from '../queue/job.ts';
import { expandOptions, suffixOf } from './customOptions.ts';
import { takeLinks } from './links.ts';
import { fittingLoras, readLoras, takeTags } from './loras.ts';
import { concat, type Mapped, mapped, placed } from './mappedText.ts';
import { readParameters } from './parameters.ts';
import { expand, MAX_PERMUTATIONS } from './permutations.ts';
import { printPrompt } from './print.ts';
import { applyEdits, distinct, type Finding, type Problem, toProblem } from './problems.ts';
import { MAX_INPUT, MAX_LENGTH, sanitise } from './sanitise.ts';
import { tokenise } from './tokenise.ts';
import type { Typed } from './typedParameters.ts';
import { weigh } from './weights.ts';

export { caretLines } from './caret.ts';
export { type Note, notesOn } from './foreignSyntax.ts';
export { MAX_PERMUTATIONS } from './permutations.ts';
export { printPrompt } from './print.ts';
export { PROBLEM_CODES, type Problem, type ProblemCode } from './problems.ts';
export { MAX_LENGTH } from './sanitise.ts';

export interface ParsedPrompt {
  /** The canonical text with parameters; parsing it gives the same prompt. */
  text: string;
  /** The words alone, weights as typed. */
  prompt: string;
  /** The words by weight; the weights add up to 1. One empty part where there are only images. */
  parts: PromptPart[];
  /** Everything after `--no`, comma separated. */
  negative: string;
  params: Params;
  /** Links of image prompts, which come before the words. */
  images: string[];
  srefs: string[];
}

export type ParseResult =
  | { ok: true; prompts: ParsedPrompt[] }
  | { ok: false; problems: Problem[]; fixed?: string };

export interface ParseOptions {
  /** Installed models; without them any name is taken and no model's ranges apply. */
  models?: ReadonlyMap<string, ModelCard> | undefined;
  defaultModel?: string | undefined;
  /** A member's own options by lower-case name, without dashes. */
  customOptions?: ReadonlyMap<string, string> | undefined;
  /** Parameters put behind each prompt: typed > suffix > defaults. */
  suffix?: string | undefined;
  /** Defaults from a member's settings. */
  defaults?: Params | undefined;
  maxPermutations?: number | undefined;
  /** Whether a LoRA of this name may be used here; absent = all may. */
  mayUseLora?: ((name: string) => boolean) | undefined;
}

/** Most rounds of mending: each may uncover further problems (words after a parameter, then their links). */
const MAX_MENDS = 4;

/** Parses a prompt: all its expansions, or all its problems and perhaps a mended text. Throws nothing. */
export const parsePrompt = (input: string, options: ParseOptions = {}): ParseResult => {
  const { prompts, findings } = read(input, options);
  if (findings.length === 0) return { ok: true, prompts };
  const fixed = mend(input, options);
  const problems = findings.map(toProblem);
  return { ok: false, problems, ...(fixed === undefined ? {} : { fixed }) };
};

/**
 * Mending starts from the clean text with own options written out: a problem inside an option can only be
 * mended there.
 */
const mend = (input: string, options: ParseOptions): string | undefined => {
  if (input.length > MAX_INPUT) return undefined;
  let { text } = expandOptions(sanitise(mapped(input)), options.customOptions);
  for (let round = 0; round < MAX_MENDS; round++) {
    const { findings } = read(text, options);
    if (findings.length === 0) return text;
    const next = applyEdits(text, findings);
    if (next === undefined) return undefined;
    text = next.trim().replace(/ +/g, ' ');
  }
  return read(text, options).findings.length === 0 ? text : undefined;
};

/** `--sref random` with a number in its place, so that everybody sees which style it was. @param draw 0..2^32 − 1 */
export const drawStyle = (parsed: ParsedPrompt, draw: () => number): ParsedPrompt => {
  const { sref } = parsed.params;
  if (!sref?.includes('random')) return parsed;
  const params = { ...parsed.params, sref: sref.map((code) => (code === 'random' ? draw() : code)) };
  const drawn = { ...parsed, params };
  return { ...drawn, text: printPrompt(drawn) };
};

interface Reading {
  prompts: ParsedPrompt[];
  findings: Finding[];
}

const tooLong = (input: string, length: number): Finding => ({
  code: 'too-long',
  start: Math.min(MAX_LENGTH, input.length),
  end: input.length,
  params: { length, max: MAX_LENGTH },
});

/** 1. length 2. clean 3. own options and suffix 4. permutations 5. links, weights and parameters of each. */
const read = (input: string, options: ParseOptions): Reading => {
  if (input.length > MAX_INPUT) return { prompts: [], findings: [tooLong(input, input.length)] };
  const clean = sanitise(mapped(input));
  const suffix = suffixOf(options.suffix, options.customOptions);
  const end = input.length;
  const expanded = concat([expandOptions(clean, options.customOptions), placed(` ${suffix}`, end, end)]);
  if (expanded.text.length > MAX_LENGTH + 1)
    return { prompts: [], findings: [tooLong(input, expanded.text.length - 1)] };

  const cap = options.maxPermutations ?? MAX_PERMUTATIONS;
  const { texts, findings } = expand(expanded, cap);
  const all = [...findings];
  const prompts: ParsedPrompt[] = [];
  for (const text of texts) {
    const one = readOne(sanitise(text), input, options);
    prompts.push(one.prompt);
    all.push(...one.findings);
  }
  const jobs = prompts.reduce((sum, { params }) => sum + (params.repeat ?? 1), 0);
  if (jobs > cap && all.length === 0 && prompts.length > 1)
    all.push({ code: 'too-many-permutations', start: 0, end, params: { count: jobs, max: cap } });
  return { prompts, findings: distinct(all) };
};

const readOne = (
  given: Mapped,
  input: string,
  options: ParseOptions,
): { prompt: ParsedPrompt; findings: Finding[] } => {
  const end = input.length;
  const { rest: m, tags } = takeTags(given);
  const tokens = tokenise(m);
  const { images, words, findings: links } = takeLinks(tokens.body);
  const { parts, findings: weights } = weigh(words);
  // The suffix's parameters are read first, so that typed ones win.
  const isSuffix = ({ start }: { start: number }) => m.from[start]! >= end;
  const { segments } = tokens;
  const inOrder = [...segments.filter(isSuffix), ...segments.filter((segment) => !isSuffix(segment))];
  const fallback = options.defaults?.model ?? options.defaultModel;
  const typed = readParameters(m, { ...tokens, segments: inOrder }, { models: options.models, fallback });
  const card = options.models?.get(typed.params.model ?? fallback ?? '');
  const asked = [...tags.filter(({ span }) => span.start >= end), ...typed.loras];
  const { loras, findings: foreign } = readLoras(
    [...asked, ...tags.filter(({ span }) => span.start < end)],
    card,
    options.mayUseLora,
  );
  if (loras.length > 0) typed.params.loras = loras;
  const params = withDefaults(typed, options);
  // Problems in the suffix (another model's parameter) are dropped: the member did not type it here.
  const findings = [
    ...links,
    ...weights,
    ...[...typed.findings, ...foreign].filter(({ start }) => start < end),
  ];
  if (parts.length === 0 && images.length === 0 && findings.length === 0)
    findings.push({ code: 'empty-prompt', start: 0, end, params: {} });
  const prompt = {
    prompt: words.text,
    parts: parts.length === 0 ? [{ text: '', weight: 1 }] : parts,
    negative: typed.without.join(', '),
    params,
    images,
    srefs: typed.srefs,
  };
  const text = printPrompt(prompt);
  if (text.length > MAX_LENGTH && findings.length === 0) findings.push(tooLong(input, text.length));
  return { prompt: { text, ...prompt }, findings };
};

/** Fills untyped parameters from settings, clamped to the model's range without a problem. */
const withDefaults = (
  { params }: Typed,
  { defaults, models, defaultModel, mayUseLora }: ParseOptions,
): Params => {
  if (defaults === undefined) return params;
  const card = models?.get(params.model ?? defaults.model ?? defaultModel ?? '');
  const merged: Record<string, unknown> = { ...params };
  for (const spec of PARAMETERS as readonly ParameterSpec[]) {
    if (spec.field === undefined || merged[spec.field] !== undefined) continue;
    const own = parameterFor(spec, card);
    const value = defaults[spec.field];
    if (value === undefined || value === false || !own.supported) continue;
    if (spec.name === 'lora') {
      const fitting = fittingLoras(defaults.loras, card, mayUseLora);
      if (fitting.length > 0) merged['loras'] = fitting;
      continue;
    }
    merged[spec.field] =
      typeof value === 'number' ? Math.min(own.max ?? value, Math.max(own.min ?? value, value)) : value;
  }
  return merged as Params;
};
