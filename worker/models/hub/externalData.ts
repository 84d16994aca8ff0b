import { type FileHandle, open } from 'node:fs/promises';
import { StoreError } from './errors.ts';

/**
 * Reads from an ONNX file only which other files hold its weights, and how long those must be: ModelProto.graph
 * (field 7) → initializer (5) → TensorProto.external_data (13). Weights inside the file are skipped, not read.
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 * @returns location → bytes needed
 * @throws StoreError('damaged') for a file that is cut short or is no protobuf
 */
export async function externalData(path: string): Promise<Map<string, number>> {
  const handle = await open(path, 'r');
  try {
    const reader = new Reader(handle, (await handle.stat()).size, path);
    const needed = new Map<string, number>();
    let graphs = 0;
    for await (const model of reader.fields(0, reader.size)) {
      if (model.field !== 7 || model.wire !== 2) continue;
      graphs++;
      for await (const graph of reader.fields(model.start, model.end)) {
        if (graph.field !== 5 || graph.wire !== 2) continue;
        const entries = await readEntries(reader, graph);
        const location = entries.get('location');
        if (location === undefined) continue;
        const end = Number(entries.get('offset') ?? 0) + Number(entries.get('length') ?? 0);
        needed.set(location, Math.max(needed.get(location) ?? 0, end));
      }
    }
    if (graphs === 0) throw reader.broken();
    return needed;
  } finally {
    await handle.close();
  }
}

async function readEntries(reader: Reader, tensor: Field): Promise<Map<string, string>> {
  const entries = new Map<string, string>();
  for await (const { field, wire, start, end } of reader.fields(tensor.start, tensor.end)) {
    if (field !== 13 || wire !== 2) continue;
    const pair: Record<number, string> = {};
    for await (const part of reader.fields(start, end)) {
      if (part.wire === 2) pair[part.field] = await reader.text(part.start, part.end);
    }
    entries.set(pair[1] ?? '', pair[2] ?? '');
  }
  return entries;
}

interface Field {
  readonly field: number;
  readonly wire: number;
  readonly start: number;
  readonly end: number;
}

/** Reads a file in windows: the few bytes needed lie between tensors of gigabytes. */
class Reader {
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #window = Buffer.alloc(1 << 14);
  #from = 0;
  #length = 0;

  constructor(handle: FileHandle, size: number, path: string) {
    this.#handle = handle;
    this.#path = path;
    this.size = size;
  }

  broken(): StoreError {
    return new StoreError('damaged', `${this.#path} is no whole ONNX file: cut short, or another format.`);
  }

  async *fields(start: number, end: number): AsyncGenerator<Field> {
    for (let at = start; at < end; ) {
      const [key, afterKey] = await this.#varint(at);
      const wire = key & 7;
      let from = afterKey;
      let to = afterKey;
      if (wire === 0) [, to] = await this.#varint(afterKey);
      else if (wire === 1) to += 8;
      else if (wire === 5) to += 4;
      else if (wire === 2) {
        const [length, afterLength] = await this.#varint(afterKey);
        from = afterLength;
        to = afterLength + length;
      } else throw this.broken();
      if (to > end) throw this.broken();
      yield { field: Math.floor(key / 8), wire, start: from, end: to };
      at = to;
    }
  }

  async text(start: number, end: number): Promise<string> {
    if (end - start > 4096) throw this.broken();
    const bytes = Buffer.alloc(end - start);
    await this.#handle.read(bytes, 0, bytes.length, start);
    return bytes.toString('utf8');
  }

  /** Arithmetic instead of shifts: lengths go beyond 2^31. */
  async #varint(start: number): Promise<[value: number, end: number]> {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = await this.#byte(start + i);
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return [value, start + i + 1];
    }
    throw this.broken();
  }

  async #byte(at: number): Promise<number> {
    if (at < this.#from || at >= this.#from + this.#length) {
      const { bytesRead } = await this.#handle.read(this.#window, 0, this.#window.length, at);
      if (bytesRead === 0) throw this.broken();
      this.#from = at;
      this.#length = bytesRead;
    }
    return this.#window[at - this.#from]!;
  }
}
