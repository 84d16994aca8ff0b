/** Builds one ONNX graph node by node and writes it as a file's content. Field numbers: onnx/onnx.proto. */
import { MessageWriter } from './protobuf.ts';
import { type ElementType, elementTypes, type Weight } from './weightLocations.ts';

/** An int, a list of ints, a string, or a float in an object (JavaScript's 1 could be an int or a float). */
export type Attribute = number | string | readonly number[] | { readonly float: number };
/** A fixed size, or the name of a free one; equal names mean equal sizes. */
export type Dimension = number | string;

interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly Dimension[];
}

/** A small tensor whose bytes stand in the graph itself. */
interface Constant {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** '' is ONNX itself; `microsoft` holds ONNX Runtime's own operators. */
  readonly domain?: string;
  /** The node's name, preferably its module's; made unique where it is taken. */
  readonly name?: string;
}

/** ONNX operator set 20 (ir version 9); ONNX Runtime's own operators are version 1. */
const opset = 20;
const irVersion = 9;
export const microsoft = 'com.microsoft';
/** What `producer_name` says in every graph written here. */
export const producer = 'dreamgrid';

/**
 * One graph. Values have names; `op` returns the name of a node's output. Not for use after `build`.
 */
export class Graph {
  readonly #nodes = new MessageWriter();
  readonly #casts = new MessageWriter();
  readonly #widened = new Map<string, string>();
  readonly #weights = new Map<string, Weight | Constant>();
  readonly #inputs: Port[] = [];
  readonly #outputs: Port[] = [];
  readonly #domains = new Set<string>();
  readonly #taken = new Map<string, number>();
  #count = 0;

  get nodeCount(): number {
    return this.#count;
  }

  input(name: string, type: ElementType, dims: readonly Dimension[]): string {
    this.#inputs.push({ name, type, dims });
    return name;
  }

  output(name: string, value: string, type: ElementType, dims: readonly Dimension[]): void {
    this.#write(this.#nodes, 'Identity', [value], [name], name, {});
    this.#outputs.push({ name, type, dims });
  }

