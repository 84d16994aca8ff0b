import {
  type Evidence,
  type Foreign,
  type JsonObject,
  type Lora,
  loraFrom,
  sizeFrom,
  toForeign,
} from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * Fooocus and its forks: JSON under `parameters` or `Comment`, or as EXIF UserComment. 2.2 and later write
 * `negative_prompt`, `base_model`, `resolution`; older ones and logs the labels of the page (`Negative Prompt`,
 * `Base Model`, `Resolution`); RuinedFooocus and Fooocus-MRE their own mixture. Reading the names in lower
 * case covers all of them.
 */
export function readFooocus({ objects }: Evidence): Foreign | undefined {
  for (const { value } of objects) {
    const said = lowered(value);
    const version = String(said['version'] ?? said['software'] ?? '');
    const known =
      /fooocus/i.test(version) ||
      said['metadata_scheme'] === 'fooocus' ||
      (typeof said['prompt'] === 'string' && 'resolution' in said && 'base_model' in said);
    if (known && 'prompt' in said) return fromSaid(said);
  }
  return undefined;
}

const lowered = (value: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(value).map(([name, v]) => [name.toLowerCase().replace(/[ -]/g, '_'), v]));

const fromSaid = (said: JsonObject): Foreign => {
  const schedule = said['scheduler'];
  return toForeign({
    tool: 'Fooocus',
    prompt: said['prompt'],
    negative: said['negative_prompt'] ?? said['negative'],
    seed: said['seed'],
    steps: said['steps'] ?? firstOf(said['steps_of_performance']),
    guidance: said['guidance_scale'] ?? said['cfg'],
    width: said['width'],
    height: said['height'],
    ...('resolution' in said ? sizeFrom(said['resolution']) : {}),
    sampler: samplerNamed(said['sampler'] ?? said['sampler_name'], schedule),
    scheduler: schedule,
    model: said['base_model'] ?? said['base_model_name'],
    loras: lorasOf(said),
  });
};

const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : undefined);

/** `[["name", 0.5, hash], …]`, or one key for each LoRA: `"LoRA 1": "name : 0.5"`. */
const lorasOf = (said: JsonObject): Lora[] => {
  const list = Array.isArray(said['loras']) ? said['loras'] : [];
  const keyed = Object.entries(said).flatMap(([name, value]) => {
    if (!/^lora(?:_\d|_combined|_\[)/.test(name) || typeof value !== 'string') return [];
    const [, file, weight] = /^(.{1,200}?) ?: ?(-?[\d.]{1,10})$/.exec(value) ?? [];
    return file === undefined ? [] : loraFrom(file, weight);
  });
  return [
    ...list.flatMap((item) => (Array.isArray(item) ? loraFrom(item[0], item[1], item[2]) : [])),
    ...keyed,
  ];
};
