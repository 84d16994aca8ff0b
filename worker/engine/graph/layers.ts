/**
 * The layers of diffusion networks, each a few nodes. A layer is asked for by its module's name, under which its
 * weights lie.
 */
import { EngineError } from '../errors.ts';
import { type Graph, microsoft } from './graph.ts';
import { loraOnConvolution, loraOnLinear } from './loraPorts.ts';
import type { Module } from './module.ts';
import { elementTypes, needWeight, type Weight, type Weights } from './weightLocations.ts';

/**
 * `fused` uses operators that ONNX Runtime has on the processor beyond ONNX (MultiHeadAttention,
 * SkipLayerNormalization, QuickGelu): faster, and no matrix of attention scores in memory. `plain` is ONNX alone, for
 * other providers; both agree to 5e-6.
 */
export type Flavour = 'fused' | 'plain';

export interface BuildOptions {
  readonly flavour?: Flavour;
  /** Modules that get inputs for a LoRA's factors (see loraPorts.ts); none where left out. */
  readonly lora?: (module: Module) => boolean;
}

export class Layers {
  readonly graph: Graph;
  readonly flavour: Flavour;
  #batch: string;
  #dimension = 'batch_size';
  /** Every linear layer and convolution built so far, in order. */
  readonly modules: Module[] = [];
  readonly #weights: Weights;
  readonly #lora: (module: Module) => boolean;

  constructor(graph: Graph, weights: Weights, batch: string, options: BuildOptions) {
    this.graph = graph;
    this.#weights = weights;
    this.#batch = batch;
    this.flavour = options.flavour ?? 'fused';
    this.#lora = options.lora ?? (() => false);
  }

  /** int64[1]: the number of pictures in the batch. */
  get batch(): string {
    return this.#batch;
  }

  /** Layers after this run on another number of pictures, which ports for LoRAs call `dimension`. */
  setBatch(batch: string, dimension: string): void {
    this.#batch = batch;
    this.#dimension = dimension;
    this.#shapes.clear();
  }

  has(weight: string): boolean {
    return this.#weights(weight) !== undefined;
  }

