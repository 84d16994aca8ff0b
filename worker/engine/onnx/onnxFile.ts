/**
 * The few parts of an ONNX file (a protobuf) that the engine looks at before ONNX Runtime does: where weights lie
 * outside of the file, and which nodes stand before an output. Field numbers: onnx/onnx.proto.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { EngineError } from '../errors.ts';
import { builderOf } from '../graph/index.ts';

interface Field {
  readonly number: number;
  /** The value itself for varints, else 0. */
  readonly value: number;
  /** Where the content of a length-delimited field begins and ends in the file. */
  readonly from: number;
  readonly to: number;
}

export interface ExternalTensor {
  readonly location: string;
  readonly offset: number;
  /** Bytes; undefined where the file does not say. */
  readonly length: number | undefined;
}

export interface Node {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Only attributes that are whole numbers, lists of them, or text. */
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
}

export interface OnnxFile {
  readonly external: readonly ExternalTensor[];
  readonly nodes: readonly Node[];
  /** Dimensions of the weights, by name. */
  readonly weights: ReadonlyMap<string, readonly number[]>;
  /** onnx.proto's numbers of the weights' element types, by name. */
  readonly types: ReadonlyMap<string, number>;
  /** The version of our builder that wrote the file; undefined for exports. */
  readonly builder: number | undefined;
}

const modelGraph = 7;
const modelMetadata = 14;
const graphNode = 1;
const graphInitializer = 5;
const graphOutput = 12;

/** Reads a file's structure without its weights. @throws EngineError naming a file that is cut short or no ONNX */
export function readOnnx(file: string): OnnxFile {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = pagedBytes(descriptor, fstatSync(descriptor).size);
    const model = fields(bytes, 0, bytes.length);
    const graphs = model.filter((field) => field.number === modelGraph && field.to > field.from);
    if (graphs.length === 0) throw new RangeError('no graph');
    const external: ExternalTensor[] = [];
    const nodes: Node[] = [];
    const weights = new Map<string, readonly number[]>();
    const types = new Map<string, number>();
    // Protobuf: a message written in several pieces is one.
    for (const field of graphs.flatMap((graph) => fields(bytes, graph.from, graph.to))) {
      if (field.number === graphInitializer) readTensor(bytes, field, external, weights, types);
      else if (field.number === graphNode) nodes.push(readNode(bytes, field, external));
    }
    return { external, nodes, weights, types, builder: builderOf(readMetadata(bytes, model)) };
  } catch (error) {
    throw new EngineError('bad-model', `${file} is damaged or no ONNX file. Fetch or export it again.`, {
      file,
      cause: error,
    });
  } finally {
    closeSync(descriptor);
  }
}

/** StringStringEntryProto { key = 1, value = 2 } */
function readMetadata(bytes: Bytes, model: readonly Field[]): Map<string, string> {
  const entries = new Map<string, string>();
  for (const field of model) {
    if (field.number !== modelMetadata) continue;
    const parts = fields(bytes, field.from, field.to);
    const [key, value] = [1, 2].map((number) => parts.find((part) => part.number === number));
    if (key && value) entries.set(text(bytes, key), text(bytes, value));
  }
  return entries;
}

/** The file with one more output, so that ONNX Runtime hands out a tensor from inside the graph. */
export function addOutput(model: Uint8Array, name: string, type: 'float32' | 'float16'): Uint8Array {
  // ValueInfoProto { name = 1, type = 2 { tensor_type = 1 { elem_type = 1 } } }
  const tensorType = message(1, varint(1, type === 'float32' ? 1 : 10));
  const info = concat([message(1, encoder.encode(name)), message(2, tensorType)]);
  return eachField(model, (number, content) =>
    number === modelGraph ? [message(modelGraph, concat([content, message(graphOutput, info)]))] : undefined,
  );
}

/**
 * The file with more nodes, where some values that its own nodes output are renamed.
 * @param renamed new names by old ones; readers of the old name then read what `more` outputs under it
 * @param more another file, whose nodes, inputs and weights are added
 */
export function extendGraph(
  model: Uint8Array,
  renamed: ReadonlyMap<string, string>,
  more: Uint8Array,
): Uint8Array {
  // NodeProto { output = 2, name = 3 }: a node that is named after its value is renamed with it.
  const node = (content: Uint8Array): Uint8Array =>
    eachField(content, (number, name) => {
      const to = number === 2 || number === 3 ? renamed.get(decoder.decode(name)) : undefined;
      return to === undefined ? undefined : [message(number, encoder.encode(to))];
    });
  const graph = (content: Uint8Array): Uint8Array =>
    eachField(content, (number, each) =>
      number === graphNode ? [message(graphNode, node(each))] : undefined,
    );
  const added = fields(wholeBytes(more), 0, more.length)
    .filter(({ number }) => number === modelGraph)
    .map(({ from, to }) => message(modelGraph, more.subarray(from, to)));
  // Protobuf: a message written in several pieces is one.
  const own = eachField(model, (number, content) =>
    number === modelGraph ? [message(modelGraph, graph(content))] : undefined,
  );
  return concat([own, ...added]);
}

/** A message with some of its fields replaced. @param write undefined: the field stays as it is */
function eachField(
  content: Uint8Array,
  write: (number: number, content: Uint8Array) => Uint8Array[] | undefined,
): Uint8Array {
  const parts = fields(wholeBytes(content), 0, content.length).flatMap(({ number, value, from, to }) => {
    const own = content.subarray(from, to);
    return write(number, own) ?? [from === to && value > 0 ? varint(number, value) : message(number, own)];
  });
  return concat(parts);
}

