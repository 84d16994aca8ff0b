/** A model's folder in the layout Hugging Face Optimum exports: its configs, and where its parts lie. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { EngineError, reason } from './errors.ts';
import { parsePythonJson } from './schedulers/config.ts';

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

/** Refuses a file that leads out of the model's folder by a link. */
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

/** A number from a config, or what stands in for it. */
export function number(config: Json, key: string, fallback: number): number {
  const value = config[key];
  return typeof value === 'number' ? value : fallback;
}
