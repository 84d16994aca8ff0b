import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ElementType, fromHalf, type Weight, type Weights } from '../../engine/index.ts';
import { StoreError } from '../hub/errors.ts';
import { type Dtype, readSafetensors, type Tensor } from './safetensors.ts';

/** The weights of one part of a model in diffusers' layout, out of one file or several. */
export interface PartWeights {
  readonly dir: string;
  /** Names of the files that hold them. */
  readonly files: readonly string[];
  readonly find: Weights;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const types: Partial<Record<Dtype, ElementType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
};

/**
 * Takes full precision where there is a choice; reads all files of a network that is cut into several.
 * @throws StoreError('damaged') where there is no .safetensors file, or one of a set is missing
 */
export async function readPartWeights(dir: string): Promise<PartWeights> {
  const files = chooseFiles(dir, await readdir(dir).catch(() => []));
  const tensors = new Map<string, Tensor>();
  const places = new Map<string, string>();
  for (const file of files) {
    for (const [name, tensor] of (await readSafetensors(join(dir, file))).tensors) {
      tensors.set(name, tensor);
      places.set(name, file);
    }
  }
  const find = (name: string): Weight | undefined => {
    const tensor = tensors.get(name);
    const type = tensor && types[tensor.dtype];
    if (!type) return undefined;
    const { shape, offset, length } = tensor;
    return { type, shape, location: places.get(name)!, offset, length };
  };
  return { dir, files, find, tensors };
}

const stems = ['diffusion_pytorch_model', 'model', 'diffusion_pytorch_model.fp16', 'model.fp16'];

function chooseFiles(dir: string, names: readonly string[]): string[] {
  for (const stem of stems) {
    if (names.includes(`${stem}.safetensors`)) return [`${stem}.safetensors`];
    const pieces = names.filter((name) => new RegExp(`^${stem}-\\d{5}-of-\\d{5}\\.safetensors$`).test(name));
    if (pieces.length === 0) continue;
    const count = Number(/-of-(\d{5})/.exec(pieces[0]!)![1]);
    if (pieces.length === count) return pieces.sort();
    throw new StoreError(
      'damaged',
      `${dir} holds ${pieces.length} of ${count} files of ${stem}. Fetch it again.`,
    );
  }
  const pickle = names.find((name) => /\.(bin|ckpt|pt|pth)$/.test(name));
  throw new StoreError(
    'damaged',
    pickle
      ? `${join(dir, pickle)} is a pickle, which can run code of strangers: the weights are wanted as .safetensors.`
      : `${dir} holds no .safetensors file. Fetch the model again.`,
  );
}

/** A small weight as numbers. @throws StoreError('damaged') where it is missing */
export async function readNumbers({ dir, tensors }: PartWeights, name: string): Promise<number[]> {
  const tensor = tensors.get(name);
  if (!tensor || !['F32', 'F16'].includes(tensor.dtype) || tensor.length > 1 << 20)
    throw new StoreError('damaged', `${dir} has no usable weight ${name}.`);
  const handle = await open(tensor.file, 'r');
  try {
    const bytes = new Uint8Array(tensor.length);
    await handle.read(bytes, 0, tensor.length, tensor.offset);
    return tensor.dtype === 'F32'
      ? [...new Float32Array(bytes.buffer)]
      : [...fromHalf(new Uint16Array(bytes.buffer))];
  } finally {
    await handle.close();
  }
}
