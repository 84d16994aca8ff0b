/** Very small ONNX files, written by hand: networks whose right answer is known. Field numbers: onnx/onnx.proto. */
type Bytes = readonly number[];

function varint(value: number): Bytes {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 128n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}

const int = (field: number, value: number): Bytes => [...varint(field * 8), ...varint(value)];
const bytes = (field: number, content: Bytes): Bytes => [
  ...varint(field * 8 + 2),
  ...varint(content.length),
  ...content,
];
const text = (field: number, value: string): Bytes => bytes(field, [...Buffer.from(value)]);
const floats = (values: readonly number[]): Bytes => [...new Uint8Array(Float32Array.from(values).buffer)];
const longs = (values: readonly number[]): Bytes => [
  ...new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
];

export const types = { float: 1, int64: 7, bool: 9 } as const;
export type Shape = readonly (number | string)[];

export interface Value {
  readonly name: string;
  readonly type: keyof typeof types;
  readonly shape: Shape;
}

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
}

export interface Weights {
  readonly name: string;
  readonly type: 'float' | 'int64';
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

function valueInfo(field: number, { name, type, shape }: Value): Bytes {
  const dims = shape.flatMap((dim) => bytes(1, typeof dim === 'number' ? int(1, dim) : text(2, dim)));
  return bytes(field, [...text(1, name), ...bytes(2, bytes(1, [...int(1, types[type]), ...bytes(2, dims)]))]);
}

function attribute(name: string, value: number | string | readonly number[]): Bytes {
  if (typeof value === 'number') return bytes(5, [...text(1, name), ...int(3, value), ...int(20, 2)]);
  if (typeof value === 'string') return bytes(5, [...text(1, name), ...text(4, value), ...int(20, 3)]);
  return bytes(5, [...text(1, name), ...value.flatMap((v) => int(8, v)), ...int(20, 7)]);
}

export function buildOnnx(graph: {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly NodeSpec[];
  readonly weights?: readonly Weights[];
}): Uint8Array {
  const nodes = graph.nodes.flatMap(({ op, inputs, outputs, attributes = {} }) =>
    bytes(1, [
      ...inputs.flatMap((name) => text(1, name)),
      ...outputs.flatMap((name) => text(2, name)),
      ...text(4, op),
      ...Object.entries(attributes).flatMap(([name, value]) => attribute(name, value)),
    ]),
  );
  const weights = (graph.weights ?? []).flatMap(({ name, type, dims, values }) =>
    bytes(5, [
      ...dims.flatMap((dim) => int(1, dim)),
      ...int(2, types[type]),
      ...text(8, name),
      ...bytes(9, type === 'float' ? floats(values) : longs(values)),
    ]),
  );
  return Uint8Array.from([
    ...int(1, 8),
    ...bytes(7, [
      ...nodes,
      ...text(2, 'test'),
      ...weights,
      ...graph.inputs.flatMap((value) => valueInfo(11, value)),
      ...graph.outputs.flatMap((value) => valueInfo(12, value)),
    ]),
    ...bytes(8, [...text(1, ''), ...int(2, 13)]),
  ]);
}

/** Every pixel becomes `scale` × `scale` pixels. */
export function nearestUpscaler(scale: number, side?: number): Uint8Array {
  const rows = side ?? 'h';
  const columns = side ?? 'w';
  return buildOnnx({
    inputs: [{ name: 'input', type: 'float', shape: [1, 3, rows, columns] }],
    outputs: [{ name: 'output', type: 'float', shape: [1, 3, 'H', 'W'] }],
    nodes: [
      {
        op: 'Resize',
        inputs: ['input', '', 'scales'],
        outputs: ['output'],
        attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      },
    ],
    weights: [{ name: 'scales', type: 'float', dims: [4], values: [1, 1, scale, scale] }],
  });
}

/** Says yes to pictures whose mean is above a level, 0..1. */
export const brightnessChecker = (level = 0.5): Uint8Array =>
  buildOnnx({
    inputs: [
      { name: 'clip_input', type: 'float', shape: ['b', 3, 224, 224] },
      { name: 'images', type: 'float', shape: ['b', 'h', 'w', 3] },
    ],
    outputs: [{ name: 'has_nsfw_concepts', type: 'bool', shape: ['b'] }],
    nodes: [
      {
        op: 'ReduceMean',
        inputs: ['images'],
        outputs: ['mean'],
        attributes: { axes: [1, 2, 3], keepdims: 0 },
      },
      { op: 'Greater', inputs: ['mean', 'level'], outputs: ['has_nsfw_concepts'] },
    ],
    weights: [{ name: 'level', type: 'float', dims: [1], values: [level] }],
  });

/** The mean colour, as a vector of three. */
export const meanColourEncoder = (side: number): Uint8Array =>
  buildOnnx({
    inputs: [{ name: 'pixel_values', type: 'float', shape: ['b', 3, side, side] }],
    outputs: [{ name: 'image_embeds', type: 'float', shape: ['b', 3] }],
    nodes: [
      {
        op: 'ReduceMean',
        inputs: ['pixel_values'],
        outputs: ['image_embeds'],
        attributes: { axes: [2, 3], keepdims: 0 },
      },
    ],
  });

/** A decoder that takes the first three channels for colours in 0..1, eight times as large. */
export const plainDecoder = (): Uint8Array =>
  buildOnnx({
    inputs: [{ name: 'latent_sample', type: 'float', shape: ['b', 4, 'h', 'w'] }],
    outputs: [{ name: 'sample', type: 'float', shape: ['b', 3, 'H', 'W'] }],
    nodes: [
      { op: 'Slice', inputs: ['latent_sample', 'from', 'to', 'axis'], outputs: ['rgb'] },
      { op: 'Sigmoid', inputs: ['rgb'], outputs: ['colour'] },
      {
        op: 'Resize',
        inputs: ['colour', '', 'scales'],
        outputs: ['sample'],
        attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      },
    ],
    weights: [
      { name: 'from', type: 'int64', dims: [1], values: [0] },
      { name: 'to', type: 'int64', dims: [1], values: [3] },
      { name: 'axis', type: 'int64', dims: [1], values: [1] },
      { name: 'scales', type: 'float', dims: [4], values: [1, 1, 8, 8] },
    ],
  });
