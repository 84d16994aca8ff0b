/** Makes a model's folder from a source: graphs, configs, tokenizers, and links to the publisher's files. */
import { constants } from 'node:fs';
import { copyFile, cp, link, mkdir, open, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  buildNetwork,
  type ElementType,
  EngineError,
  indexOf,
  type Weight,
  weightIndexFile,
} from '../../engine/index.ts';
import type { Json } from '../hub/defaults.ts';
import { StoreError } from '../hub/errors.ts';
import { needSpace } from '../hub/stagingFolder.ts';
import { writeClipTokenizer } from './clipTokenizer.ts';
import { halfFloatsOf, widenFloat8 } from './float8.ts';
import { elementTypeOf, type FoundWeight, isFloat8, type Source, type SourcePart } from './modelSource.ts';

/**
 * Writes the folder of a model into `target`, which is empty. Weights are hard links to the files they came in (a
 * copy, once, where those lie on another disk); float8 alone is converted, once, into a file of its own.
 * @param onCopy told of a file before it is copied
 * @throws StoreError naming the weight that is missing or stored in a type that cannot be used
 */
export async function installSource(
  source: Source,
  target: string,
  { signal, onCopy }: { signal?: AbortSignal; onCopy?: (file: string, bytes: number) => void } = {},
): Promise<void> {
  const files = new LinkedFiles(target, onCopy);
  for (const part of source.parts) {
    signal?.throwIfAborted();
    await installPart(source.from, part, join(target, part.part), files);
  }
  await mkdir(join(target, 'scheduler'), { recursive: true });
  await writeJson(join(target, 'model_index.json'), source.index);
  await writeJson(join(target, 'scheduler', 'scheduler_config.json'), source.scheduler);
  for (const [name, from] of Object.entries(source.tokenizers)) {
    const folder = join(target, name);
    await mkdir(folder, { recursive: true });
    // In a hub's cache the files are links; the model holds the files themselves.
    if ('folder' in from)
      await cp(from.folder, folder, {
        recursive: true,
        dereference: true,
        filter: (path) => !path.endsWith('.md'),
      });
    else await writeClipTokenizer(folder, from.clip);
  }
}

export const writeJson = (file: string, value: unknown): Promise<void> =>
  writeFile(file, `${JSON.stringify(value, null, 2)}\n`);

async function installPart(
  from: string,
  part: SourcePart,
  folder: string,
  files: LinkedFiles,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const weights = new Map<string, Weight>();
  const float8: [name: string, tensor: FoundWeight][] = [];
  const names = new LocalNames();
  const find = (name: string): Weight | undefined => {
    const known = weights.get(name);
    if (known) return known;
    const found = part.find(name);
    if (!found) return undefined;
    let weight: Weight;
    if (isFloat8(found)) {
      const offset = float8.reduce((sum, [, { length }]) => sum + 2 * length, 0);
      float8.push([name, found]);
      weight = place(found, 'float16', convertedFile, offset, 2 * found.length);
    } else weight = place(found, elementType(found, name), names.of(found.file), found.offset, found.length);
    weights.set(name, weight);
    return weight;
  };
  const { bytes } = build(from, part, find);
  await writeFile(join(folder, 'model.onnx'), bytes);
  await writeJson(join(folder, 'config.json'), part.config as Json);
  await writeFile(join(folder, weightIndexFile), JSON.stringify(indexOf(part.network, weights)));
  for (const [file, name] of names.all) await files.put(file, join(folder, name));
  if (float8.length > 0)
    await convert(
      float8.map(([, tensor]) => tensor),
      join(folder, convertedFile),
    );
}

const convertedFile = 'float16.bin';

function build(from: string, part: SourcePart, find: (name: string) => Weight | undefined) {
  try {
    return buildNetwork(part.network, part.config, find);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const code = error.code === 'unsupported' ? 'unsupported' : 'damaged';
    throw new StoreError(code, `${from}: ${part.part}: ${error.message}.`, { cause: error });
  }
}

const place = (
  { shape, transposed }: FoundWeight,
  type: ElementType,
  location: string,
  offset: number,
  length: number,
): Weight => ({ type, shape, location, offset, length, ...(transposed ? { transposed } : {}) });

function elementType({ dtype, file }: FoundWeight, name: string): ElementType {
  const type = (elementTypeOf as Readonly<Record<string, ElementType>>)[dtype];
  if (type) return type;
  throw new StoreError(
    'unsupported',
    `${file}: ${name} is stored as ${dtype} (a quantised model?). Take the one in float32, float16, bfloat16 or float8.`,
  );
}

/** Names of one part's files beside its graph. */
class LocalNames {
  readonly all = new Map<string, string>();

  of(file: string): string {
    let name = this.all.get(file);
    if (name === undefined) {
      name = this.all.size === 0 ? 'weights.safetensors' : `weights-${this.all.size + 1}.safetensors`;
      this.all.set(file, name);
    }
    return name;
  }
}

/** ONNX Runtime reads no weights outside of the graph's folder, so a file of several parts is linked into each. */
class LinkedFiles {
  readonly #target: string;
  /** Where a file that could not be linked was copied to. */
  readonly #copies = new Map<string, string>();

  readonly #onCopy: ((file: string, bytes: number) => void) | undefined;

  constructor(target: string, onCopy: ((file: string, bytes: number) => void) | undefined) {
    this.#target = target;
    this.#onCopy = onCopy;
  }

  async put(from: string, to: string): Promise<void> {
    // In a hub's cache files are links, and a hard link to a link is a link, too.
    const source = this.#copies.get(from) ?? (await realpath(from));
    if (await linked(source, to)) return;
    const bytes = await sizeOf(from);
    await needSpace(this.#target, bytes);
    this.#onCopy?.(from, bytes);
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    this.#copies.set(from, to);
  }
}

/** Errors of linking (other disks, other owners' files, file systems without links) after which the file is copied. */
const unlinkable = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (!unlinkable.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return false;
  }
}

async function sizeOf(file: string): Promise<number> {
  const handle = await open(file, 'r');
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** Converts tensor by tensor, in pieces. */
async function convert(tensors: readonly FoundWeight[], to: string): Promise<void> {
  const output = await open(to, 'wx');
  const piece = Buffer.alloc(1 << 22);
  try {
    for (const { file, dtype, offset, length } of tensors) {
      const table = halfFloatsOf(dtype as 'F8_E4M3' | 'F8_E5M2');
      const input = await open(file, 'r');
      try {
        for (let at = 0; at < length; ) {
          const { bytesRead } = await input.read(piece, 0, Math.min(piece.length, length - at), offset + at);
          if (bytesRead === 0) throw new StoreError('damaged', `${file} became shorter while it was read.`);
          await output.writeFile(widenFloat8(piece.subarray(0, bytesRead), table));
          at += bytesRead;
        }
      } finally {
        await input.close();
      }
    }
    await output.sync();
  } finally {
    await output.close();
  }
}
