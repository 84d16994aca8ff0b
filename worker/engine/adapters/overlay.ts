/**
 * Weights that a LoRA of any form changes, merged once into a file of their own. An overlay is a folder of a part: the
 * same config, hard links to the unchanged weights, `merged.bin` with the changed ones, and a `weights.json` that says
 * which weight lies where; its graph is built as any other. Overlays lie in the model's folder under `overlays/`, by a
 * hash of the files and strengths they come from; the least recently used are deleted where they take too much disk.
 */
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { copyFile, link, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineError, reason } from '../errors.ts';
import { weightIndexFile } from '../onnx/ownGraph.ts';
import { type AdaptedModule, type AdaptedNetwork, type Place, readIndex } from './adaptedNetwork.ts';
import { transpose } from './matrixProduct.ts';
import type { ModuleChange } from './readLora.ts';
import { elements, readFloats, readRange, toFloats } from './tensorSource.ts';
import { weightDelta } from './weightDelta.ts';

export interface Merge {
  readonly module: AdaptedModule & { readonly weight: Place };
  readonly parts: readonly { readonly change: ModuleChange; readonly strength: number }[];
}

/** The overlays' folder in a model's folder; deleting it frees disk, and the overlays are made again when needed. */
export const overlayDir = (dir: string): string => path.join(dir, 'overlays');

const mergedFile = 'merged.bin';

/** @returns the folder of one network's overlay; undefined where there is none yet */
export function findOverlay(dir: string, key: string, part: string): string | undefined {
  const folder = path.join(overlayDir(dir), key, part);
  if (!existsSync(path.join(folder, weightIndexFile))) return undefined;
  const now = new Date();
  try {
    utimesSync(path.join(overlayDir(dir), key), now, now);
  } catch {
    // Another user's folder: its time of use stays as it is.
  }
  return folder;
}

/** Makes an overlay, whole or not at all; where two processes make the same, the first stays. @returns its folder */
export async function makeOverlay(
  dir: string,
  key: string,
  network: AdaptedNetwork,
  merges: readonly Merge[],
): Promise<string> {
  const folder = path.join(overlayDir(dir), key, network.part);
  const staging = `${folder}.${process.pid}`;
  try {
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { recursive: true });
    const index = readIndex(network.folder);
    const weights = { ...index.weights };
    await merge(path.join(staging, mergedFile), network, merges, (name, shape, offset) => {
      weights[name] = ['float32', shape, mergedFile, offset];
    });
    const kept = new Set(Object.values(weights).map(([, , location]) => location));
    kept.delete(mergedFile);
    for (const file of kept) await linkOrCopy(path.join(network.folder, file), path.join(staging, file));
    await copyFile(path.join(network.folder, 'config.json'), path.join(staging, 'config.json'));
    await writeFile(path.join(staging, weightIndexFile), JSON.stringify({ ...index, weights }));
    await rename(staging, folder).catch((error: unknown) => {
      if (!existsSync(path.join(folder, weightIndexFile))) throw error;
    });
    return folder;
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError('bad-adapter', `${folder} cannot be written: ${reason(error)}`, {
      file: folder,
      cause: error,
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function merge(
  file: string,
  network: AdaptedNetwork,
  merges: readonly Merge[],
  onWeight: (name: string, shape: readonly number[], offset: number) => void,
): Promise<void> {
  const handle = await open(file, 'w');
  let offset = 0;
  const write = async (name: string, shape: readonly number[], values: Float32Array): Promise<void> => {
    await handle.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    onWeight(name, shape, offset);
    offset += values.byteLength;
  };
  try {
    for (const { module, parts } of merges) {
      const weight = readWeight(network, module.weight);
      const merged = Float32Array.from(weight);
      for (const { change, strength } of parts) {
        if (change.changes.length === 0) continue;
        const delta = await weightDelta(weight, module, change, strength);
        for (let i = 0; i < merged.length; i++) merged[i]! += delta[i]!;
      }
      if (parts.some(({ change }) => change.changes.length > 0))
        await write(`${module.name}.weight`, module.shape, merged);
      const biases = parts.flatMap(({ change, strength }) =>
        change.bias ? [{ ...change.bias, strength }] : [],
      );
      if (!module.bias || biases.length === 0) continue;
      const bias = Float32Array.from(readWeight(network, module.bias));
      for (const { stored, scale, strength } of biases) {
        const delta = readFloats(stored).data;
        for (let i = 0; i < bias.length; i++) bias[i]! += scale * strength * delta[i]!;
      }
      await write(`${module.name}.bias`, module.bias.shape, bias);
    }
  } finally {
    await handle.close();
  }
}

const sizes: Readonly<Record<string, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/** A weight as [out, in …], however it is stored. */
function readWeight(
  { folder }: AdaptedNetwork,
  { type, shape, location, offset, transposed }: Place,
): Float32Array {
  const file = path.join(folder, location);
  const values = toFloats(type, readRange(file, offset, elements(shape) * (sizes[type] ?? 1)), file);
  return transposed ? transpose(values, shape[0]!, shape[1]!) : values;
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK' && code !== 'ENOTSUP') throw error;
    await copyFile(from, to);
  });
}

/** Deletes the least recently used until all together take no more than `limit` bytes. @param inUse keys that stay */
export async function limitOverlays(dir: string, limit: number, inUse: ReadonlySet<string>): Promise<void> {
  const root = overlayDir(dir);
  const found = readdirSync(root)
    .map((key) => ({
      key,
      bytes: mergedBytes(path.join(root, key)),
      used: statSync(path.join(root, key)).mtimeMs,
    }))
    .sort((a, b) => a.used - b.used);
  let total = found.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { key, bytes } of found) {
    if (total <= limit) return;
    if (inUse.has(key)) continue;
    await rm(path.join(root, key), { recursive: true, force: true });
    total -= bytes;
  }
}

/** Bytes of the merged weights; hard links take no disk. */
const mergedBytes = (folder: string): number =>
  readdirSync(folder).reduce((sum, part) => {
    const file = path.join(folder, part, mergedFile);
    return sum + (existsSync(file) ? statSync(file).size : 0);
  }, 0);
