import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import type { BaseName } from '../../shared/picture/lora.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import { checkSchedule, EngineError, loraBase } from '../engine/index.ts';
import type { AdapterStore } from './adapterStore.ts';
import { baseNames } from './describeAdapter.ts';
import { deriveManifest, type Manifest, MODEL_NAME, parseManifest } from './manifest.ts';

/** An installed model: its folder, its manifest, and the hash that recipes remember. */
export interface InstalledModel {
  name: string;
  dir: string;
  /** First 16 hex digits of the sha256 of manifest.json; empty for a model without one. */
  hash: string;
  manifest: Manifest;
  /** Which LoRAs fit it; absent where it takes none. */
  base?: BaseName;
}

export interface Models {
  all: InstalledModel[];
  /** One sentence for each folder that looks like a model and is damaged, naming the file. */
  problems: string[];
  get(name: string): InstalledModel | undefined;
}

/**
 * Every folder below `root` that holds a manifest or a `model_index.json`. Each file the manifest lists must lie
 * inside the folder (also after following links) and have its size and sha256.
 * @param checks file that stores the hashes of files by modification time and size
 */
export async function readModels(root: string, checks?: string): Promise<Models> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error) => {
    throw new ConfigError(
      `MODELS_DIR: cannot read ${root} (${(error as NodeJS.ErrnoException).code}). Set it to the folder with the models.`,
    );
  });
  const memory = await openChecks(checks);
  const all: InstalledModel[] = [];
  const problems: string[] = [];
  for (const { name } of entries.sort((a, b) => a.name.localeCompare(b.name))) {
    if (name.startsWith('.')) continue; // a pull that is not finished
    try {
      const model = await readModel(join(root, name), name, memory);
      if (model) all.push(model);
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  await memory.save();
  return { all, problems, get: (name) => all.find((model) => model.name === name) };
}

/** undefined where the folder is not a model at all. @throws ConfigError where it is a broken one. */
async function readModel(dir: string, name: string, memory: Checks): Promise<InstalledModel | undefined> {
  const path = join(dir, 'manifest.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const index = await stat(join(dir, 'model_index.json')).catch(() => undefined);
  if (text === undefined && !index?.isFile()) return undefined;
  if (!MODEL_NAME.test(name))
    throw new ConfigError(
      `${dir}: a model's folder is named with letters, digits, dot, - and _ (at most 64). Rename it.`,
    );
  const manifest = text === undefined ? await deriveManifest(dir, name) : parseManifest(path, text, name);
  if (text !== undefined) await checkFiles(dir, manifest, memory);
  checkPlan(dir, manifest);
  const hash = text === undefined ? '' : createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { name, dir, hash, manifest, ...baseOf(dir, manifest) };
}

/** A model whose schedule cannot be planned would fail at each picture. @throws ConfigError naming what to change */
function checkPlan(dir: string, { defaults }: Manifest): void {
  try {
    checkSchedule(dir, { scheduler: defaults.scheduler, steps: defaults.steps });
  } catch (error) {
    // A file that is missing or no JSON is reported by loading, or by the check of the manifest's list.
    if (!(error instanceof EngineError) || !['unsupported', 'bad-request'].includes(error.code)) return;
    throw new ConfigError(
      `${join(dir, 'scheduler/scheduler_config.json')}: ${messageOf(error)}. Change it, or defaults.scheduler in ${join(dir, 'manifest.json')}.`,
    );
  }
}

/**
 * Compares a folder of any name with the manifest in it; one without a manifest has nothing to be compared with.
 * @throws ConfigError naming the file that is missing, cut, changed or leads out of the folder
 */
export async function checkFolder(dir: string): Promise<void> {
  const path = join(dir, 'manifest.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text !== undefined) await checkFiles(dir, parseManifest(path, text), await openChecks(undefined));
}

async function checkFiles(dir: string, manifest: Manifest, memory: Checks): Promise<void> {
  const base = await realpath(dir);
  for (const [name, { sha256, bytes }] of Object.entries(manifest.files)) {
    const path = join(dir, name);
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined)
      throw new ConfigError(`${path} is missing. Fetch the model "${manifest.name}" again.`);
    if (!real.startsWith(base + sep))
      throw new ConfigError(`${path} leads out of the model's folder. Put the file itself there.`);
    const info = await stat(real);
    if (info.size !== bytes)
      throw new ConfigError(
        `${path} has ${info.size} bytes instead of ${bytes}. Fetch the model "${manifest.name}" again.`,
      );
    if ((await memory.sha256(real, info)) !== sha256)
      throw new ConfigError(
        `${path} is damaged (its sha256 is another). Fetch the model "${manifest.name}" again.`,
      );
  }
}

interface Checks {
  sha256(path: string, info: Pick<Stats, 'mtimeMs' | 'size' | 'dev' | 'ino'>): Promise<string>;
  save(): Promise<void>;
}

/** Hashing gigabytes at every start would take minutes; a file that did not change is hashed once. */
async function openChecks(file: string | undefined): Promise<Checks> {
  let known: Record<string, unknown> = {};
  if (file) {
    try {
      known = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    } catch {
      // none yet, or half-written: everything is hashed again
    }
  }
  const seen: Record<string, string> = {};
  // A file that is linked into several parts of a model is read once.
  const linked = new Map<string, string>();
  return {
    sha256: async (path, { mtimeMs, size, dev, ino }) => {
      const key = `${path}|${mtimeMs}|${size}`;
      const own = `${dev}|${ino}|${mtimeMs}|${size}`;
      const before = known[key];
      const hash = typeof before === 'string' ? before : (linked.get(own) ?? (await hashFile(path)));
      linked.set(own, hash);
      seen[key] = hash;
      return hash;
    },
    save: async () => {
      if (!file) return;
      await mkdir(dirname(file), { recursive: true });
      await writeFile(`${file}.${process.pid}`, JSON.stringify(seen));
      await rename(`${file}.${process.pid}`, file);
    },
  };
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(bytes as Buffer);
  return hash.digest('hex');
}

/** A model that the process needs. @throws ConfigError where it is not installed */
export function needModel(models: Models, name: string, root: string): InstalledModel {
  const model = models.get(name);
  if (model) return model;
  const broken = models.problems.find((problem) => problem.includes(join(root, name)));
  if (broken) throw new ConfigError(broken);
  const others = models.all.map((other) => other.name).join(', ');
  throw new ConfigError(
    `There is no model "${name}" in ${root}${others ? ` (there are: ${others})` : ''}. Put it there, or set DEFAULT_MODEL or MODELS_DIR.`,
  );
}

/** The model's card, which workers announce to the bot. */
export function toCard({ name, hash, manifest, base }: InstalledModel, adapters?: AdapterStore): ModelCard {
  return {
    name,
    title: manifest.title,
    description: manifest.description,
    family: manifest.family,
    native: manifest.native,
    buckets: manifest.buckets,
    defaults: {
      steps: manifest.defaults.steps,
      guidance: manifest.defaults.guidance,
      scheduler: manifest.defaults.scheduler,
    },
    draft: { steps: manifest.draft.steps },
    hash,
    upscale: manifest.upscaler !== undefined,
    ...(base ? { base } : {}),
    ...(base && !hasOwnWeights(manifest) ? { exported: true as const } : {}),
    ...(manifest.pictureEmbedding ? { pictureEmbedding: true } : {}),
    ...(manifest.parameters ? { parameters: manifest.parameters } : {}),
    checked: hasChecker({ manifest }),
    ...(adapters
      ? {
          loras: adapters.loras.map(({ card }) => card),
          embeddings: adapters.embeddings.map(({ card }) => card),
        }
      : {}),
  };
}

/** Bytes of all files in the manifest; undefined for no model. */
export const bytesOf = (model: Pick<InstalledModel, 'manifest'> | undefined): number | undefined =>
  model && Object.values(model.manifest.files).reduce((sum, { bytes }) => sum + bytes, 0);

/** The base of LoRAs that fit; none fit a model with a picture embedding. */
function baseOf(dir: string, { pictureEmbedding }: Manifest): Pick<InstalledModel, 'base'> {
  if (pictureEmbedding) return {};
  try {
    const found = loraBase(dir);
    const base = found && baseNames[found];
    return base ? { base } : {};
  } catch {
    // A file that is missing or damaged is reported by loading.
    return {};
  }
}

/** Whether the network is our own graph, over weights under their publishers' names. */
const hasOwnWeights = ({ files }: Manifest): boolean =>
  Object.keys(files).some((file) => /^unet\/.*\.safetensors$/.test(file));

/** Whether the model has a safety checker, by its manifest's files. */
export const hasChecker = ({ manifest }: Pick<InstalledModel, 'manifest'>): boolean =>
  Object.keys(manifest.files).some((file) => /^safety_checker\/(.*\.onnx|weights\.json)$/.test(file));