  /** A weight as stored in its file, under its own name; the graph may use the same bytes in several shapes. */
  weight(name: string, weight: Weight): string {
    if (!this.#weights.has(name)) this.#weights.set(name, weight);
    return name;
  }

  /**
   * A weight in float32, the type the processor calculates in. Half floats are cast when the graph runs. Where ONNX
   * Runtime may choose the order of nodes, it follows the file's, backwards from the outputs: casts at the file's start
   * run just before their use, so their results are not all in memory together (they take 2.3 GB in SD 1.5, measured).
   */
  floatWeight(name: string, weight: Weight): string {
    const stored = this.weight(name, weight);
    if (weight.type === 'float32') return stored;
    let widened = this.#widened.get(name);
    if (widened === undefined) {
      widened = `${name}.float`;
      const options = { attributes: { to: elementTypes.float32 } };
      this.#write(this.#casts, 'Cast', [stored], [widened], widened, options);
      this.#widened.set(name, widened);
    }
    return widened;
  }

  /** A constant int64 vector. */
  ints(values: readonly number[]): string {
    const data = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    return this.#constant(`ints.${values.join('.')}`, { type: 'int64', shape: [values.length], data });
  }

  /** A constant of float32; equal names must mean equal values. */
  floats(name: string, values: readonly number[], shape: readonly number[]): string {
    const data = new Uint8Array(Float32Array.from(values).buffer);
    return this.#constant(name, { type: 'float32', shape, data });
  }

  /** One node with one output. @returns the output's name */
  op(type: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.split(type, inputs, 1, options)[0]!;
  }

  /** One node with several outputs; '' in `wanted` leaves an output out. @returns their names */
  split(
    type: string,
    inputs: readonly string[],
    outputs: number,
    options: NodeOptions = {},
    wanted: (output: number) => boolean = () => true,
  ): string[] {
    const name = this.#unique(options.name ?? type);
    const names = Array.from({ length: outputs }, (_, i) =>
      wanted(i) ? (outputs === 1 ? name : `${name}:${i}`) : '',
    );
    this.#write(this.#nodes, type, inputs, names, name, options);
    return names;
  }

  /** @returns ModelProto with `metadata` as its metadata_props */
  build(metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    const model = new MessageWriter().int(1, irVersion).text(2, producer);
    model.message(7, (graph) => {
      graph.text(2, producer);
      for (const [name, weight] of this.#weights)
        graph.message(5, (tensor) => writeTensor(tensor, name, weight));
      for (const port of this.#inputs) graph.message(11, (info) => writePort(info, port));
      for (const port of this.#outputs) graph.message(12, (info) => writePort(info, port));
    });
    // The graph's field again: protobuf merges a message that is written in several pieces.
    model.bytes(7, this.#casts.finish()).bytes(7, this.#nodes.finish());
    model.message(8, (set) => set.int(2, opset));
    for (const domain of this.#domains) model.message(8, (set) => set.text(1, domain).int(2, 1));
    for (const [key, value] of Object.entries(metadata))
      model.message(14, (entry) => entry.text(1, key).text(2, value));
    return model.finish();
  }

  #constant(name: string, constant: Constant): string {
    if (!this.#weights.has(name)) this.#weights.set(name, constant);
    return name;
  }

  #unique(name: string): string {
    const before = this.#taken.get(name) ?? 0;
    this.#taken.set(name, before + 1);
    return before === 0 ? name : `${name}#${before}`;
  }

  #write(
    to: MessageWriter,
    type: string,
    inputs: readonly string[],
    outputs: readonly string[],
    name: string,
    { attributes = {}, domain = '' }: NodeOptions,
  ): void {
    this.#count++;
    if (domain !== '') this.#domains.add(domain);
    to.message(1, (node) => {
      for (const input of inputs) node.text(1, input);
      for (const output of outputs) node.text(2, output);
      node.text(3, name).text(4, type);
      for (const [key, value] of Object.entries(attributes))
        node.message(5, (attribute) => writeAttribute(attribute.text(1, key), value));
      if (domain !== '') node.text(7, domain);
    });
  }
}

/** AttributeProto { f = 2, i = 3, s = 4, ints = 8, type = 20 } */
function writeAttribute(to: MessageWriter, value: Attribute): void {
  if (typeof value === 'string') to.text(4, value).int(20, 3);
  else if (typeof value === 'number') to.int(3, value).int(20, 2);
  else if ('float' in value) to.float(2, value.float).int(20, 1);
  else {
    for (const each of value) to.int(8, each);
    to.int(20, 7);
  }
}

/** TensorProto { dims = 1, data_type = 2, name = 8, raw_data = 9, external_data = 13, data_location = 14 } */
function writeTensor(to: MessageWriter, name: string, weight: Weight | Constant): void {
  for (const dim of weight.shape) to.int(1, dim);
  to.int(2, elementTypes[weight.type]).text(8, name);
  if ('data' in weight) {
    to.bytes(9, weight.data);
    return;
  }
  const entries = { location: weight.location, offset: `${weight.offset}`, length: `${weight.length}` };
  for (const [key, value] of Object.entries(entries))
    to.message(13, (entry) => entry.text(1, key).text(2, value));
  to.int(14, 1);
}

/** ValueInfoProto { name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 } } } } */
function writePort(to: MessageWriter, { name, type, dims }: Port): void {
  to.text(1, name).message(2, (kind) =>
    kind.message(1, (tensor) =>
      tensor.int(1, elementTypes[type]).message(2, (shape) => {
        for (const dim of dims)
          shape.message(1, (each) => (typeof dim === 'number' ? each.int(1, dim) : each.text(2, dim)));
      }),
    ),
  );
}
