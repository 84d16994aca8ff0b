import { type EffectiveParameter, parameterFor, parameterNames, parameterOf } from '../picture/params.ts';
import type { ModelCard } from '../queue/job.ts';
import { badLink, linkOf } from './links.ts';
import { readLoraWord } from './loras.ts';
import { type Mapped, spanOf, type Word, wordsOf } from './mappedText.ts';
import type { Finding } from './problems.ts';
import { linkEdits, readStyles } from './references.ts';
import { distance, nearest } from './suggest.ts';
import { type Segment, type Tokens, valueWords } from './tokenise.ts';
import type { Models, Typed } from './typedParameters.ts';
import { readValue } from './values.ts';
import { joined, ownWords, wordsTaken } from './valueWords.ts';

/** Names to propose: parameters that the model takes, one spelling each, `--style` only for the value raw. */
const proposals = (card: ModelCard | undefined, value: string | undefined): string[] => {
  const names = parameterNames().filter((name) => {
    const spec = parameterFor(parameterOf(name)!, card);
    return spec.supported && spec.kind !== 'style' && (name === spec.name || distance(name, spec.name) > 1);
  });
  return value === 'raw' ? ['style', ...names] : names;
};

/** The nearest name; for one or two letters only a swap of the two counts as near. */
const nearName = (name: string, names: readonly string[]): string | undefined =>
  name.length > 2
    ? nearest(name, names)
    : names.find((other) => other.length === 2 && other !== name && other === [...name].reverse().join(''));

const unknown = (m: Mapped, segment: Segment, card: ModelCard | undefined, context: Models): Finding => {
  const span = spanOf(m, segment.start, segment.nameEnd);
  const params = { parameter: `--${segment.name}` };
  const glued = /^([a-z]+)([-.\d].*)$/.exec(segment.name);
  const split = glued && parameterOf(glued[1]!) ? `${glued[1]} ${glued[2]}` : undefined;
  const first = valueWords(m, segment)[0];
  const near = split ?? nearName(segment.name, proposals(card, first?.text.toLowerCase()));
  if (near !== undefined && (split !== undefined || mayTake(near, first?.text, context))) {
    const suggestion = `--${near}`;
    return { code: 'unknown-parameter', ...span, params, suggestion, edits: [{ ...span, text: suggestion }] };
  }
  const end = first !== undefined && /^[-.\d:]+$/.test(first.text) ? first.end : segment.nameEnd;
  const edits = [{ ...spanOf(m, segment.start, end), text: '' }];
  return { code: 'unknown-parameter', ...span, params, edits };
};

/** Whether the word behind an unknown name could be a value of the known parameter. */
const mayTake = (name: string, word: string | undefined, context: Models): boolean => {
  const spec = parameterOf(name)!;
  const isNumber = spec.kind === 'number' || spec.kind === 'integer';
  if (spec.kind === 'flag') return word === undefined || !/^[-+.\d]/.test(word);
  if (!isNumber || word === undefined) return true;
  const reading = readValue(word, parameterFor(spec), context.models);
  return 'value' in reading || reading.code !== 'not-a-number' || reading.suggestion !== undefined;
};

/** `-ar 3:2` among the words: one dash short of a parameter. Counts only with a value that fits. */
const oneDash = (body: Mapped, context: Models): Finding[] => {
  const words = wordsOf(body);
  return words.flatMap((word, i): Finding[] => {
    const spec = parameterOf(/^-([a-z]+)$/i.exec(word.text)?.[1]?.toLowerCase() ?? '');
    const value = words[i + 1]?.text;
    if (spec?.kind !== 'number' && spec?.kind !== 'integer' && spec?.kind !== 'ratio') return [];
    if (value === undefined || !('value' in readValue(value, parameterFor(spec), context.models))) return [];
    const span = spanOf(body, word.start, word.end);
    const suggestion = `-${word.text.toLowerCase()}`;
    const params = { parameter: word.text };
    return [
      { code: 'unknown-parameter', ...span, params, suggestion, edits: [{ ...span, text: suggestion }] },
    ];
  });
};

/** Words after a value: a prompt's words come first. Mended by moving the stray words in front. */
const stray = (m: Mapped, body: Mapped, words: Word[], name: string): Finding[] => {
  if (words.length === 0) return [];
  const span = spanOf(m, words[0]!.start, words.at(-1)!.end);
  const text = m.text.slice(words[0]!.start, words.at(-1)!.end);
  const params = { parameter: `--${name}`, text: text.slice(0, 100) };
  if (/^(?:[-+.\d:]+|true|false|on|off|yes|no|low|high)$/i.test(text))
    return [{ code: 'unexpected-value', ...span, params, edits: [{ ...span, text: '' }] }];
  const at = spanOf(body, body.text.length, body.text.length).end;
  const edits = [
    { ...span, text: '' },
    { start: at, end: at, text: at === 0 ? `${text} ` : ` ${text}` },
  ];
  return [{ code: 'parameter-before-text', ...span, params, edits }];
};

