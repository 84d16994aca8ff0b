import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePythonJson } from '../engine/schedulers/config.ts';
import type { Manifest } from './manifest.ts';

type Described = Pick<
  Manifest,
  | 'family'
  | 'native'
  | 'buckets'
  | 'multiple'
  | 'defaults'
  | 'draft'
  | 'parameters'
  | 'stages'
  | 'pictureEmbedding'
>;
type Json = Readonly<Record<string, unknown>>;

/**
 * The manifest's fields for a picture-embedding model, from its configs and its kind's usual settings; undefined for
 * every other model.
 */
export async function describeUnclip(dir: string): Promise<Described | undefined> {
  const index = await readJson(join(dir, 'model_index.json'));
  const name = String(index['_class_name'] ?? '').replace(/^ORT/, '');
  if (name.startsWith('UnCLIP')) return describeKarlo(dir);
  return /^Kandinsky/.test(name) ? describeKandinsky(dir) : undefined;
}

async function describeKarlo(dir: string): Promise<Described> {
  const decoder = await readJson(join(dir, 'decoder', 'config.json'));
  const small = numberOr(decoder['sample_size'], 64);
  const enlarger = await readJson(join(dir, 'super_res_first', 'config.json'));
  const side = Object.keys(enlarger).length > 0 ? numberOr(enlarger['sample_size'], 4 * small) : small;
  const scheduler = await readJson(join(dir, 'decoder_scheduler', 'scheduler_config.json'));
  return {
    family: 'unclip',
    native: { width: side, height: side },
    buckets: [[side, side]],
    multiple: Math.min(side, 512),
    defaults: { steps: 25, guidance: 8, scheduler: String(scheduler['_class_name'] ?? 'UnCLIPScheduler') },
    draft: { steps: 10 },
    parameters: { aspect: { supported: false }, tile: { supported: false } },
    stages: { prior: { steps: 25, guidance: 4 }, superRes: { steps: 7 } },
    pictureEmbedding: await exists(join(dir, 'image_encoder', 'model.onnx')),
  };
}

async function describeKandinsky(dir: string): Promise<Described> {
  const unet = await readJson(join(dir, 'unet', 'config.json'));
  const movq = await readJson(join(dir, 'movq_decoder', 'config.json'));
  const blocks = movq['block_out_channels'];
  const factor = 2 ** ((Array.isArray(blocks) ? blocks.length : 4) - 1);
  const side = numberOr(unet['sample_size'], 64) * factor;
  const multiple = factor ** 2;
  const along = (ratio: number): number =>
    Math.max(multiple, Math.round((side * Math.sqrt(ratio)) / multiple) * multiple);
  const shapes = [1, 3 / 2, 2 / 3, 4 / 3, 3 / 4, 16 / 9, 9 / 16].map((ratio): [number, number] => [
    along(ratio),
    along(1 / ratio),
  ]);
  const scheduler = await readJson(join(dir, 'scheduler', 'scheduler_config.json'));
  return {
    family: 'kandinsky-2.2',
    native: { width: side, height: side },
    buckets: [...new Map(shapes.map((shape) => [shape.join(), shape])).values()],
    multiple,
    defaults: { steps: 50, guidance: 4, scheduler: String(scheduler['_class_name'] ?? 'DDPMScheduler') },
    draft: { steps: 15 },
    parameters: { tile: { supported: false } },
    stages: { prior: { steps: 25, guidance: 4 } },
    pictureEmbedding: await exists(join(dir, 'prior_image_encoder', 'model.onnx')),
  };
}

/** {} for a file that is not there or no JSON: loading names it. */
async function readJson(path: string): Promise<Json> {
  try {
    return parsePythonJson(await readFile(path, 'utf8')) as Json;
  } catch {
    return {};
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isFile(),
    () => false,
  );

const numberOr = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);
