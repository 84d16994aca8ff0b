import { type Evidence, type Foreign, type JsonObject, type Lora, loraFrom, toForeign } from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * Easy Diffusion: a PNG text chunk for each setting (`negative_prompt`, `num_inference_steps`, or as its text
 * files label them, `Negative Prompt`, `Steps`); in JPEG and WebP the same as JSON in EXIF UserComment.
 */
export function readEasyDiffusion({ texts, objects }: Evidence): Foreign | undefined {
  const sources: JsonObject[] = [Object.fromEntries(texts), ...objects.map(({ value }) => value)];
  for (const source of sources) {
    const get = (name: string, label: string): unknown => source[name] ?? source[label];
    const prompt = get('prompt', 'Prompt');
    const own = [
      'num_inference_steps',
      'use_stable_diffusion_model',
      'Stable Diffusion model',
      'Guidance Scale',
    ];
    if (typeof prompt !== 'string' || !own.some((name) => name in source)) continue;
    return toForeign({
      tool: 'Easy Diffusion',
      prompt,
      negative: get('negative_prompt', 'Negative Prompt'),
      seed: get('seed', 'Seed'),
      steps: get('num_inference_steps', 'Steps'),
      guidance: get('guidance_scale', 'Guidance Scale'),
      width: get('width', 'Width'),
      height: get('height', 'Height'),
      sampler: samplerNamed(get('sampler_name', 'Sampler')),
      model: fileOf(get('use_stable_diffusion_model', 'Stable Diffusion model')),
      loras: lorasOf(get('use_lora_model', 'LoRA model'), get('lora_alpha', 'LoRA Strength')),
    });
  }
  return undefined;
}

const fileOf = (path: unknown): unknown =>
  typeof path === 'string' ? path.slice(-300).split(/[\\/]/).at(-1) : undefined;

/** LoRAs from one name or a list; as text, a list is printed as Python does: `['a', 'b']`. */
const lorasOf = (names: unknown, weights: unknown): Lora[] => {
  const list = (value: unknown): unknown[] => {
    if (typeof value !== 'string') return Array.isArray(value) ? value : [value];
    const inside = /^\[(.*)\]$/s.exec(value.trim())?.[1];
    return inside === undefined
      ? [value]
      : inside.split(',').map((item) => item.trim().replace(/^['"]|['"]$/g, ''));
  };
  const by = list(weights);
  return list(names)
    .slice(0, 50)
    .flatMap((name, i) => loraFrom(fileOf(name), by[i]));
};
