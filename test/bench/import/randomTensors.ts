/** Files of random half-precision tensors, written piece by piece: they are larger than memory should be. */
import { open } from 'node:fs/promises';
import { toHalf } from '../../../worker/engine/onnx/tensor.ts';
import { openRandom } from '../../support/random.ts';

export type Shapes = ReadonlyMap<string, readonly number[]>;

const pieceNumbers = 1 << 20;

/**
 * Writes `shapes` as a .safetensors file of F16. Vectors that are called a norm's weight are ones, other vectors small;
 * a matrix's numbers have the variance 1 / inputs, so that what goes through a network neither grows nor dies.
 */
export async function writeRandomTensors(
  file: string,
  shapes: Shapes,
  { gain = () => 1, metadata }: { gain?: (name: string) => number; metadata?: Record<string, string> } = {},
): Promise<void> {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let end = 0;
  for (const [name, shape] of shapes) {
    const begin = end;
    end += 2 * elements(shape);
    header[name] = { dtype: 'F16', shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const head = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  const { next } = openRandom(15);
  // Uniform numbers of variance one, a stretch of them for each tensor.
  const root = Math.sqrt(3);
  const uniform = Float32Array.from({ length: pieceNumbers }, () => root * (2 * next() - 1));
  const pieces = new Map<number, Uint8Array>();
  const piece = (scale: number): Uint8Array => {
    const before = pieces.get(scale);
    if (before) return before;
    const made = new Uint8Array(toHalf(uniform.map((value) => value * scale)).buffer);
    pieces.set(scale, made);
    return made;
  };
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(Buffer.concat([length, head]));
    for (const [name, shape] of shapes) {
      const inputs = elements(shape.slice(1));
      const isOnes = shape.length === 1 && name.endsWith('.weight');
      let left = 2 * elements(shape);
      const source = isOnes
        ? new Uint8Array(toHalf(new Float32Array(shape[0]!).fill(1)).buffer)
        : piece((shape.length === 1 ? 0.02 : 1 / Math.sqrt(inputs)) * gain(name));
      // Another stretch for each tensor.
      let at = isOnes ? 0 : 2 * Math.floor(next() * (pieceNumbers / 2));
      while (left > 0) {
        const bytes = source.subarray(at, at + left);
        await handle.writeFile(bytes);
        left -= bytes.length;
        at = 0;
      }
    }
  } finally {
    await handle.close();
  }
}

const elements = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);
