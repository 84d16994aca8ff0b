/** What adapters need to know of a network: its modules, where their weights lie, and which can be fed factors. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { EngineError } from '../errors.ts';
import { loraInputs } from '../graph/index.ts';
import { buildStored, type WeightIndex, weightIndexFile } from '../onnx/ownGraph.ts';
import type { AdaptedPart, NetworkShape } from './names.ts';
import { elements } from './tensors.ts';

export interface Place {
  /** onnx.proto's type in lower case. */
  readonly type: string;
  /** As it is stored. */
  readonly shape: readonly number[];
  /** A file in the part's folder. */
  readonly location: string;
  readonly offset: number;
  /** A linear layer's weight that is stored as [in, out]. */
  readonly transposed: boolean;
}

export interface AdaptedModule {
  readonly name: string;
  readonly weight: Place;
  readonly bias?: Place;
  /** [out, in] or [out, in, height, width]; [channels] of a norm. */
  readonly shape: readonly number[];
  /** How factors can be fed to it; undefined for a norm and the like. */
  readonly port?: 'linear' | 'convolution';
}

export interface AdaptedNetwork {
  readonly part: AdaptedPart;
  /** Where its graph, `weights.json` and its weights lie. */
  readonly folder: string;
  readonly shape: NetworkShape;
  readonly modules: ReadonlyMap<string, AdaptedModule>;
}

type Json = Readonly<Record<string, unknown>>;

/** @throws EngineError('unsupported') where the graph is somebody else's, whose weights have no names to go by */
export function readNetwork(dir: string, part: AdaptedPart, twoEncoders: boolean): AdaptedNetwork {
  const folder = path.join(dir, part);
  const index = readIndex(folder, dir);
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

export function readIndex(folder: string, dir: string): WeightIndex {
  try {
    return JSON.parse(readFileSync(path.join(folder, weightIndexFile), 'utf8')) as WeightIndex;
  } catch (cause) {
    throw new EngineError(
      'unsupported',
      `${path.basename(dir)} is an ONNX export, whose weights have lost their names: a LoRA needs a model that was added from .safetensors`,
      { file: folder, cause },
    );
  }
}

function shapeOf(folder: string, twoEncoders: boolean): NetworkShape {
  const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as Json;
  const { layers_per_block: layers, up_block_types: ups } = config;
  const up = Array.isArray(ups) ? (ups as string[]) : [];
  return {
    layers: typeof layers === 'number' ? layers : 2,
    levels: up.length,
    attentionUp: (block) => up[block] !== 'UpBlock2D',
    twoEncoders,
  };
}

/** Inputs of a graph with ports; a module's factors go in where it has one. */
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
