/** A model as it was found, whatever its files call their weights; what `install.ts` makes a folder of. */
import type { NetworkKind } from '../../engine/index.ts';
import type { Json } from '../hub/defaults.ts';
import { StoreError } from '../hub/errors.ts';
import type { Tensor } from './safetensors.ts';

export interface FoundWeight extends Tensor {
  /** A linear layer's weight that is stored as [in, out]. */
  readonly transposed?: boolean;
}

/** Finds a weight by diffusers' (or transformers') name. */
export type FindWeight = (name: string) => FoundWeight | undefined;

export interface SourcePart {
  /** The folder that it will have. */
  readonly part: string;
  readonly network: NetworkKind;
  /** As diffusers or transformers would write it. */
  readonly config: Json;
  readonly find: FindWeight;
}

export type Prediction = 'epsilon' | 'v_prediction';

export interface Source {
  /** The file or folder, for sentences. */
  readonly from: string;
  readonly parts: readonly SourcePart[];
  /** Of a single file. */
  readonly kind?: 'sd1' | 'sd2' | 'sdxl';
  /** model_index.json */
  readonly index: Json;
  /** scheduler_config.json */
  readonly scheduler: Json;
  /** Folders to copy by name; a tokenizer that is missing is CLIP's own, padded as its kind has it. */
  readonly tokenizers: Readonly<Record<string, { readonly folder: string } | { readonly clip: 'end' | '!' }>>;
  /** Where neither keys nor metadata say what the network predicts: it is asked. */
  readonly askPrediction: boolean;
  /** What the owner should be told. */
  readonly notes: readonly string[];
}

/** The type a graph takes a weight in; what is stored otherwise is converted when it is added. */
export const elementTypeOf = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
} as const satisfies Partial<Record<Tensor['dtype'], string>>;

export const isFloat8 = ({ dtype }: Tensor): boolean => dtype === 'F8_E4M3' || dtype === 'F8_E5M2';

/** Rows `third` of three of a stored tensor. */
export function thirdOf(tensor: FoundWeight, third: number, from: string): FoundWeight {
  const [rows, ...rest] = tensor.shape;
  if (rows === undefined || rows % 3 !== 0)
    throw new StoreError('damaged', `${from}: an attention's weight of ${rows} rows is no three in one.`);
  const length = tensor.length / 3;
  return { ...tensor, shape: [rows / 3, ...rest], offset: tensor.offset + third * length, length };
}
