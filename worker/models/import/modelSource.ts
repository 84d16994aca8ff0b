/** A model as found, whatever names its files use; `install.ts` makes a folder of it. */
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
  /** The part's folder in the model. */
  readonly part: string;
  readonly network: NetworkKind;
  /** As diffusers or transformers would write it. */
  readonly config: Json;
  readonly find: FindWeight;
}

export type Prediction = 'epsilon' | 'v_prediction';

export interface Source {
  /** The file or folder, for messages. */
  readonly from: string;
  readonly parts: readonly SourcePart[];
  /** Only of a single file. */
  readonly kind?: 'sd1' | 'sd2' | 'sdxl';
  /** model_index.json */
  readonly index: Json;
  /** scheduler_config.json */
  readonly scheduler: Json;
  /** Folders to copy, by name; a missing tokenizer is CLIP's own, with its kind's padding. */
  readonly tokenizers: Readonly<Record<string, { readonly folder: string } | { readonly clip: 'end' | '!' }>>;
  /** Set where neither keys nor metadata say what the network predicts: a trial run finds out. */
  readonly askPrediction: boolean;
  /** Sentences for the owner. */
  readonly notes: readonly string[];
}

/** The element type in which a graph takes a stored weight; other types are converted at import. */
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
