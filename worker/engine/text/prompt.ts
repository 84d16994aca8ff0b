/**
 * From a prompt's text to rows of token ids with weights.
 *
 * Emphasis as AUTOMATIC1111's web UI reads it: (x) ×1.1, (x:1.3) ×1.3, [x] ÷1.1, nested ones multiply,
 * \( \) \[ \] are literal, open brackets close at the end, BREAK starts a new row.
 * Rows hold 75 tokens between the two marks; a long prompt becomes several rows, encoded apart and joined, and is
 * cut at a comma that lies no more than 20 tokens before the limit.
 */
import type { Tokenizer } from './tokenizer.ts';

export interface Piece {
  readonly text: string;
  readonly weight: number;
  /** A textual inversion: vectors that replace the text's own tokens. */
  readonly vectors?: readonly Float32Array[];
}

/** Marks a forced new row between two pieces. */
export const breakPiece: Piece = { text: '', weight: Number.NaN };

const emphasisToken = /\\[()[\]\\]|\\|\(|\[|:\s*([+-]?[\d.]+)\s*\)|\)|\]|[^\\()[\]:]+|:/gy;
const step = 1.1;

/** A prompt's pieces with their weights, BREAKs as `breakPiece`; one empty piece for an empty prompt. */
export function parseEmphasis(prompt: string): Piece[] {
  const pieces: { text: string; weight: number }[] = [];
  const round: number[] = [];
  const square: number[] = [];
  const scale = (from: number, factor: number): void => {
    for (const piece of pieces.slice(from)) piece.weight *= factor;
  };
  for (const [token, weight] of prompt.matchAll(emphasisToken)) {
    if (token === '(') round.push(pieces.length);
    else if (token === '[') square.push(pieces.length);
    else if (weight !== undefined && round.length > 0 && Number.isFinite(Number(weight)))
      scale(round.pop()!, Number(weight));
    else if (token === ')' && round.length > 0) scale(round.pop()!, step);
    else if (token === ']' && square.length > 0) scale(square.pop()!, 1 / step);
    else if (token.length === 2 && token.startsWith('\\')) pieces.push({ text: token.slice(1), weight: 1 });
    else {
      token.split(/\s*\bBREAK\b\s*/).forEach((text, i) => {
        if (i > 0) pieces.push({ ...breakPiece });
        pieces.push({ text, weight: 1 });
      });
    }
  }
  for (const from of round) scale(from, step);
  for (const from of square) scale(from, 1 / step);
  return merge(pieces);
}

/** Joins neighbours of equal weight, so that words are tokenised whole. */
function merge(pieces: readonly Piece[]): Piece[] {
  const merged: { text: string; weight: number }[] = [];
  for (const piece of pieces) {
    const previous = merged.at(-1);
    if (isBreak(piece)) merged.push({ ...piece });
    else if (previous && previous.weight === piece.weight) previous.text += piece.text;
    else if (piece.text !== '') merged.push({ ...piece });
  }
  return merged.length > 0 ? merged : [{ text: '', weight: 1 }];
}

/** Whether a piece is a BREAK. */
export const isBreak = (piece: Piece): boolean => Number.isNaN(piece.weight);

/** One row for the text encoder: its ids, marks and padding included, and a weight for each. */
export interface Row {
  readonly ids: readonly number[];
  readonly weights: readonly number[];
  /** Vectors that replace tokens' embeddings, by the token's place in the row, where the id has no effect. */
  readonly vectors?: ReadonlyMap<number, Float32Array>;
}

const commaBacktrack = 20;
/** The id where a vector stands: any but a mark, here CLIP's first character. */
const placeholder = 0;

/** Pieces as rows of the tokenizer's length, at least one. */
export function layOut(pieces: readonly Piece[], tokenizer: Tokenizer): Row[] {
  const room = tokenizer.length - 2;
  const comma = tokenizer.encode(',')[0];
  const rows: Row[] = [];
  let ids: number[] = [];
  let weights: number[] = [];
  let vectors: (Float32Array | undefined)[] = [];
  let lastComma = -1;
  const close = (length: number): void => {
    rows.push(makeRow(ids.slice(0, length), weights.slice(0, length), tokenizer, vectors.slice(0, length)));
    ids = ids.slice(length);
    weights = weights.slice(length);
    vectors = vectors.slice(length);
    lastComma = -1;
  };
  for (const piece of pieces) {
    if (isBreak(piece)) {
      close(ids.length);
      continue;
    }
    if (piece.vectors) {
      // A word's vectors stay in one row.
      if (ids.length + piece.vectors.length > room && ids.length > 0) close(ids.length);
      for (const vector of piece.vectors.slice(0, room)) {
        ids.push(placeholder);
        weights.push(piece.weight);
        vectors.push(vector);
      }
      continue;
    }
    for (const id of tokenizer.encode(piece.text)) {
      if (ids.length === room) {
        const backtrack = id !== comma && lastComma >= 0 && room - lastComma <= commaBacktrack;
        close(backtrack ? lastComma + 1 : room);
      }
      if (id === comma) lastComma = ids.length;
      ids.push(id);
      weights.push(piece.weight);
      vectors.push(undefined);
    }
  }
  if (ids.length > 0 || rows.length === 0) close(ids.length);
  return rows;
}

/** The row of an empty text. */
export const emptyRow = (tokenizer: Tokenizer): Row => makeRow([], [], tokenizer);

function makeRow(
  ids: readonly number[],
  weights: readonly number[],
  tokenizer: Tokenizer,
  vectors: readonly (Float32Array | undefined)[] = [],
): Row {
  const padding = tokenizer.length - 2 - ids.length;
  // Places count from the begin mark.
  const placed = vectors.flatMap((vector, i): [number, Float32Array][] => (vector ? [[i + 1, vector]] : []));
  return {
    ids: [tokenizer.begin, ...ids, tokenizer.end, ...Array<number>(padding).fill(tokenizer.pad)],
    weights: [1, ...weights, ...Array<number>(padding + 1).fill(1)],
    ...(placed.length > 0 ? { vectors: new Map(placed) } : {}),
  };
}
