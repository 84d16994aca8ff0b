import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** A small Stable Diffusion 1.5: real layout, real ONNX, random weights. */
const TINY = resolve(import.meta.dirname, '../data/reference/pipelines/sd15/model');

export interface ModelsFolder {
  root: string;
  /** Writes (or writes anew) a manifest for `<root>/<name>`; fields as given, files listed with their hashes. */
  writeManifest(name: string, fields?: Record<string, unknown>): Promise<void>;
  remove(): Promise<void>;
}

/** A MODELS_DIR with `tiny` in it (and copies under other names). */
export async function makeModels(names: readonly string[] = ['tiny']): Promise<ModelsFolder> {
  const root = await mkdtemp(join(tmpdir(), 'dreamgrid-models-'));
  for (const name of names) await cp(TINY, join(root, name), { recursive: true, dereference: true });
  const writeManifest = async (name: string, fields: Record<string, unknown> = {}): Promise<void> => {
    const dir = join(root, name);
    const files: Record<string, { sha256: string; bytes: number }> = {};
    for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name === 'manifest.json') continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path);
      files[path.slice(dir.length + 1)] = {
        sha256: createHash('sha256').update(bytes).digest('hex'),
        bytes: bytes.length,
      };
    }
    const manifest = {
      schema: 1,
      name,
      title: 'Tiny',
      description: 'Random weights in a real layout',
      license: 'Apache-2.0',
      family: 'stable-diffusion',
      native: { width: 64, height: 64 },
      buckets: [
        [64, 64],
        [96, 64],
        [64, 96],
      ],
      multiple: 16,
      defaults: { steps: 4, guidance: 7, scheduler: 'EulerDiscreteScheduler' },
      draft: { steps: 2 },
      files,
      ...fields,
    };
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest, null, 2));
  };
  for (const name of names) await writeManifest(name);
  return { root, writeManifest, remove: () => rm(root, { recursive: true, force: true }) };
}
