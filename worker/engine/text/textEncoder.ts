/** A text encoder: rows of token ids to hidden states, weighted, joined and cached. */
import { cutAtWords, type WordEmbedding } from '../adapters/embeddings.ts';
import { EngineError } from '../errors.ts';
import type { Session, Value } from '../onnx/session.ts';
import { concat } from '../onnx/tensor.ts';
import { emptyRow, isBreak, layOut, type Piece, parseEmphasis, type Row } from './prompt.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface Encoded {
  /** tokens × width, row after row. */
  readonly hidden: Float32Array;
  readonly tokens: number;
  readonly width: number;
  /** The pooled vector of the text's first row. */
  readonly pooled: Float32Array;
}

export interface TextEncoder {
  readonly tokenizer: Tokenizer;
  /** The rows of a text; with `emphasis` false brackets are plain characters. */
  rows(text: string, emphasis: boolean): Row[];
  /** Encodes rows, filled up with empty ones to `count`. */
  encode(rows: readonly Row[], count: number): Promise<Encoded>;
  /** Pooled vectors of rows of equal length, in one call where the file takes several. */
  pool(rows: readonly Row[]): Promise<Float32Array[]>;
  readonly session: Session;
  /** Length of a token's vector, where the file says. */
  readonly width: number | undefined;
  /** The same encoder with LoRAs and embeddings. */
  adapted(adaptation: TextAdaptation): TextEncoder;
}

export interface TextAdaptation {
  /** A cache key for all fields below. */
  readonly key: string;
  readonly words: readonly WordEmbedding[];
  /** The session for the LoRAs, with its feeds beyond the plain session's inputs; undefined without LoRAs. */
  readonly open?: () => Promise<{ session: Session; feeds: Readonly<Record<string, Value>> }>;
}

/** The hidden state that conditions the picture: the last (SD 1 and 2), or the last but one (SDXL). */
export type Layer = 'last' | 'penultimate';

const remembered = 64;

/** A text encoder over an opened network. @throws EngineError('bad-model') where it lacks the hidden state */
export function makeTextEncoder(session: Session, tokenizer: Tokenizer, layer: Layer): TextEncoder {
  const hiddenName = hiddenOutput(session, layer);
  const fileWidth = session.outputs.get(hiddenName)!.shape[2];
  const pooledName = ['text_embeds', 'pooler_output', 'pooled_output'].find((name) =>
    session.outputs.has(name),
  );
  const fetch = pooledName === undefined ? [hiddenName] : [hiddenName, pooledName];
  const idsName = session.inputs.has('input_ids') ? 'input_ids' : [...session.inputs.keys()][0]!;
  const placeholders = embeddingFeeds(session, undefined);
  const plain: TextAdaptation = { key: '', words: [] };
  const cache = new Map<string, { hidden: Float32Array; width: number; pooled: Float32Array }>();

  async function encodeRow(row: Row, { key: adaptation, open }: TextAdaptation = plain) {
    const places = row.vectors ? [...row.vectors.keys()].join() : '';
    const key = `${adaptation}#${row.ids.join()}#${places}`;
    const known = cache.get(key);
    if (known) {
      cache.delete(key);
      cache.set(key, known);
      return known;
    }
    const dims = [1, row.ids.length];
    const lastReal = row.ids.indexOf(tokenizer.end, 1);
    const mask = row.ids.map((_, i) => (i <= lastReal ? 1 : 0));
    const adapted = await open?.();
    const output = await (adapted?.session ?? session).run(
      {
        [idsName]: { data: row.ids, dims },
        attention_mask: { data: mask, dims },
        ...embeddingFeeds(session, row.vectors),
        ...adapted?.feeds,
      },
      fetch,
    );
    const hidden = output.get(hiddenName)!;
    const width = hidden.dims.at(-1)!;
    // A model without a pooled output: the hidden state at the end mark.
    const pooled =
      pooledName === undefined
        ? hidden.data.slice(lastReal * width, (lastReal + 1) * width)
        : output.get(pooledName)!.data;
    const result = { hidden: hidden.data, width, pooled };
    cache.set(key, result);
    if (cache.size > remembered) cache.delete(cache.keys().next().value!);
    return result;
  }

  const encoderFor = (adaptation: TextAdaptation): TextEncoder => ({
    tokenizer,
    session,
    width: typeof fileWidth === 'number' ? fileWidth : undefined,
    adapted: encoderFor,
    rows: (text, emphasis) => {
      const pieces: Piece[] = emphasis ? parseEmphasis(text) : [{ text, weight: 1 }];
      return layOut(
        pieces.flatMap((piece) =>
          isBreak(piece)
            ? piece
            : cutAtWords(piece.text, adaptation.words).map((cut) => ({ ...piece, ...cut })),
        ),
        tokenizer,
      );
    },
    async pool(rows) {
      const batch = session.inputs.get(idsName)?.shape[0];
      const others = session.inputs.size - Object.keys(placeholders).length;
      if (pooledName === undefined || typeof batch === 'number' || others > 1)
        return Promise.all(rows.map(async (row) => (await encodeRow(row)).pooled));
      const dims = [rows.length, rows[0]!.ids.length];
      const ids = { data: rows.flatMap((row) => row.ids), dims };
      const output = await session.run({ [idsName]: ids, ...placeholders }, [pooledName]);
      const { data } = output.get(pooledName)!;
      const size = data.length / rows.length;
      return rows.map((_, i) => data.slice(i * size, (i + 1) * size));
    },
    async encode(rows, count) {
      const filled = [...rows];
      while (filled.length < count) filled.push(emptyRow(tokenizer));
      const parts = [];
      for (const row of filled) {
        const { hidden, width, pooled } = await encodeRow(row, adaptation);
        parts.push({ hidden: weigh(hidden, row.weights, width), width, pooled });
      }
      const { width, pooled } = parts[0]!;
      const hidden = concat(parts.map((part) => part.hidden));
      return { hidden, width, tokens: hidden.length / width, pooled };
    },
  });
  return encoderFor(plain);
}

