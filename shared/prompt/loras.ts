import {
  ADAPTER_NAME,
  BASES,
  findAdapter,
  fits,
  type LoraWish,
  MAX_LORA_WEIGHT,
  MAX_LORAS,
} from '../picture/lora.ts';
import type { ModelCard } from '../queue/job.ts';
import { concat, type Mapped, placed, slice, spanOf, trim } from './mappedText.ts';
import type { Edit, Finding } from './problems.ts';
import { nearest } from './suggest.ts';

/**
 * LoRAs in a prompt: `<lora:name:0.8>` anywhere in it, as in AUTOMATIC1111's web UI, or `--lora name:0.8`. One
 * without a weight has the LoRA's own. Printed as `--lora name:weight`, one each.
 */
export interface TypedLora {
  readonly name: string;
  /** The typed weight; '' where there is none. */
  readonly weight: string;
  /** Place in the text as typed, UTF-16 units. */
  readonly span: { readonly start: number; readonly end: number };
  /** The LoRA in the syntax that was typed, with another name or weight. */
  print(name: string, weight: string): string;
}

/** Whether a LoRA of this name may be used where the prompt is typed. */
export type MayUse = (name: string) => boolean;

const TAG = /<\s*(?:lora|lyco)\s*:\s*([^<>:]*?)\s*(?::\s*([^<>]*?)\s*)?>/giu;

/** Takes the `<lora:…>` tags out of a clean line; the rest is a clean line again. */
export const takeTags = (m: Mapped): { rest: Mapped; tags: TypedLora[] } => {
  const tags: TypedLora[] = [];
  const parts: Mapped[] = [];
  let done = 0;
  for (const match of m.text.matchAll(TAG)) {
    const end = match.index + match[0].length;
    tags.push({
      name: match[1]!,
      weight: match[2] ?? '',
      span: spanOf(m, match.index, end),
      print: (name, weight) => (weight === '' ? `<lora:${name}>` : `<lora:${name}:${weight}>`),
    });
    parts.push(slice(m, done, match.index));
    done = end;
    // Of the two spaces around a tag one stays, none at an end of the line.
    const before = m.text[match.index - 1];
    if (m.text[done] === ' ' && (before === ' ' || before === undefined)) done++;
    else if (before !== undefined && before !== ' ' && m.text[done] !== undefined && m.text[done] !== ' ')
      parts.push(placed(' ', m.from[match.index]!, m.to[end - 1]!));
  }
  if (tags.length === 0) return { rest: m, tags };
  return { rest: trim(concat([...parts, slice(m, done)])), tags };
};

/** `name`, `name:0.8`; also `<lora:name:0.8>` was read by now. */
export const readLoraWord = (word: string, start: number, end: number): TypedLora => {
  const at = word.lastIndexOf(':');
  return {
    name: at < 0 ? word : word.slice(0, at),
    weight: at < 0 ? '' : word.slice(at + 1),
    span: { start, end },
    print: (name, weight) => (weight === '' ? name : `${name}:${weight}`),
  };
};

/**
 * The typed LoRAs that the chosen model can take; the last of several of one name wins.
 * @param card the model's; undefined: any name is accepted
 * @param mayUse whether a LoRA may be used here
 */
export const readLoras = (
  typed: readonly TypedLora[],
  card: ModelCard | undefined,
  mayUse: MayUse = () => true,
): { loras: LoraWish[]; findings: Finding[] } => {
  const loras = new Map<string, LoraWish>();
  const findings: Finding[] = [];
  for (const one of typed) {
    const read = readOne(one, card, mayUse);
    if ('code' in read) findings.push(read);
    else {
      loras.delete(read.name);
      loras.set(read.name, read);
    }
  }
  if (loras.size > MAX_LORAS) {
    const { span } = typed.at(-1)!;
    findings.push({ code: 'too-many-loras', ...span, params: { count: loras.size, max: MAX_LORAS } });
  }
  return { loras: [...loras.values()].slice(0, MAX_LORAS), findings };
};

const readOne = (
  { name, weight, span, print }: TypedLora,
  card: ModelCard | undefined,
  mayUse: MayUse,
): LoraWish | Finding => {
  const gone: Edit[] = [{ ...span, text: ' ' }];
  const parameter = '--lora';
  const shown = name.slice(0, 100);
  if (card && card.base === undefined)
    return { code: 'lora-model', ...span, params: { parameter, model: card.name }, edits: gone };
  const known = findAdapter(card?.loras, name);
  const fitting =
    card?.loras?.filter((lora) => fits(lora, card.base) && mayUse(lora.name)).map((lora) => lora.name) ?? [];
  if (!mayUse(known?.name ?? name) && (known !== undefined || card === undefined)) {
    const params = { parameter, value: known?.name ?? shown, loras: fitting.slice(0, 25).join(', ') || '–' };
    return { code: 'lora-denied', ...span, params, edits: gone };
  }
  if (card ? !known : !ADAPTER_NAME.test(name) && name !== '') {
    const near = nearest(name.toLowerCase(), fitting);
    const suggestion = near === undefined ? undefined : print(near, weight);
    return {
      code: 'unknown-lora',
      ...span,
      params: { parameter, value: shown, loras: fitting.slice(0, 25).join(', ') || '–' },
      ...(suggestion === undefined
        ? { edits: gone }
        : { suggestion, edits: [{ ...span, text: suggestion }] }),
    };
  }
  if (card && known && !fits(known, card.base)) {
    const params = {
      parameter,
      value: known.name,
      base: BASES[known.base!],
      model: card.name,
      own: BASES[card.base!],
    };
    return { code: 'lora-base', ...span, params, edits: gone };
  }
  const exact = known?.name ?? name;
  const usual = known?.weight ?? 1;
  const comma = weight.replace(',', '.');
  const number =
    weight === '' ? usual : Number(/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(comma) ? comma : Number.NaN);
  if (exact === '' || Number.isNaN(number) || comma !== weight) {
    const suggestion = print(exact, Number.isNaN(number) ? `${usual}` : comma);
    const params = { parameter, value: weight.slice(0, 100) };
    return exact === ''
      ? { code: 'missing-value', ...span, params: { parameter }, edits: gone }
      : { code: 'not-a-number', ...span, params, suggestion, edits: [{ ...span, text: suggestion }] };
  }
  if (Math.abs(number) > MAX_LORA_WEIGHT) {
    const suggestion = print(exact, `${Math.sign(number) * MAX_LORA_WEIGHT}`);
    const params = { parameter, value: weight, min: -MAX_LORA_WEIGHT, max: MAX_LORA_WEIGHT };
    return { code: 'out-of-range', ...span, params, suggestion, edits: [{ ...span, text: suggestion }] };
  }
  return { name: exact, weight: Math.round(number * 1e4) / 1e4 + 0 };
};

/** Of LoRAs from settings, those that the model takes and `mayUse` allows. */
export const fittingLoras = (
  loras: readonly LoraWish[] = [],
  card: ModelCard | undefined,
  mayUse: MayUse = () => true,
): LoraWish[] =>
  loras.filter(({ name }) => {
    const known = findAdapter(card?.loras, name);
    return known !== undefined && fits(known, card?.base) && mayUse(known.name);
  });
