/** A model's folder in the layout Hugging Face Optimum exports: its configs, and where its parts lie. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { EngineError, reason } from '../errors.ts';
import { parsePythonJson } from '../schedulers/config.ts';
import type { OnnxFile } from './onnxFile.ts';

export type Json = Readonly<Record<string, unknown>>;

export interface Folder {
  readonly dir: string;
  /** model_index.json */
  readonly index: Json;
  has(part: string): boolean;
  /** <part>/config.json, {} where there is none. */
  config(part: string, file?: string): Json;
  /** Absolute path of <part>/model.onnx, which exists and lies inside the folder. */
  onnx(part: string): string;
  /** Absolute path of a part's own folder. */
  at(part: string): string;
}

/** @throws EngineError('missing-file') where `dir` is no folder or has no model_index.json */
export function openFolder(dir: string): Folder {
  if (!existsSync(dir) || !statSync(dir).isDirectory()) {
    throw new EngineError('missing-file', `${dir} is not a folder`, { file: dir });
  }
  const at = (part: string): string => path.join(dir, part);
  const indexFile = at('model_index.json');
  if (!existsSync(indexFile)) {
    throw new EngineError('missing-file', `${indexFile} is missing: ${dir} is no model in Optimum's layout`, {
      file: indexFile,
    });
  }
  return {
    dir,
    index: readJson(indexFile),
    at,
    has: (part) => existsSync(path.join(dir, part, 'model.onnx')),
    config: (part, file = 'config.json') => {
      const full = path.join(dir, part, file);
      return existsSync(full) ? readJson(full) : {};
    },
    onnx: (part) => {
      const file = path.join(dir, part, 'model.onnx');
      if (!existsSync(file)) {
        throw new EngineError('missing-file', `${file} is missing. Fetch or export the model again.`, {
          file,
        });
      }
      return contained(dir, file);
    },
  };
}

/** Refuses a file that a link leads out of the model's folder. */
function contained(dir: string, file: string): string {
  const root = realpathSync(dir);
  const real = realpathSync(file);
  if (real !== root && !real.startsWith(root + path.sep)) {
    throw new EngineError('bad-model', `${file} leads outside of its model's folder`, { file });
  }
  return file;
}

function readJson(file: string): Json {
  try {
    return parsePythonJson(readFileSync(file, 'utf8')) as Json;
  } catch (error) {
    throw new EngineError('bad-model', `${file} is not JSON: ${reason(error)}. Fetch it again.`, {
      file,
      cause: error,
    });
  }
}

/** Refuses a model whose weights lie outside of its folder, are missing or are cut short. */
export function checkWeights(dir: string, file: string, onnx: OnnxFile): void {
  const ends = new Map<string, number>();
  for (const { location, offset, length } of onnx.external) {
    ends.set(location, Math.max(ends.get(location) ?? 0, offset + (length ?? 0)));
  }
  for (const [location, end] of ends) {
    const data = path.resolve(path.dirname(file), location);
    if (path.isAbsolute(location) || !data.startsWith(path.resolve(dir) + path.sep)) {
      throw new EngineError(
        'bad-model',
        `${file} reads weights outside of its model's folder (${location})`,
        { file },
      );
    }
    if (!existsSync(data)) {
      throw new EngineError(
        'missing-file',
        `${data} is missing: ${file} keeps its weights there. Fetch it too.`,
        { file: data },
      );
    }
    contained(dir, data);
    const { size } = statSync(data);
    if (size < end) {
      throw new EngineError('bad-model', `${data} is cut short: ${size} of ${end} bytes. Fetch it again.`, {
        file: data,
      });
    }
  }
}

/** A number in a config, or `fallback`. */
export function number(config: Json, key: string, fallback: number): number {
  const value = config[key];
  return typeof value === 'number' ? value : fallback;
}
