/** Where a network's weights lie; their values are never read here. */
import { EngineError } from '../errors.ts';

/** Element types, by the names and numbers of onnx.proto's TensorProto.DataType. */
export const elementTypes = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e5m2: 19,
} as const;
export type ElementType = keyof typeof elementTypes;

export interface Weight {
  readonly type: ElementType;
  /** [out, in] of a linear layer, [out, in, height, width] of a convolution, as PyTorch stores them. */
  readonly shape: readonly number[];
  /** The file that holds it, relative to the graph's own folder: `weights.safetensors`. */
  readonly location: string;
  /** Of the weight's first byte in that file; any alignment. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Set for a linear layer's weight that is stored as [in, out]; `shape` then is [in, out]. */
  readonly transposed?: boolean;
}

/** Finds a weight by diffusers' (or transformers') name of it: `down_blocks.0.resnets.0.conv1.weight`. */
export type Weights = (name: string) => Weight | undefined;

/** @throws EngineError('bad-model') which names the weight */
export function needWeight(weights: Weights, name: string): Weight {
  const weight = weights(name);
  if (weight) return weight;
  throw new EngineError('bad-model', `the weight ${name} is missing`);
}
