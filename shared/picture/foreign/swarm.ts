import {
  clean,
  type Evidence,
  type Foreign,
  isObject,
  type JsonObject,
  loraFrom,
  lorasIn,
  toForeign,
} from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/** SwarmUI: `{"sui_image_params": {…}, "sui_extra_data": {…}}` under `parameters`, or as EXIF UserComment. */
export function readSwarm({ objects }: Evidence): Foreign | undefined {
  const params = objects.map(({ value }) => value['sui_image_params']).find(isObject);
  if (!params) return undefined;
  return toForeign({
    tool: 'SwarmUI',
    prompt: params['prompt'],
    negative: params['negativeprompt'],
    seed: params['seed'],
    steps: params['steps'],
    guidance: params['cfgscale'],
    width: params['width'],
    height: params['height'],
    sampler: samplerNamed(params['sampler'], params['scheduler']),
    scheduler: params['scheduler'],
    model: params['model'],
    loras: [...lorasOf(params), ...lorasIn(clean(params['prompt']))],
  });
}

/** Names and weights are two lists, of strings or with commas. */
const lorasOf = (params: JsonObject) => {
  const list = (value: unknown): unknown[] =>
    Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
  const weights = list(params['loraweights']);
  return list(params['loras'])
    .slice(0, 50)
    .flatMap((name, i) => loraFrom(name, weights[i]));
};
