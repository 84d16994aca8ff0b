import {
  clean,
  type Evidence,
  type Foreign,
  isObject,
  type Lora,
  loraFrom,
  sizeFrom,
  toForeign,
} from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * Draw Things: JSON in XMP's exif:UserComment with short names (`c` the prompt, `uc` the negative prompt), and
 * the same as lines in dc:description: prompt, `-` and negative, `Steps: 20, Sampler: …, Guidance Scale:`.
 */
export function readDrawThings({ objects, xmp }: Evidence): Foreign | undefined {
  const said = objects.find(({ value }) => typeof value['c'] === 'string' && 'uc' in value)?.value;
  if (said) {
    return toForeign({
      tool: TOOL,
      prompt: said['c'],
      negative: said['uc'],
      seed: said['seed'],
      steps: said['steps'],
      guidance: said['scale'],
      ...sizeFrom(said['size']),
      sampler: samplerNamed(said['sampler']),
      model: said['model'],
      loras: lorasOf(said['lora']),
    });
  }
  return /draw ?things/i.test(xmp.get('CreatorTool') ?? '')
    ? fromDescription(xmp.get('description') ?? '')
    : undefined;
}

const TOOL = 'Draw Things';

const lorasOf = (list: unknown): Lora[] =>
  (Array.isArray(list) ? list.slice(0, 50) : []).flatMap((item) =>
    isObject(item) ? loraFrom(item['model'], item['weight']) : [],
  );

const fromDescription = (text: string): Foreign | undefined => {
  const lines = text.slice(0, 24_000).split(/\r?\n/);
  const at = lines.findLastIndex((line) => /^Steps: \d/.test(line));
  if (at < 0) return undefined;
  const settings = clean(lines[at]);
  const field = (name: string): string | undefined =>
    new RegExp(`(?:^|, )${name}: ([^,]{1,100})`).exec(settings)?.[1];
  const words = lines.slice(0, at);
  const minus = words.findIndex((line) => line.startsWith('-'));
  return toForeign({
    tool: TOOL,
    prompt: words.slice(0, minus < 0 ? undefined : minus).join('\n'),
    negative: minus < 0 ? '' : words.slice(minus).join('\n').slice(1),
    seed: field('Seed'),
    steps: field('Steps'),
    guidance: field('Guidance Scale'),
    ...sizeFrom(field('Size')),
    sampler: samplerNamed(field('Sampler')),
    model: field('Model'),
  });
};