/** Vectors as inputs of our own graphs. @param vectors by the token's place in a single row */
function embeddingFeeds(session: Session, vectors: Row['vectors']): Readonly<Record<string, Value>> {
  const width = session.inputs.get('embedding_rows')?.shape[1];
  if (typeof width !== 'number') {
    if (vectors === undefined) return {};
    throw new EngineError(
      'unsupported',
      `${session.file} takes no embeddings: they need a model that was added from .safetensors`,
      { file: session.file },
    );
  }
  const places = [...(vectors?.keys() ?? [])].flatMap((place) => [0, place]);
  const rows = concat([...(vectors?.values() ?? [])]);
  return {
    embedding_places: { data: places, dims: [places.length / 2, 2] },
    embedding_rows: { data: rows, dims: [rows.length / width, width] },
  };
}

function hiddenOutput(session: Session, layer: Layer): string {
  if (layer === 'penultimate') {
    const numbers = [...session.outputs.keys()]
      .map((name) => /^hidden_states\.(\d+)$/.exec(name)?.[1])
      .filter((n) => n !== undefined)
      .map(Number)
      .sort((a, b) => b - a);
    if (numbers.length < 2) {
      throw new EngineError(
        'bad-model',
        `${session.file} gives no hidden states; export it again with output_hidden_states`,
        { file: session.file },
      );
    }
    return `hidden_states.${numbers[1]}`;
  }
  const name = ['last_hidden_state', 'hidden_states', 'text_embeddings'].find((n) => session.outputs.has(n));
  const fallback = [...session.outputs.values()].find((port) => port.shape.length === 3)?.name;
  const found = name ?? fallback;
  if (found === undefined) {
    throw new EngineError('bad-model', `${session.file} gives no hidden state: is it a text encoder?`, {
      file: session.file,
    });
  }
  return found;
}

/** Hidden states times weights, scaled back to the row's mean before (AUTOMATIC1111's "Original" emphasis). */
function weigh(hidden: Float32Array, weights: readonly number[], width: number): Float32Array {
  if (weights.every((weight) => weight === 1)) return hidden;
  const weighted = hidden.map((value, i) => value * weights[Math.floor(i / width)]!);
  const before = mean(hidden);
  const after = mean(weighted);
  return Math.abs(after) < 1e-8 ? weighted : weighted.map((value) => (value * before) / after);
}

const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length;
