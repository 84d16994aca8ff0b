/** A builder's result: the file's content, and the modules that a LoRA can change. */
import { EngineError } from '../errors.ts';
import type { Graph } from './graph.ts';
import type { Layers } from './layers.ts';
import type { Module } from './module.ts';

/**
 * Raised whenever a builder writes other nodes for the same config: graphs by an older builder are then rewritten when
 * their model is loaded.
 */
export const builderVersion = 1;
const versionKey = 'dreamgrid.builder';

export interface Network {
  /** An ONNX file without its weights, which lie where `Weight.location` says. */
  readonly bytes: Uint8Array;
  readonly nodes: number;
  /** Linear layers and convolutions in the order of their use. */
  readonly modules: readonly Module[];
}

/** A finished graph as an ONNX file's content, with its builder's version and its modules. */
export function finish(graph: Graph, layers: Layers): Network {
  return {
    bytes: graph.build({ [versionKey]: String(builderVersion) }),
    nodes: graph.nodeCount,
    modules: layers.modules,
  };
}

/** @returns the version of the builder that wrote a graph, by its metadata_props; undefined for exports */
export function builderOf(metadata: ReadonlyMap<string, string>): number | undefined {
  const value = metadata.get(versionKey);
  if (value === undefined) return undefined;
  const version = Number(value);
  if (Number.isSafeInteger(version)) return version;
  throw new EngineError('bad-model', `${versionKey} is ${JSON.stringify(value)} where a number is needed`);
}
