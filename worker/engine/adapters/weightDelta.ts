/**
 * A LoRA's change of a weight as a whole matrix, for forms that are no pair of factors and for modules without ports.
 * Row-major [out, in · window].
 */
import path from 'node:path';
import { EngineError } from '../errors.ts';
import { type AdaptedModule, sides } from './adaptedNetwork.ts';
import { combineCore, multiply, transpose, tucker } from './matrixProduct.ts';
import type { Change, ModuleChange } from './readLora.ts';
import { elements, type Floats, readFloats, type StoredTensor } from './tensorSource.ts';

/**
 * The sum of a module's changes at a strength. With a DoRA magnitude m it is m · (W + s·Δ) / ‖W + s·Δ‖ - W (Liu et al.,
 * 2024, eq. 5; the strength lies within s, as PEFT has it), else s·Δ.
 */
export async function weightDelta(
  weight: Float32Array,
  module: AdaptedModule,
  { changes, magnitude }: ModuleChange,
  strength: number,
): Promise<Float32Array> {
  const total = new Float32Array(weight.length);
  for (const change of changes) {
    const delta = await changeDelta(change, module);
    const scale = change.scale * strength;
    for (let i = 0; i < total.length; i++) total[i]! += scale * delta[i]!;
  }
  return magnitude ? decomposed(weight, total, module, magnitude) : total;
}

async function changeDelta(change: Change, module: AdaptedModule): Promise<Float32Array> {
  switch (change.kind) {
    case 'difference':
      return readFloats(change.difference).data;
    case 'factors': {
      const { out, into, window } = sides(module);
      const up = readFloats(change.up).data;
      const down = await wholeDown(change, into, window);
      return multiply(up, down, out, change.down.shape[0]!, into * window);
    }
    case 'loha':
      return hadamard(change.tensors, module);
    case 'lokr':
      return kronecker(change.tensors, module);
  }
}

/** The lower factor, [rank, in · window]; LoCon's middle factor multiplied into it. */
export async function wholeDown(
  change: Extract<Change, { kind: 'factors' }>,
  into: number,
  window: number,
): Promise<Float32Array> {
  const down = readFloats(change.down);
  if (!change.mid) return down.data;
  const rank = down.shape[0]!;
  return combineCore(
    { data: readFloats(change.mid).data, i: rank, j: rank, window },
    { data: down.data, r: into },
  );
}

type Tensors = Readonly<Record<string, StoredTensor>>;

/** LoHa: (w1_a · w1_b) ∘ (w2_a · w2_b), each half in Tucker form where it has a core (Hyeon-Woo et al., 2022). */
async function hadamard(tensors: Tensors, module: AdaptedModule): Promise<Float32Array> {
  const half = (n: 1 | 2): Promise<Float32Array> =>
    pair(tensors[`hada_w${n}_a`]!, tensors[`hada_w${n}_b`]!, tensors[`hada_t${n}`]);
  const [first, second] = [await half(1), await half(2)];
  if (first.length !== elements(module.shape) || second.length !== first.length)
    throw misshapen(tensors, module, 'LoHa');
  return first.map((value, i) => value * second[i]!);
}

/** LoKr: w1 ⊗ w2; either half may be a product of two factors, the second one in Tucker form. */
async function kronecker(tensors: Tensors, module: AdaptedModule): Promise<Float32Array> {
  const half = async (n: 1 | 2): Promise<Floats> => {
    const whole = tensors[`lokr_w${n}`];
    if (whole) return readFloats(whole);
    const [a, b, core] = [tensors[`lokr_w${n}_a`]!, tensors[`lokr_w${n}_b`]!, tensors[`lokr_t${n}`]];
    const rows = core ? a.shape[1]! : a.shape[0]!;
    const data = await pair(a, b, core);
    return { shape: [rows, data.length / rows], data };
  };
  const [left, right] = [await half(1), await half(2)];
  const { out, into, window } = sides(module);
  const [a, b] = [left.shape[0]!, elements(left.shape) / left.shape[0]!];
  const [c, d] = [right.shape[0]!, elements(right.shape) / right.shape[0]! / window];
  if (a * c !== out || b * d !== into) throw misshapen(tensors, module, 'LoKr');
  const product = new Float32Array(out * into * window);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++) {
      const factor = left.data[i * b + j]!;
      for (let k = 0; k < c; k++) {
        const from = k * d * window;
        const to = ((i * c + k) * into + j * d) * window;
        for (let l = 0; l < d * window; l++) product[to + l] = factor * right.data[from + l]!;
      }
    }
  return product;
}

/** a · b; with a core, a is stored transposed, [rank, out]. */
async function pair(a: StoredTensor, b: StoredTensor, core: StoredTensor | undefined): Promise<Float32Array> {
  const [left, right] = [readFloats(a), readFloats(b)];
  const [rows, shared] = a.shape as [number, number];
  const columns = elements(b.shape) / b.shape[0]!;
  if (!core) {
    if (shared !== b.shape[0]) throw unequal(a, b);
    return multiply(left.data, right.data, rows, shared, columns);
  }
  const [i, j, ...window] = core.shape as [number, number, ...number[]];
  if (i !== rows || j !== b.shape[0]) throw unequal(a, b);
  return tucker(
    { data: readFloats(core).data, i, j, window: elements(window) },
    { data: transpose(left.data, rows, shared), p: shared },
    { data: right.data, r: columns },
  );
}

/** m · V / ‖V‖ - W with V = W + delta; the length is a row's, or in LyCORIS' older files a column's. */
function decomposed(
  weight: Float32Array,
  delta: Float32Array,
  module: AdaptedModule,
  { stored, by }: NonNullable<ModuleChange['magnitude']>,
): Float32Array {
  const { out, into, window } = sides(module);
  const lengths = readFloats(stored).data;
  const group = (i: number): number =>
    by === 'row' ? Math.floor(i / (into * window)) : Math.floor(i / window) % into;
  const squares = new Float64Array(by === 'row' ? out : into);
  for (let i = 0; i < weight.length; i++) squares[group(i)]! += (weight[i]! + delta[i]!) ** 2;
  const factors = squares.map((square, i) => lengths[i]! / Math.sqrt(square));
  return weight.map((value, i) => (value + delta[i]!) * factors[group(i)]! - value);
}

const misshapen = (tensors: Tensors, { name, shape }: AdaptedModule, form: string): EngineError => {
  const { file } = Object.values(tensors)[0]!;
  return new EngineError(
    'bad-adapter',
    `${path.basename(file)}: the ${form} of ${name} is not of its shape, ${shape.join('×')}`,
    { file },
  );
};

const unequal = (a: StoredTensor, b: StoredTensor): EngineError =>
  new EngineError(
    'bad-adapter',
    `${path.basename(a.file)}: factors of ${a.shape.join('×')} and ${b.shape.join('×')} cannot be multiplied`,
    { file: a.file },
  );
