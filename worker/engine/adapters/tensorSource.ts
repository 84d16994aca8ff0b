/** Reads numbers out of a .safetensors file whose index the caller has read and checked. */
import { closeSync, openSync, readSync } from 'node:fs';
import { EngineError } from '../errors.ts';
import { fromHalf } from '../onnx/tensor.ts';

export interface StoredTensor {
  readonly file: string;
  /** As safetensors calls it: F32, F16, BF16 … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of the tensor's first byte in the file. */
  readonly offset: number;
  /** The tensor's length in bytes. */
  readonly length: number;
}

/** The index of one .safetensors file. */
export interface TensorSource {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** `__metadata__` */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Row-major numbers with their dimensions. */
export interface Floats {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Number of elements in a tensor of this shape. */
export const elements = (shape: readonly number[]): number =>
  shape.reduce((product, side) => product * side, 1);

/**
 * Reads a tensor as float32.
 * @throws EngineError('bad-adapter') for integers and for a file that became shorter
 */
export function readFloats(stored: StoredTensor): Floats {
  const bytes = readRange(stored.file, stored.offset, stored.length);
  return { shape: stored.shape, data: toFloats(stored.dtype, bytes, stored.file) };
}

/** The single number of a tensor such as `….alpha`. */
export function readScalar(stored: StoredTensor): number {
  const { data } = readFloats(stored);
  if (data.length === 1 && Number.isFinite(data[0])) return data[0]!;
  throw new EngineError(
    'bad-adapter',
    `${stored.file}: an alpha is ${data.length} numbers where one is needed`,
    {
      file: stored.file,
    },
  );
}

/** `length` bytes of a file from `offset` on. @throws EngineError('bad-adapter') where the file is shorter */
export function readRange(file: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const descriptor = openSync(file, 'r');
  try {
    for (let at = 0; at < length; ) {
      const read = readSync(descriptor, bytes, at, length - at, offset + at);
      if (read === 0)
        throw new EngineError('bad-adapter', `${file} is cut short at byte ${offset + at}`, { file });
      at += read;
    }
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

/** @param type element type: safetensors' name, or onnx.proto's in lower case */
export function toFloats(type: string, bytes: Uint8Array, file: string): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (type) {
    case 'F32':
    case 'float32':
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8));
    case 'F16':
    case 'float16':
      return fromHalf(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case 'BF16':
    case 'bfloat16':
      return fromBrain(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case 'F8_E4M3':
    case 'float8e4m3fn':
      return Float32Array.from(bytes, (byte) => e4m3[byte]!);
    case 'F8_E5M2':
    case 'float8e5m2':
      return fromHalf(Uint16Array.from(bytes, (byte) => byte << 8));
    default:
      throw new EngineError('bad-adapter', `${file} holds ${type} where floating point numbers are needed`, {
        file,
      });
  }
}

/** bfloat16 is the upper half of a float32. */
function fromBrain(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

/** OCP 8-bit floating point, E4M3: no infinities; all exponent and mantissa bits set are NaN. */
const e4m3 = Float32Array.from({ length: 256 }, (_, byte) => {
  const exponent = (byte >> 3) & 15;
  const mantissa = byte & 7;
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  const size = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
  return byte & 0x80 ? -size : size;
});
