/** What adapters need to know of a network: its modules, where their weights lie, and which take factors as inputs. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { EngineError } from '../errors.ts';
import { loraInputs } from '../graph/index.ts';
import { type ExportedModule, exportedModules } from '../onnx/exportedModules.ts';
import { readOnnx } from '../onnx/onnxFile.ts';
import { buildStored, type WeightIndex, weightIndexFile } from '../onnx/ownGraph.ts';
import { type Base, baseOfModel } from './baseModel.ts';
import type { AdaptedPart, NetworkShape } from './tensorNames.ts';
import { elements } from './tensorSource.ts';

export interface Place {
  /** onnx.proto's element type in lower case. */
  readonly type: string;
  /** Dimensions as stored. */
  readonly shape: readonly number[];
  /** A file in the part's folder. */
  readonly location: string;
  readonly offset: number;
  /** Set for a linear layer's weight that is stored as [in, out]. */
  readonly transposed: boolean;
}

export interface AdaptedModule {
  readonly name: string;
  /** Undefined in an export: adapters are not merged into its weights. */
  readonly weight?: Place;
  readonly bias?: Place;
  /** [out, in] or [out, in, height, width]; [channels] of a norm. */
  readonly shape: readonly number[];
  /** How factors are fed to the module; undefined for norms and other modules without ports. */
  readonly port?: 'linear' | 'convolution';
}

export interface AdaptedNetwork {
  readonly part: AdaptedPart;
  /** The folder of its graph, `weights.json` and its weights. */
  readonly folder: string;
  readonly shape: NetworkShape;
  readonly modules: ReadonlyMap<string, AdaptedModule>;
  /** Set for a graph that we did not write: its file, and its layers as far as their names are known. */
  readonly exported?: { readonly file: string; readonly modules: readonly ExportedModule[] };
}

type Json = Readonly<Record<string, unknown>>;

/** @throws EngineError('unsupported') where the graph is an export whose layers have no names */
export function readNetwork(dir: string, part: AdaptedPart, twoEncoders: boolean): AdaptedNetwork {
  const folder = path.join(dir, part);
  if (!existsSync(path.join(folder, weightIndexFile))) return readExport(dir, part, twoEncoders);
  const index = readIndex(folder);
  const places = new Map<string, Place>();
  for (const [name, place] of Object.entries(index.weights)) {
    const [type, shape, location, offset, transposed] = place;
    places.set(name, { type, shape, location, offset, transposed: transposed === true });
  }
  const ports = new Map(buildStored(folder).modules.map((module) => [module.name, module.kind]));
  const modules = new Map<string, AdaptedModule>();
  for (const [key, weight] of places) {
    if (!key.endsWith('.weight')) continue;
    const name = key.slice(0, -'.weight'.length);
    const bias = places.get(`${name}.bias`);
    const port = ports.get(name);
    const shape = weight.transposed ? weight.shape.toReversed() : weight.shape;
    modules.set(name, { name, weight, shape, ...(bias ? { bias } : {}), ...(port ? { port } : {}) });
  }
  return { part, folder, shape: shapeOf(folder, twoEncoders), modules };
}

function readExport(dir: string, part: AdaptedPart, twoEncoders: boolean): AdaptedNetwork {
  const folder = path.join(dir, part);
  const file = path.join(folder, 'model.onnx');
  const exported = exportedModules(readOnnx(file));
  if (exported.length === 0 && part === 'unet')
    throw new EngineError(
      'unsupported',
      `${path.basename(dir)} is an ONNX export, whose layers have lost their names: a LoRA needs a model that was added from .safetensors`,
      { file },
    );
  const modules = exported.map(({ name, kind, shape }) => [name, { name, shape, port: kind }] as const);
  return {
    part,
    folder,
    shape: shapeOf(folder, twoEncoders),
    modules: new Map(modules),
    exported: { file, modules: exported },
  };
}

/**
 * The kind of LoRAs that a model's folder takes; undefined where its network is an export whose layers have no names.
 * @throws EngineError('bad-model') for a network that is damaged
 */
export function loraBase(dir: string): Base | undefined {
  const folder = path.join(dir, 'unet');
  const named =
    existsSync(path.join(folder, weightIndexFile)) ||
    exportedModules(readOnnx(path.join(folder, 'model.onnx'))).length > 0;
  return named
    ? baseOfModel(configOf(folder), existsSync(path.join(dir, 'text_encoder_2', 'model.onnx')))
    : undefined;
}

/** A folder's weights.json. @throws EngineError('bad-model') where it is damaged */
export function readIndex(folder: string): WeightIndex {
  const file = path.join(folder, weightIndexFile);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as WeightIndex;
  } catch (cause) {
    throw new EngineError('bad-model', `${file} is damaged. Add the model again.`, { file, cause });
  }
}

function configOf(folder: string): Json {
  const file = path.join(folder, 'config.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Json) : {};
}

function shapeOf(folder: string, twoEncoders: boolean): NetworkShape {
  const config = configOf(folder);
  const { layers_per_block: layers, up_block_types: ups } = config;
  const up = Array.isArray(ups) ? (ups as string[]) : [];
  return {
    layers: typeof layers === 'number' ? layers : 2,
    levels: up.length,
    attentionUp: (block) => up[block] !== 'UpBlock2D',
    twoEncoders,
  };
}

/** Inputs for a module's factors; undefined for a module without a port. */
export const portsOf = ({ name, port }: AdaptedModule): ReturnType<typeof loraInputs> | undefined =>
  port && loraInputs({ name, kind: port });

/** Channels out, channels in, and elements of the window of a module's weight. */
export function sides({ shape }: Pick<AdaptedModule, 'shape'>): {
  out: number;
  into: number;
  window: number;
} {
  const [out = 1, into = 1, ...window] = shape;
  return { out, into, window: elements(window) };
}
