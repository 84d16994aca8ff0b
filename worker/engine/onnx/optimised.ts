/**
 * Networks optimised in advance. ONNX Runtime optimises a graph and repacks its weights each time it opens a file, into
 * memory of its own. A file optimised before is opened as it is: its weights are mapped, not copied, read at their
 * first use, and shared by all processes that paint with them.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { env, InferenceSession } from 'onnxruntime-node';
import { EngineError, reason } from '../errors.ts';
import { chooseFamily } from '../families/index.ts';
import { unclipLayout } from '../unclip/layout.ts';
import { checkWeights, openFolder } from './folder.ts';
import { readOnnx } from './onnxFile.ts';

/** The optimised files' folder in a model's folder; deleting it brings back the model as it was. */
const optimisedFolder = 'optimised';
const noteFile = 'optimised.json';
/** Weights of fewer bytes stay inside the ONNX file. */
const smallestOutside = 1024;

interface Note {
  /** ONNX Runtime's version and the processor's kind: another one may not read these files. */
  readonly onnxruntime: string;
  readonly arch: string;
  /** By part: `stamp` of the files that its optimised file was made from. */
  readonly parts: Readonly<Record<string, string>>;
}

export interface Optimised {
  /** A part's optimised file; undefined where there is none, or the model has changed since. */
  fileOf(part: string): string | undefined;
}

/** Where a model's optimised files lie, if it has any. */
export const optimisedDir = (dir: string): string => path.join(dir, optimisedFolder);

/** Reads a model's optimised files. Never throws: without them the model is opened as usual. */
export function openOptimised(dir: string): Optimised {
  const root = optimisedDir(dir);
  let note: Note;
  try {
    note = JSON.parse(readFileSync(path.join(root, noteFile), 'utf8')) as Note;
  } catch {
    return { fileOf: () => undefined };
  }
  const readable = note.onnxruntime === version() && note.arch === process.arch;
  return {
    fileOf(part) {
      const source = path.join(dir, part, 'model.onnx');
      const file = path.join(root, part, 'model.onnx');
      const fresh = readable && existsSync(source) && note.parts?.[part] === stamp(source);
      return fresh && existsSync(file) ? file : undefined;
    },
  };
}

/**
 * Writes the optimised files of a model's text encoders, network and decoder; they take as much disk as the originals.
 * The optimisation level is the highest that depends on no particular processor.
 * @returns the bytes written
 */
export async function optimise(
  dir: string,
  onPart?: (part: string, index: number, total: number) => void,
): Promise<number> {
  const folder = openFolder(dir);
  const layout = unclipLayout(folder);
  const parts = layout
    ? [...layout.needed, ...layout.optional.filter((part) => folder.has(part))]
    : [
        ...chooseFamily(folder)
          .encoders(folder)
          .map(({ part }) => part),
        'unet',
        'vae_decoder',
      ];
  const root = optimisedDir(dir);
  const staging = `${root}.part`;
  await rm(staging, { recursive: true, force: true });
  try {
    const made: Record<string, string> = {};
    let bytes = 0;
    for (const [i, part] of parts.entries()) {
      onPart?.(part, i, parts.length);
      const source = folder.onnx(part);
      checkWeights(dir, source, readOnnx(source));
      await mkdir(path.join(staging, part), { recursive: true });
      bytes += await rewrite(source, path.join(staging, part, 'model.onnx'));
      made[part] = stamp(source);
    }
    const note: Note = { onnxruntime: version(), arch: process.arch, parts: made };
    await writeFile(path.join(staging, noteFile), `${JSON.stringify(note, null, 2)}\n`);
    await rm(root, { recursive: true, force: true });
    await rename(staging, root);
    return bytes;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function rewrite(source: string, target: string): Promise<number> {
  try {
    const session = await InferenceSession.create(source, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'extended',
      logSeverityLevel: 3,
      optimizedModelFilePath: target,
      extra: {
        session: {
          // A protobuf ends at 2 GB, and only weights outside of it can be mapped.
          optimized_model_external_initializers_file_name: 'model.onnx_data',
          optimized_model_external_initializers_min_size_in_bytes: `${smallestOutside}`,
          disable_prepacking: '1',
        },
      },
    });
    await session.release();
  } catch (error) {
    throw new EngineError('bad-model', `${source} cannot be optimised: ${reason(error)}`, {
      file: source,
      cause: error,
    });
  }
  const data = path.join(path.dirname(target), 'model.onnx_data');
  return statSync(target).size + (existsSync(data) ? statSync(data).size : 0);
}

/** Sizes and modification times of a network's files. */
function stamp(file: string): string {
  const outside = new Set(readOnnx(file).external.map(({ location }) => location));
  return [file, ...[...outside].map((name) => path.join(path.dirname(file), name))]
    .map((each) => (existsSync(each) ? statSync(each) : undefined))
    .map((info) => (info ? `${info.size}@${Math.trunc(info.mtimeMs)}` : 'missing'))
    .join(' ');
}

const version = (): string => env.versions.node ?? env.versions.common;