/** Reads the parameters of one prompt; the last of several wins, except that `--no` and `--sref` add up. */
export const readParameters = (m: Mapped, tokens: Tokens, context: Models): Typed => {
  const typed: Typed = {
    loras: [],
    params: {},
    without: [],
    srefs: [],
    findings: oneDash(tokens.body, context),
  };
  const known: { segment: Segment; spec: EffectiveParameter }[] = [];
  const card = context.models?.get(chosenModel(m, tokens, context) ?? '');
  for (const segment of tokens.segments) {
    const spec = parameterOf(segment.name);
    if (spec === undefined) typed.findings.push(unknown(m, segment, card, context));
    else known.push({ segment, spec: parameterFor(spec, card) });
  }
  for (const { segment, spec } of known) readOne(m, tokens.body, segment, spec, card, context, typed);
  return typed;
};

/** Reads --model first: the model decides the ranges of the other parameters. */
const chosenModel = (m: Mapped, tokens: Tokens, context: Models): string | undefined => {
  const words = tokens.segments
    .filter((segment) => parameterOf(segment.name)?.kind === 'model')
    .flatMap((segment) => valueWords(m, segment).slice(0, 1));
  const word = words.at(-1)?.text;
  if (word === undefined) return context.fallback;
  const reading = readValue(word, parameterFor(parameterOf('model')!), context.models);
  return 'value' in reading ? String(reading.value) : undefined;
};

const readOne = (
  m: Mapped,
  body: Mapped,
  segment: Segment,
  spec: EffectiveParameter,
  card: ModelCard | undefined,
  context: Models,
  typed: Typed,
): void => {
  const words = valueWords(m, segment);
  const nameSpan = spanOf(m, segment.start, segment.nameEnd);
  const parameter = `--${spec.print ?? spec.name}`;
  const ofModel: Record<string, string> = card === undefined ? {} : { model: card.name };
  const takesWords = spec.kind === 'list' || spec.kind === 'links';
  const taken = takesWords ? words.length : wordsTaken(m, spec, words);

  if (!spec.supported) {
    const own = ownWords(spec, words);
    const end = own === 0 ? segment.nameEnd : words[own - 1]!.end;
    const span = spanOf(m, segment.start, end);
    const { instead = 'leave-out' } = spec;
    const params = { parameter, instead, ...ofModel };
    const edits = linkEdits(m, body, span, spec.kind === 'links' ? words.slice(0, own) : [], typed);
    typed.findings.push({ code: 'unsupported-parameter', ...span, params, edits });
    typed.findings.push(...stray(m, body, words.slice(own), segment.name));
    return;
  }
  if ((taken > 0 || takesWords) && words.length === 0) {
    const edits = [{ ...spanOf(m, segment.start, segment.end), text: ' ' }];
    typed.findings.push({ code: 'missing-value', ...nameSpan, params: { parameter }, edits });
    return;
  }
  typed.findings.push(...stray(m, body, words.slice(taken), segment.name));

  if (spec.kind === 'lora') {
    const own = words.slice(0, taken);
    const span = spanOf(m, own[0]!.start, own.at(-1)!.end);
    typed.loras.push(readLoraWord(own.map(({ text }) => text).join(':'), span.start, span.end));
  } else if (spec.kind === 'styles') readStyles(m, body, segment, spec, words.slice(0, taken), card, typed);
  else if (spec.kind === 'flag') Object.assign(typed.params, { [spec.field!]: spec.value ?? true });
  else if (spec.kind === 'list') {
    const text = m.text.slice(words[0]!.start, words.at(-1)!.end);
    typed.without.push(
      ...text
        .split(/[,，、﹐､]/)
        .map((item) => item.trim())
        .filter((item) => item !== ''),
    );
  } else if (spec.kind === 'links') {
    for (const word of words) {
      const link = linkOf(word.text);
      if (link === undefined) typed.findings.push(badLink(m, word));
      else typed.srefs.push(link);
    }
  } else {
    const word = joined(m, words.slice(0, taken));
    if (spec.name === 'seed' && /^(?:-1|random)$/i.test(word.text)) {
      delete typed.params.seed;
      return;
    }
    const reading = readValue(word.text, spec, context.models);
    if ('value' in reading) {
      const field = spec.kind === 'style' ? 'raw' : spec.field;
      if (field !== undefined) Object.assign(typed.params, { [field]: reading.value });
      return;
    }
    const span = spanOf(m, word.start, word.end);
    const { code, params = {}, suggestion } = reading;
    typed.findings.push({
      code,
      ...span,
      params: { parameter, value: word.text.slice(0, 100), ...params, ...ofModel },
      ...(suggestion === undefined ? {} : { suggestion }),
      edits:
        suggestion === undefined
          ? [{ ...spanOf(m, segment.start, word.end), text: '' }]
          : [{ ...span, text: suggestion }],
    });
  }
};