/** Random access to the bytes of a file or an array; a model of gigabytes is never read whole. */
interface Bytes {
  readonly length: number;
  at(index: number): number;
  slice(from: number, to: number): Uint8Array;
}

const wholeBytes = (array: Uint8Array): Bytes => ({
  length: array.length,
  at: (index) => array[index]!,
  slice: (from, to) => array.subarray(from, to),
});

function pagedBytes(descriptor: number, length: number): Bytes {
  const page = new Uint8Array(1 << 16);
  let pageStart = -1;
  let pageEnd = -1;
  return {
    length,
    at(index) {
      if (index < pageStart || index >= pageEnd) {
        pageStart = index;
        pageEnd = index + readSync(descriptor, page, 0, page.length, index);
      }
      return page[index - pageStart]!;
    },
    slice(from, to) {
      const content = new Uint8Array(to - from);
      readSync(descriptor, content, 0, content.length, from);
      return content;
    },
  };
}

function readTensor(
  bytes: Bytes,
  tensor: Field,
  external: ExternalTensor[],
  weights?: Map<string, readonly number[]>,
  types?: Map<string, number>,
): void {
  const dims: number[] = [];
  let type = 0;
  const entries = new Map<string, string>();
  let name = '';
  for (const field of fields(bytes, tensor.from, tensor.to)) {
    if (field.number === 1) dims.push(...integers(bytes, field));
    else if (field.number === 2) type = field.value;
    else if (field.number === 8) name = text(bytes, field);
    else if (field.number === 13) {
      const [key, value] = fields(bytes, field.from, field.to);
      if (key && value) entries.set(text(bytes, key), text(bytes, value));
    }
  }
  weights?.set(name, dims);
  types?.set(name, type);
  const location = entries.get('location');
  if (location === undefined) return;
  const length = entries.get('length');
  external.push({
    location,
    offset: Number(entries.get('offset') ?? 0),
    length: length === undefined ? undefined : Number(length),
  });
}

/** A repeated whole number, packed or one by one. */
function integers(bytes: Bytes, field: Field): number[] {
  if (field.to === field.from) return [field.value];
  const values: number[] = [];
  for (let at = field.from; at < field.to; ) {
    const [value, next] = readVarint(bytes, at, field.to);
    values.push(value);
    at = next;
  }
  return values;
}

function readNode(bytes: Bytes, node: Field, external: ExternalTensor[]): Node {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Record<string, number | string | readonly number[]> = {};
  let name = '';
  let op = '';
  for (const field of fields(bytes, node.from, node.to)) {
    if (field.number === 1) inputs.push(text(bytes, field));
    else if (field.number === 2) outputs.push(text(bytes, field));
    else if (field.number === 3) name = text(bytes, field);
    else if (field.number === 4) op = text(bytes, field);
    else if (field.number === 5) {
      // AttributeProto { name = 1, i = 3, s = 4, t = 5, ints = 8 }: a constant's data may lie outside of the file, too.
      let called = '';
      const list: number[] = [];
      for (const part of fields(bytes, field.from, field.to))
        if (part.number === 1) called = text(bytes, part);
        else if (part.number === 3) attributes[called] = part.value;
        else if (part.number === 4) attributes[called] = text(bytes, part);
        else if (part.number === 5) readTensor(bytes, part, external);
        else if (part.number === 8) list.push(...integers(bytes, part));
      if (list.length > 0) attributes[called] = list;
    }
  }
  return { name, op, inputs, outputs, attributes };
}

/** The fields of one message; throws where the bytes are no protobuf. */
function fields(bytes: Bytes, start: number, end: number): Field[] {
  const found: Field[] = [];
  let at = start;
  while (at < end) {
    const [key, next] = readVarint(bytes, at, end);
    const number = Math.floor(key / 8);
    const kind = key % 8;
    at = next;
    if (number === 0) throw new RangeError('field 0');
    if (kind === 0) {
      const [value, after] = readVarint(bytes, at, end);
      found.push({ number, value, from: after, to: after });
      at = after;
      continue;
    }
    let size = kind === 1 ? 8 : kind === 5 ? 4 : -1;
    if (kind === 2) [size, at] = readVarint(bytes, at, end);
    if (size < 0 || at + size > end) throw new RangeError('a field runs past the end');
    found.push({ number, value: 0, from: at, to: at + size });
    at += size;
  }
  return found;
}

function readVarint(bytes: Bytes, at: number, end: number): [number, number] {
  let value = 0;
  let scale = 1;
  for (let i = at; i < end && i < at + 10; i++) {
    const byte = bytes.at(i);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, i + 1];
    scale *= 128;
  }
  throw new RangeError('a number runs past the end');
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const text = (bytes: Bytes, field: Field): string => decoder.decode(bytes.slice(field.from, field.to));

function encodeVarint(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) | 0x80);
  }
}

const varint = (number: number, value: number): Uint8Array =>
  Uint8Array.from([...encodeVarint(number * 8), ...encodeVarint(value)]);

function message(number: number, content: Uint8Array): Uint8Array {
  return concat([
    Uint8Array.from([...encodeVarint(number * 8 + 2), ...encodeVarint(content.length)]),
    content,
  ]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
