import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parsePythonJson } from '../../engine/schedulers/config.ts';
import { type Manifest, manifestSchema } from '../manifest.ts';
import { describeUnclip } from '../unclipManifest.ts';
import { type Configs, defaultsOf, familyOf, type Json } from './defaults.ts';
import { StoreError } from './errors.ts';
import { bucketsAround } from './sizeBuckets.ts';

export type Files = Record<string, { sha256: string; bytes: number }>;

/** Facts about a model that are not in its files. */
export interface Origin {
  readonly title?: string;
  readonly license?: string;
  /** owner/name and commit, so that a damaged file can be fetched again. */
  readonly source?: { readonly repository: string; readonly commit: string };
  /** The single file that the model came as, with its publisher's sha256. */
  readonly file?: { readonly name: string; readonly sha256: string };
}

/**
 * The manifest of a model that comes without one, from its configs: its kind, the sizes it paints, and its kind's usual
 * settings. A start for its owner to edit.
 */
export async function describeModel(
  dir: string,
  name: string,
  origin: Origin,
  files: Files,
): Promise<Manifest> {
  const through = await describeUnclip(dir);
  if (through) {
    return {
      schema: 1,
      name,
      title: (origin.title ?? name).slice(0, 100),
      description: '',
      license: (origin.license ?? '').slice(0, 100),
      ...through,
      ...(origin.source ? { source: origin.source } : {}),
      files,
    };
  }
  const configs: Configs = {
    index: await readConfig(dir, 'model_index.json'),
    unet: await readConfig(dir, 'unet/config.json'),
    vae: await readConfig(dir, 'vae_decoder/config.json'),
    scheduler: await readConfig(dir, 'scheduler/scheduler_config.json'),
  };
  const { unet, vae } = configs;
  const family = familyOf(configs, origin.source?.repository ?? origin.file?.name ?? name);
  const perLatent = 2 ** (lengthOf(vae['block_out_channels'], 4) - 1);
  const multiple = perLatent * 2 ** (lengthOf(unet['block_out_channels'], 4) - 1);
  const native = sidesOf(unet['sample_size'], family.startsWith('sdxl') ? 128 : 64).map(
    (side) => side * perLatent,
  );
  const [width, height] = native as [number, number];
  const latentRgb = latentRgbOf(vae);
  // The manifest of a model with our own graphs names their weights.json, not the graphs.
  const enlarges = ['model.onnx', 'weights.json'].some((file) => `upscaler/${file}` in files);
  const upscaler = enlarges ? await readConfig(dir, 'upscaler/config.json') : undefined;
  return {
    schema: 1,
    name,
    title: (origin.title ?? name).slice(0, 100),
    description: '',
    license: (origin.license ?? '').slice(0, 100),
    family,
    native: { width, height },
    buckets: bucketsAround(width, height, multiple),
    multiple,
    ...defaultsOf(family, configs),
    // No other schedule suits a network that was trained with EDM's preconditioning.
    ...(/^EDM/.test(String(configs.scheduler['_class_name']))
      ? { parameters: { scheduler: { supported: false } } }
      : {}),
    ...(latentRgb ? { latentRgb } : {}),
    ...(upscaler ? { upscaler: { path: 'upscaler/model.onnx', scale: numberOr(upscaler['scale'], 4) } } : {}),
    ...(origin.source ? { source: origin.source } : {}),
    ...(origin.file ? { file: origin.file } : {}),
    files,
  };
}

/** A manifest that came with the model is kept but for its name and its list of files. */
export async function manifestFor(
  dir: string,
  name: string,
  origin: Origin,
  files: Files,
): Promise<Manifest> {
  const text = await readFile(join(dir, 'manifest.json'), 'utf8').catch(() => undefined);
  const own = text === undefined ? undefined : manifestSchema.safeParse(tryJson(text));
  if (!own?.success) return describeModel(dir, name, origin, files);
  return { ...own.data, name, ...(origin.source ? { source: origin.source } : {}), files };
}

/** Indented, because people edit it; synced to the disk before this returns. */
export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  const parsed = manifestSchema.parse(manifest);
  const text = JSON.stringify(parsed, null, 2).replace(
    /\[\s+((?:-?[\d.]+,\s+)*-?[\d.]+)\s+\]/g,
    (_, numbers: string) => `[${numbers.replace(/\s+/g, ' ')}]`,
  );
  // Renamed into place: the old file may be read-only, or a hard link to somebody else's.
  const path = join(dir, 'manifest.json');
  const file = await open(`${path}.tmp`, 'w');
  try {
    await file.writeFile(`${text}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}

/** Every file below a folder but its manifest, by path. */
export async function fileNames(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((name) => name !== 'manifest.json')
    .sort();
}

export async function hashFile(
  path: string,
  onBytes?: (n: number) => void,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    onBytes?.((chunk as Buffer).length);
  }
  return { sha256: hash.digest('hex'), bytes: (await stat(path)).size };
}

/** ComfyUI's linear maps (latent_formats.py), by the autoencoder, which defines the latent space. */
function latentRgbOf(vae: Json): Manifest['latentRgb'] | undefined {
  if (numberOr(vae['latent_channels'], 4) !== 4) return undefined;
  const scaling = numberOr(vae['scaling_factor'], 0.18215);
  if (Math.abs(scaling - 0.18215) < 1e-6) {
    return {
      factors: [
        [0.3512, 0.2297, 0.3227],
        [0.325, 0.4974, 0.235],
        [-0.2829, 0.1762, 0.2721],
        [-0.212, -0.2616, -0.7177],
      ],
    };
  }
  if (Math.abs(scaling - 0.13025) < 1e-6) {
    return {
      factors: [
        [0.3651, 0.4232, 0.4341],
        [-0.2533, -0.0042, 0.1068],
        [0.1076, 0.1111, -0.0362],
        [-0.3165, -0.2492, -0.2188],
      ],
      bias: [0.1084, -0.0175, -0.0011],
    };
  }
  return undefined;
}

async function readConfig(dir: string, name: string): Promise<Json> {
  const path = join(dir, name);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    return parsePythonJson(text) as Json;
  } catch (error) {
    throw new StoreError('damaged', `${path} is not JSON. Fetch or export the model again.`, {
      cause: error,
    });
  }
}

function tryJson(text: string): unknown {
  try {
    return parsePythonJson(text);
  } catch {
    return undefined;
  }
}

const numberOr = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);
const lengthOf = (value: unknown, fallback: number): number =>
  Array.isArray(value) ? value.length : fallback;
/** Height and width, as a pair in diffusers' order or as one number for both. */
const sidesOf = (value: unknown, fallback: number): [width: number, height: number] =>
  Array.isArray(value)
    ? [numberOr(value[1], fallback), numberOr(value[0], fallback)]
    : [numberOr(value, fallback), numberOr(value, fallback)];