  /** @throws EngineError('bad-model') where the weight is missing */
  shape(weight: string): readonly number[] {
    return needWeight(this.#weights, weight).shape;
  }

  /** A weight in float32, in its stored shape or another with as many elements. */
  weight(name: string, shape?: readonly number[]): string {
    const stored = needWeight(this.#weights, name);
    if (shape === undefined || sameShape(shape, stored.shape)) return this.graph.floatWeight(name, stored);
    if (count(shape) !== count(stored.shape)) throw misshapen(name, stored, `${shape.join('×')}`);
    return this.graph.floatWeight(`${name}.as.${shape.join('x')}`, { ...stored, shape });
  }

  /**
   * A convolution, [N, in, H, W] → [N, out, H', W'].
   * @param pads top, left, bottom, right; half the kernel on every side where left out
   */
  conv(name: string, x: string, stride = 1, pads?: readonly number[]): string {
    const stored = needWeight(this.#weights, `${name}.weight`);
    const [out, into, height, width] = stored.shape;
    if (out === undefined || into === undefined || height === undefined || width === undefined)
      throw misshapen(`${name}.weight`, stored, 'a convolution: out × in × height × width');
    const halves = [height >> 1, width >> 1, height >> 1, width >> 1];
    const attributes = {
      kernel_shape: [height, width],
      pads: pads ?? halves,
      strides: [stride, stride],
      dilations: [1, 1],
      group: 1,
    };
    const y = this.graph.op('Conv', [x, this.weight(`${name}.weight`), ...this.#bias(name, out)], {
      name,
      attributes,
    });
    const module: Module = { name, kind: 'convolution', shape: stored.shape };
    this.modules.push(module);
    return this.#lora(module)
      ? loraOnConvolution(this.graph, module, x, y, attributes, { batch: this.#dimension })
      : y;
  }

  /**
   * A linear layer over rows, [N, in] → [N, out]. PyTorch's [out, in] is used as stored: a Gemm that transposes it
   * is as fast as one over the transposed weight. A 1×1 convolution's weight works, too.
   */
  linear(name: string, x: string): string {
    const { graph } = this;
    const stored = needWeight(this.#weights, `${name}.weight`);
    const [first, second, ...window] = stored.shape;
    if (first === undefined || second === undefined || window.some((side) => side !== 1))
      throw misshapen(`${name}.weight`, stored, 'a linear layer: out × in');
    const [out, into] = stored.transposed ? [second, first] : [first, second];
    const weight = this.weight(`${name}.weight`, [first, second]);
    const attributes = stored.transposed ? {} : { transB: 1 };
    const y = graph.op('Gemm', [x, weight, ...this.#bias(name, out)], { name, attributes });
    const module: Module = { name, kind: 'linear', shape: [out, into] };
    this.modules.push(module);
    return this.#lora(module) ? loraOnLinear(graph, module, x, y, [this.batch, this.#dimension]) : y;
  }

  /** An embedding: [..] of ids → [.., width]. Only the rows in use are cast to float32. */
  gather(name: string, ids: string): string {
    const { graph } = this;
    const stored = needWeight(this.#weights, `${name}.weight`);
    const rows = graph.op('Gather', [graph.weight(`${name}.weight`, stored), ids], { name });
    if (stored.type === 'float32') return rows;
    return graph.op('Cast', [rows], { name: `${name}.float`, attributes: { to: elementTypes.float32 } });
  }

  silu(x: string): string {
    return this.quickGelu(x, 1);
  }

  /** x · sigmoid(alpha·x): SiLU with 1, the activation of OpenAI's CLIP with 1.702. */
  quickGelu(x: string, alpha: number): string {
    const { graph } = this;
    if (this.flavour === 'fused')
      return graph.op('QuickGelu', [x], { domain: microsoft, attributes: { alpha: { float: alpha } } });
    const scaled = alpha === 1 ? x : graph.op('Mul', [x, graph.floats(`float.${alpha}`, [alpha], [])]);
    return graph.op('Mul', [x, graph.op('Sigmoid', [scaled])]);
  }

  /** x · Φ(x), exactly. */
  gelu(x: string): string {
    return this.graph.op('Gelu', [x]);
  }

  /** [N, C, H, W]. No GroupNorm kernel on the processor: InstanceNormalization by group, then scale and bias. */
  groupNorm(name: string, x: string, groups: number, eps: number): string {
    const { graph } = this;
    const [channels] = this.shape(`${name}.weight`);
    if (channels === undefined || channels % groups !== 0)
      throw new EngineError(
        'bad-model',
        `${name} has ${channels} channels, not a multiple of ${groups} groups`,
      );
    const ones = graph.floats(`ones.${groups}`, new Array<number>(groups).fill(1), [groups]);
    const zeros = graph.floats(`zeros.${groups}`, new Array<number>(groups).fill(0), [groups]);
    const flat = graph.op('Reshape', [x, graph.ints([0, groups, -1])]);
    const normal = graph.op('InstanceNormalization', [flat, ones, zeros], {
      name: `${name}.groups`,
      attributes: { epsilon: { float: eps } },
    });
    const back = graph.op('Reshape', [normal, graph.op('Shape', [x])]);
    const scaled = graph.op('Mul', [back, this.weight(`${name}.weight`, [channels, 1, 1])]);
    return graph.op('Add', [scaled, this.weight(`${name}.bias`, [channels, 1, 1])], { name });
  }

  /** LayerNorm over the last dimension. */
  layerNorm(name: string, x: string, eps = 1e-5): string {
    return this.graph.op(
      'LayerNormalization',
      [x, this.weight(`${name}.weight`), this.weight(`${name}.bias`)],
      {
        name,
        attributes: { axis: -1, epsilon: { float: eps } },
      },
    );
  }

  /** A residual connection and the norm after it. @returns x + y, and its norm */
  addNorm(name: string, x: string, y: string, eps = 1e-5): [sum: string, normal: string] {
    if (this.flavour === 'plain') {
      const sum = this.graph.op('Add', [x, y]);
      return [sum, this.layerNorm(name, sum, eps)];
    }
    const inputs = [x, y, this.weight(`${name}.weight`), this.weight(`${name}.bias`)];
    const [normal, , , sum] = this.graph.split(
      'SkipLayerNormalization',
      inputs,
      4,
      { name, domain: microsoft, attributes: { epsilon: { float: eps } } },
      (output) => output === 0 || output === 3,
    );
    return [sum!, normal!];
  }

  /**
   * Softmax(q·kᵀ / √size)·v by head; q, k and v are rows × (heads · size), the rows of the batch's pictures one after
   * the other. @param causal a row attends only to earlier rows and itself
   */
  attention(
    name: string,
    q: string,
    k: string,
    v: string,
    width: number,
    heads: number,
    causal = false,
  ): string {
    const { graph } = this;
    if (width % heads !== 0)
      throw new EngineError('bad-model', `${name}: ${width} channels cannot be shared by ${heads} heads`);
    const rows = graph.ints([-1, width]);
    if (this.flavour === 'plain')
      return graph.op('Reshape', [this.#plainAttention(q, k, v, width, heads, causal), rows]);
    const [q3, k3, v3] = [q, k, v].map((x) => this.rowsByPicture(x, width)) as [string, string, string];
    const attributes = { num_heads: heads, ...(causal ? { unidirectional: 1 } : {}) };
    const attended = graph.op('MultiHeadAttention', [q3, k3, v3], { name, domain: microsoft, attributes });
    return graph.op('Reshape', [attended, rows]);
  }

  /** Rows [batch·N, width] as [batch, N, width]. */
  rowsByPicture(x: string, width: number): string {
    const { graph } = this;
    return graph.op('Reshape', [x, this.#shapeOf('rows', [-1, width])]);
  }

  /** [batch, C, H, W] as rows [batch·H·W, C]. */
  pixelsToRows(x: string, width: number): string {
    const { graph } = this;
    const last = graph.op('Transpose', [x], { attributes: { perm: [0, 2, 3, 1] } });
    return graph.op('Reshape', [last, graph.ints([-1, width])]);
  }

  /** Rows back to pixels, at the height and width of `like`. */
  rowsToPixels(rows: string, width: number, like: string): string {
    const { graph } = this;
    const size = graph.op('Slice', [graph.op('Shape', [like]), graph.ints([2]), graph.ints([4])]);
    const shape = graph.op('Concat', [this.batch, size, graph.ints([width])], { attributes: { axis: 0 } });
    const last = graph.op('Reshape', [rows, shape]);
    return graph.op('Transpose', [last], { attributes: { perm: [0, 3, 1, 2] } });
  }

  /** Nearest neighbour, twice as high and wide. */
  upsample(x: string): string {
    const scales = this.graph.floats('scales.2', [1, 1, 2, 2], [4]);
    const attributes = {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    return this.graph.op('Resize', [x, '', scales], { attributes });
  }

  /** Attention as torch exports it, with the full matrix of scores. */
  #plainAttention(q: string, k: string, v: string, width: number, heads: number, causal: boolean): string {
    const { graph } = this;
    const size = width / heads;
    const turn = (x: string, perm: readonly number[]): string => {
      const byHead = graph.op('Reshape', [x, this.#shapeOf('heads', [-1, heads, size])]);
      return graph.op('Transpose', [byHead], { attributes: { perm } });
    };
    // Half of the scale on q and half on k, so that half floats overflow later.
    const root = graph.floats(`attention.scale.${size}`, [size ** -0.25], []);
    const query = graph.op('Mul', [turn(q, [0, 2, 1, 3]), root]);
    const key = graph.op('Mul', [turn(k, [0, 2, 3, 1]), root]);
    let scores = graph.op('MatMul', [query, key]);
    if (causal) {
      const sides = graph.op('Slice', [graph.op('Shape', [scores]), graph.ints([2]), graph.ints([4])]);
      const lowest = graph.op('Expand', [graph.floats('float.lowest', [-3.4028234663852886e38], []), sides]);
      const above = graph.op('Trilu', [lowest, graph.op('Squeeze', [graph.ints([1])])], {
        attributes: { upper: 1 },
      });
      scores = graph.op('Add', [scores, above]);
    }
    const shares = graph.op('Softmax', [scores], { attributes: { axis: -1 } });
    const mixed = graph.op('MatMul', [shares, turn(v, [0, 2, 1, 3])]);
    return graph.op('Transpose', [mixed], { attributes: { perm: [0, 2, 1, 3] } });
  }

  readonly #shapes = new Map<string, string>();

  /** [batch, ...rest], computed once. */
  #shapeOf(name: string, rest: readonly number[]): string {
    const key = `shape.${name}.${rest.join('.')}`;
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      const inputs = [this.batch, this.graph.ints(rest)];
      shape = this.graph.op('Concat', inputs, { name: key, attributes: { axis: 0 } });
      this.#shapes.set(key, shape);
    }
    return shape;
  }

  #bias(name: string, out: number): string[] {
    if (!this.has(`${name}.bias`)) return [];
    return [this.weight(`${name}.bias`, [out])];
  }
}

/** The layers of a graph that takes `input`, whose first dimension is the batch. */
export function layersOf(graph: Graph, weights: Weights, options: BuildOptions, input: string): Layers {
  const batch = graph.op('Slice', [graph.op('Shape', [input]), graph.ints([0]), graph.ints([1])]);
  return new Layers(graph, weights, batch, options);
}

const count = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);
const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((side, i) => side === b[i]);

const misshapen = (name: string, { shape }: Weight, expected: string): EngineError =>
  new EngineError('bad-model', `${name} is ${shape.join('×') || 'a number'} where ${expected} is needed`);
