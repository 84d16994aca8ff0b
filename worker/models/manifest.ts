import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { modelCardSchema } from '../../shared/queue/job.ts';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import { parsePythonJson } from '../engine/schedulers/config.ts';
import { describeUnclip } from './unclipManifest.ts';

/** `manifest.json` in a model's folder. */
const side = z.int().min(8).max(4096);
const relativePath = z
  .string()
  .max(300)
  .refine(
    (path) => path !== '' && !path.includes('\\') && path.split('/').every((part) => !/^\.*$/.test(part)),
    'a path inside the model folder',
  );

export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

export const manifestSchema = z.looseObject({
  schema: z.literal(1),
  name: z.string().regex(MODEL_NAME),
  title: z.string().min(1).max(100),
  description: z.string().max(1000).default(''),
  license: z.string().max(100).default(''),
  family: z.string().max(40),
  native: z.strictObject({ width: side, height: side }),
  buckets: z
    .array(z.tuple([side, side]))
    .min(1)
    .max(64),
  multiple: z.int().min(1).max(512).default(8),
  defaults: z.object({
    steps: z.int().min(1).max(1000),
    guidance: z.number().min(0).max(100),
    scheduler: z.string().max(64),
  }),
  draft: z.object({ steps: z.int().min(1).max(1000) }),
  /** By parameter: a range or default that differs from the general one, or `"supported": false`. */
  parameters: modelCardSchema.shape.parameters,
  latentRgb: z
    .object({
      factors: z.array(z.tuple([z.number(), z.number(), z.number()])),
      bias: z.tuple([z.number(), z.number(), z.number()]).optional(),
    })
    .optional(),
  upscaler: z.object({ path: relativePath, scale: z.int().min(1).max(8) }).optional(),
  imageEncoder: z
    .object({
      path: relativePath,
      size: z.int().min(1),
      mean: z.array(z.number()),
      std: z.array(z.number()),
    })
    .optional(),
  /** Of models with a picture embedding: the steps of the stages before and after the decoder. */
  stages: z
    .object({
      prior: z
        .object({
          steps: z.int().min(1).max(1000).optional(),
          guidance: z.number().min(0).max(100).optional(),
        })
        .optional(),
      superRes: z.object({ steps: z.int().min(1).max(1000).optional() }).optional(),
    })
    .optional(),
  /** Set where the model turns pictures into embeddings: it has a picture embedding and an image encoder. */
  pictureEmbedding: z.boolean().optional(),
  files: z
    .record(
      relativePath,
      z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().nonnegative() }),
    )
    .default({}),
});
export type Manifest = z.infer<typeof manifestSchema>;

/**
 * @param folder the name that the manifest must bear; left out = any
 * @throws ConfigError naming the file and the field.
 */
export function parseManifest(path: string, text: string, folder?: string): Manifest {
  let data: unknown;
  try {
    data = parsePythonJson(text);
  } catch (error) {
    throw new ConfigError(`${path} is not JSON (${messageOf(error)}). Fetch the model again.`);
  }
  const parsed = manifestSchema.safeParse(data);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ConfigError(
      `${path} is not a manifest: ${issue?.path.join('.') || 'it'}: ${issue?.message}. See models/README.md.`,
    );
  }
  if (folder !== undefined && parsed.data.name !== folder)
    throw new ConfigError(
      `${path} says name "${parsed.data.name}", but its folder is "${folder}". Rename one.`,
    );
  return parsed.data;
}

type Json = Record<string, unknown>;

const readJson = async (path: string): Promise<Json> => {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    return parsePythonJson(text) as Json;
  } catch (error) {
    throw new ConfigError(`${path} is not JSON (${messageOf(error)}). Fetch the model again.`);
  }
};

const numberOr = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);
const lengthOr = (value: unknown, fallback: number): number =>
  Array.isArray(value) ? value.length : fallback;

/** Aspect ratios that a model without a manifest is offered in, at its native area. */
const RATIOS = [1, 3 / 2, 2 / 3, 4 / 3, 3 / 4, 16 / 9, 9 / 16] as const;

/** The manifest of a plain Optimum export, from its configs and its kind's usual settings. */
export async function deriveManifest(dir: string, name: string): Promise<Manifest> {
  const through = await describeUnclip(dir);
  if (through) return { schema: 1, name, title: name, description: '', license: '', ...through, files: {} };
  const index = await readJson(join(dir, 'model_index.json'));
  const unet = await readJson(join(dir, 'unet', 'config.json'));
  const transformer = await readJson(join(dir, 'transformer', 'config.json'));
  const vae = await readJson(join(dir, 'vae_decoder', 'config.json'));
  const scheduler = await readJson(join(dir, 'scheduler', 'scheduler_config.json'));
  const pipeline = String(index['_class_name'] ?? '').replace(/^ORT|^Onnx/, '');
  const perLatent = 2 ** (lengthOr(vae['block_out_channels'], 4) - 1);
  const core = Object.keys(transformer).length > 0 ? transformer : unet;
  const native = numberOr(core['sample_size'], 64) * perLatent;
  const multiple = perLatent * 2 ** Math.max(0, lengthOr(unet['block_out_channels'], 4) - 1);
  const snap = (size: number): number => Math.max(multiple, Math.round(size / multiple) * multiple);
  const buckets = new Map(
    RATIOS.map((ratio) => {
      const width = snap(native * Math.sqrt(ratio));
      const height = snap(native / Math.sqrt(ratio));
      return [`${width}x${height}`, [width, height] as [number, number]];
    }),
  );
  const latentConsistency =
    /LatentConsistency/.test(pipeline) || typeof unet['time_cond_proj_dim'] === 'number';
  return {
    schema: 1,
    name,
    title: name,
    description: '',
    license: '',
    family: pipeline || 'unknown',
    native: { width: native, height: native },
    buckets: [...buckets.values()],
    multiple,
    defaults: {
      steps: latentConsistency ? 4 : 25,
      guidance: latentConsistency ? 8 : 7,
      scheduler: String(scheduler['_class_name'] ?? 'EulerDiscreteScheduler'),
    },
    draft: { steps: latentConsistency ? 2 : 12 },
    files: {},
  };
}
