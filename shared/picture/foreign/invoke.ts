import {
  type Evidence,
  type Foreign,
  isObject,
  type JsonObject,
  type Lora,
  loraFrom,
  toForeign,
} from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * InvokeAI, by age: `invokeai_metadata` (3 and later), `invokeai` (2.3 with nodes), `sd-metadata` (2), and the
 * command line `Dream`, where a negative prompt stands in square brackets.
 */
export function readInvoke({ objects, texts }: Evidence): Foreign | undefined {
  const at = (key: string): JsonObject | undefined => objects.find((object) => object.at === key)?.value;
  const now = at('invokeai_metadata') ?? at('invokeai');
  if (now) return fromMetadata(now);
  const old = at('sd-metadata');
  if (old && isObject(old['image'])) return fromOld(old, old['image']);
  const dream = texts.get('Dream') ?? texts.get('dream');
  return dream === undefined ? undefined : fromDream(dream);
}

const TOOL = 'InvokeAI';

const nameOf = (model: unknown): unknown =>
  isObject(model) ? (model['name'] ?? model['model_name'] ?? nameOf(model['model'])) : model;

const fromMetadata = (said: JsonObject): Foreign | undefined => {
  const prompt = said['positive_prompt'] ?? said['positive_conditioning'] ?? said['prompt'];
  if (typeof prompt !== 'string') return undefined;
  return toForeign({
    tool: TOOL,
    prompt,
    negative: said['negative_prompt'] ?? said['negative_conditioning'],
    seed: said['seed'],
    steps: said['steps'],
    guidance: said['cfg_scale'] ?? said['guidance'],
    width: said['width'],
    height: said['height'],
    sampler: samplerNamed(said['scheduler']),
    model: nameOf(said['model']),
    loras: lorasOf(said['loras']),
  });
};

/** `[{lora: {model_name}, weight}]` or `[{model: {name}, weight}]`. */
const lorasOf = (list: unknown): Lora[] =>
  (Array.isArray(list) ? list.slice(0, 50) : []).flatMap((item) =>
    isObject(item) ? loraFrom(nameOf(item['model'] ?? item['lora']), item['weight']) : [],
  );

const fromOld = (said: JsonObject, image: JsonObject): Foreign => {
  const parts = Array.isArray(image['prompt']) ? image['prompt'] : [{ prompt: image['prompt'] }];
  const words = parts.flatMap((part) =>
    isObject(part) && typeof part['prompt'] === 'string' ? [part['prompt']] : [],
  );
  return toForeign({
    tool: TOOL,
    ...unbracketed(words.join(' ')),
    seed: image['seed'],
    steps: image['steps'],
    guidance: image['cfg_scale'],
    width: image['width'],
    height: image['height'],
    sampler: samplerNamed(image['sampler']),
    model: said['model_weights'] ?? said['model'],
  });
};

/** `a fox [blurry, text]`: text in square brackets is the negative prompt. */
const unbracketed = (text: string): { prompt: string; negative: string } => ({
  prompt: text.slice(0, 24_000).replace(/\[[^[\]]*\]/g, ' '),
  negative: [...text.slice(0, 24_000).matchAll(/\[([^[\]]*)\]/g)].map(([, inside]) => inside).join(', '),
});

/** `"a fox [blurry]" -s 50 -S 123 -W 512 -H 512 -C 7.5 -A k_lms` */
const fromDream = (line: string): Foreign | undefined => {
  const [, words, options] = /^\s*"((?:[^"\\]|\\.)*)"(.*)$/s.exec(line.slice(0, 24_000)) ?? [];
  if (words === undefined) return undefined;
  const option = (name: string): string | undefined =>
    new RegExp(`(?:^|\\s)-${name} ?([\\w.-]{1,60})`).exec(options ?? '')?.[1];
  return toForeign({
    tool: TOOL,
    ...unbracketed(words.replace(/\\(.)/g, '$1')),
    seed: option('S'),
    steps: option('s'),
    guidance: option('C'),
    width: option('W'),
    height: option('H'),
    sampler: samplerNamed(option('A')),
  });
};
