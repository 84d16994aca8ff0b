/**
 * The layers of an exported graph, by their names in PyTorch: the exporter names a layer's node
 * `/down_blocks.0/attentions.0/proj_in/Conv`, or leaves the weight its name. By these names the graph is given a
 * LoRA's inputs (graph/loraPorts.ts).
 */
import { readFileSync } from 'node:fs';
import {
  type Attribute,
  type ElementType,
  elementTypes,
  Graph,
  loraOnConvolution,
  loraOnForeignLinear,
  type Module,
} from '../graph/index.ts';
import { extendGraph, type Node, type OnnxFile } from './onnxFile.ts';

export interface ExportedModule extends Module {
  /** Names of the layer's input, and of its output with the bias added. */
  readonly x: string;
  readonly y: string;
  readonly type: ElementType;
  /** The convolution's attributes; {} for a linear layer. */
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const types = (['float32', 'float16'] as const).map((type) => [elementTypes[type], type] as const);

/** In the order of their use, without layers that are used more than once; [] for an export without names. */
export function exportedModules({ nodes, weights, types: stored }: OnnxFile): ExportedModule[] {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const readers = new Map<string, Node[]>();
  for (const node of nodes)
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);

  /** A weight by its name, or by that of its cast to another type. */
  const weightOf = (name: string): { shape: readonly number[]; type: number } | undefined => {
    const shape = weights.get(name);
    if (shape) return { shape, type: stored.get(name)! };
    const cast = makers.get(name);
    const behind = cast?.op === 'Cast' ? weights.get(cast.inputs[0]!) : undefined;
    return behind && { shape: behind, type: Number(cast!.attributes['to']) };
  };
  /** The value after the bias, if there is one: ONNX Runtime fuses product and bias, so the port comes after both. */
  const afterBias = (product: string): string => {
    const [add, ...others] = readers.get(product) ?? [];
    const bias = add?.op === 'Add' && others.length === 0;
    return bias && add.inputs.some((input) => weightOf(input)?.shape.length === 1)
      ? add.outputs[0]!
      : product;
  };

  const found = new Map<string, ExportedModule | undefined>();
  for (const node of nodes) {
    const [x, input = ''] = node.inputs;
    const weight = weightOf(input);
    const name = nameOf(node, input);
    if (x === undefined || weight === undefined || name === undefined) continue;
    const layer = layerOf(node, weight.shape);
    const type = types.find(([number]) => number === weight.type)?.[1];
    if (!layer || !type) continue;
    const y = node.op === 'MatMul' ? afterBias(node.outputs[0]!) : node.outputs[0]!;
    const { attributes } = node;
    found.set(name, found.has(name) ? undefined : { name, ...layer, x, y, type, attributes });
  }
  return [...found.values()].filter((module) => module !== undefined);
}

function nameOf({ name }: Node, weight: string): string | undefined {
  if (weight.endsWith('.weight')) return weight.slice(0, -'.weight'.length);
  const [, path] = /^\/(.+)\/(?:MatMul|Gemm|Conv)$/.exec(name) ?? [];
  return path?.replaceAll('/', '.');
}

function layerOf(
  { op, attributes }: Node,
  shape: readonly number[],
): Pick<Module, 'kind' | 'shape'> | undefined {
  if (op === 'Conv' && shape.length === 4 && (attributes['group'] ?? 1) === 1)
    return { kind: 'convolution', shape };
  if (shape.length !== 2 || attributes['transA'] === 1) return undefined;
  if (op === 'Gemm' && attributes['transB'] === 1) return { kind: 'linear', shape };
  return op === 'MatMul' || op === 'Gemm' ? { kind: 'linear', shape: shape.toReversed() } : undefined;
}

/** An export's file content with a LoRA's inputs on `modules`. */
export function withLoraPorts(file: string, modules: readonly ExportedModule[]): Uint8Array {
  const graph = new Graph();
  const renamed = new Map<string, string>();
  for (const module of modules) {
    const { x, y, type, attributes } = module;
    const plain = `${module.name}.lora.without`;
    renamed.set(y, plain);
    if (module.kind === 'linear') loraOnForeignLinear(graph, module, x, plain, { name: y, type });
    else loraOnConvolution(graph, module, x, plain, attributes, { name: y, type });
  }
  return extendGraph(readFileSync(file), renamed, graph.build());
}
