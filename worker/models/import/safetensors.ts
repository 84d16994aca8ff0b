/**
 * Reads the index of a .safetensors file: eight bytes with the header's length, the header (JSON: name → type, shape,
 * range of bytes), the bytes. https://github.com/huggingface/safetensors#format
 * Files come from strangers: the index is checked against the file before it is used, and nothing but the index is
 * read.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { messageOf } from '../../../shared/service/errors.ts';
import { StoreError } from '../hub/errors.ts';

/** Bytes of an element. */
const itemSizes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof itemSizes;

export interface Tensor {
  /** The file it lies in. */
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Of the tensor's first byte in the file. */
  readonly offset: number;
  /** The tensor's length in bytes. */
  readonly length: number;
}

export interface TensorFile {
  readonly file: string;
  readonly bytes: number;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** `__metadata__`, written by the file's maker. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The reference implementation's limit. */
const longestHeader = 100_000_000;
const deepestNesting = 8;

/** @throws StoreError('damaged') in one line that names the file and what is wrong with it */
export async function readSafetensors(file: string): Promise<TensorFile> {
  const handle = await open(file, 'r').catch((error) => {
    throw new StoreError('usage', `${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, {
      cause: error,
    });
  });
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new Refused('it is no file');
    const { json, end } = await readHeader(handle, info.size);
    return { file, bytes: info.size, ...readIndex(json, file, end, info.size) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new StoreError('damaged', `${file} is not a sound .safetensors file: ${error.message}.`);
  } finally {
    await handle.close();
  }
}

class Refused extends Error {}

async function readHeader(handle: FileHandle, size: number): Promise<{ json: unknown; end: number }> {
  if (size === 0) throw new Refused('it is empty');
  const head = await readBytes(handle, 0, Math.min(8, size));
  if (isPickle(head)) throw new Refused('it is a pickle (.ckpt, .pt, .bin) under another name');
  if (head.length < 8) throw new Refused(`it ends after ${size} bytes`);
  const length = head.readBigUInt64LE();
  if (length > BigInt(Math.min(longestHeader, size - 8)))
    throw new Refused(`its header would be ${length} bytes long, the file is ${size}`);
  const bytes = await readBytes(handle, 8, Number(length));
  if (bytes[0] !== 0x7b) throw new Refused('its header is no JSON object');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Refused('its header is no UTF-8');
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw new Refused(`its header names ${JSON.stringify(twice)} twice`);
  try {
    return { json: JSON.parse(text), end: 8 + Number(length) };
  } catch (error) {
    throw new Refused(`its header is no JSON (${messageOf(error).slice(0, 80)})`);
  }
}

/** A zip (torch since 1.6), or a pickle's protocol byte. */
const isPickle = (head: Buffer): boolean =>
  head.subarray(0, 4).equals(Buffer.from('PK\x03\x04')) ||
  (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5);

async function readBytes(handle: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, from + at);
    if (bytesRead === 0) throw new Refused('it ends within its header');
    at += bytesRead;
  }
  return bytes;
}

/**
 * Walks the JSON text once before JSON.parse, which silently keeps the last of two equal keys and recurses as deep as
 * the text is nested.
 * @returns the first key that occurs twice in an object
 */
function repeatedKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  const strings = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs;
  for (const [token, colon] of text.matchAll(strings)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined);
      if (open.length > deepestNesting)
        throw new Refused(`its header nests more than ${deepestNesting} deep`);
    } else if (token === '}' || token === ']') open.pop();
    else if (colon !== undefined) {
      const key = token.slice(1, token.lastIndexOf('"'));
      const plain = key.includes('\\') ? readKey(key) : key;
      if (open.at(-1)?.has(plain)) return plain;
      open.at(-1)?.add(plain);
    }
  }
  return undefined;
}

function readKey(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    throw new Refused('its header is no JSON');
  }
}

function readIndex(
  json: unknown,
  file: string,
  start: number,
  size: number,
): Pick<TensorFile, 'tensors' | 'metadata'> {
  const { __metadata__: metadata = {}, ...entries } = json as Record<string, unknown>;
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(entries))
    tensors.set(name, readTensor(name, entry, file, start, size));
  refuseOverlaps(tensors);
  return { tensors, metadata: readMetadata(metadata) };
}

function readTensor(name: string, entry: unknown, file: string, start: number, size: number): Tensor {
  const quoted = JSON.stringify(name.slice(0, 100));
  if (typeof entry !== 'object' || entry === null) throw new Refused(`${quoted} is described by no object`);
  const { dtype, shape, data_offsets: range } = entry as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(itemSizes, dtype))
    throw new Refused(`${quoted} is of the unknown type ${JSON.stringify(dtype)}`);
  if (!isCounts(shape) || shape.length > 32) throw new Refused(`${quoted} has no sensible shape`);
  if (!isCounts(range) || range.length !== 2) throw new Refused(`${quoted} has no sensible range of bytes`);
  const [from, to] = range as [number, number];
  const elements = shape.reduce((product, side) => product * side, 1);
  const length = elements * itemSizes[dtype as Dtype];
  if (!Number.isSafeInteger(length))
    throw new Refused(`${quoted} would have more elements than can be counted`);
  if (start + to > size)
    throw new Refused(`${quoted} ends at byte ${start + to} of ${size}: the file is cut short`);
  if (to - from !== length)
    throw new Refused(
      `${quoted} has ${to - from} bytes where ${dtype} [${shape.join(', ')}] needs ${length}`,
    );
  return { file, dtype: dtype as Dtype, shape, offset: start + from, length };
}

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);

function refuseOverlaps(tensors: ReadonlyMap<string, Tensor>): void {
  const sorted = [...tensors]
    .filter(([, { length }]) => length > 0)
    .sort(([, a], [, b]) => a.offset - b.offset);
  for (const [i, [name, { offset }]] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before[1].offset + before[1].length > offset)
      throw new Refused(`${JSON.stringify(before[0])} and ${JSON.stringify(name)} share bytes`);
  }
}

function readMetadata(metadata: unknown): Record<string, string> {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw new Refused('its __metadata__ is no object');
  const texts = Object.entries(metadata).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(texts);
}
