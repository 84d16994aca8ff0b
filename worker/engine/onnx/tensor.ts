/**
 * Converts numbers on their way into and out of ONNX Runtime. The engine computes in float32; a model's half floats
 * or integers are converted here, by its metadata.
 */
import { Tensor } from 'onnxruntime-node';

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** IEEE 754 binary16, round to nearest even, overflow to infinity. */
export function toHalf(values: Float32Array): Uint16Array {
  const half = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i]!;
    const x = bits[0]!;
    const sign = (x >>> 16) & 0x8000;
    const exponent = (x >>> 23) & 0xff;
    const mantissa = x & 0x7fffff;
    if (exponent === 0xff) half[i] = sign | 0x7c00 | (mantissa ? 0x200 : 0);
    else if (exponent < 102) half[i] = sign;
    else if (exponent < 113) {
      const shift = 126 - exponent;
      half[i] = sign | roundShift(mantissa | 0x800000, shift);
    } else {
      // A carry out of the mantissa raises the exponent, as rounding up to the next power of two must.
      const rounded = ((exponent - 112) << 10) + roundShift(mantissa, 13);
      half[i] = sign | Math.min(rounded, 0x7c00);
    }
  }
  return half;
}

function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && (kept & 1) === 1) ? kept + 1 : kept;
}

/** IEEE 754 binary16 to float32, exactly. */
export function fromHalf(half: Uint16Array): Float32Array {
  const values = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) {
    const h = half[i]!;
    const sign = h & 0x8000 ? -1 : 1;
    const exponent = (h >>> 10) & 0x1f;
    const mantissa = h & 0x3ff;
    if (exponent === 0) values[i] = sign * mantissa * 2 ** -24;
    else if (exponent === 31) values[i] = mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else values[i] = sign * (1024 + mantissa) * 2 ** (exponent - 25);
  }
  return values;
}

/** Values as a tensor of the element type a model asks for. Integers are truncated, as numpy's cast does. */
export function makeTensor(type: string, values: ArrayLike<number>, dims: readonly number[]): Tensor {
  switch (type) {
    case 'float32':
      return new Tensor('float32', values instanceof Float32Array ? values : Float32Array.from(values), dims);
    case 'float16':
      return new Tensor(
        'float16',
        toHalf(values instanceof Float32Array ? values : Float32Array.from(values)),
        dims,
      );
    case 'float64':
      return new Tensor('float64', Float64Array.from(values), dims);
    case 'int64':
      return new Tensor(
        'int64',
        BigInt64Array.from(Array.from(values), (v) => BigInt(Math.trunc(v))),
        dims,
      );
    case 'int32':
      return new Tensor('int32', Int32Array.from(values, Math.trunc), dims);
    case 'bool':
      return new Tensor('bool', Uint8Array.from(values), dims);
    default:
      throw new TypeError(`no tensor of type ${type}`);
  }
}

/** A tensor's values as float32, whatever its type. */
export function readTensor(tensor: Tensor): Float32Array {
  const data = tensor.data;
  if (data instanceof Float32Array) return data;
  if (tensor.type === 'float16') {
    // Node 24 and later return a Float16Array; the bits are the same.
    const view = data as unknown as { buffer: ArrayBuffer; byteOffset: number; length: number };
    return fromHalf(new Uint16Array(view.buffer, view.byteOffset, view.length));
  }
  return Float32Array.from(data as ArrayLike<number | bigint>, Number);
}

/** Whether every value is a finite number. */
export function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false;
  return true;
}

/** Arrays joined one after another, as a batch's rows. */
export function concat(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}
