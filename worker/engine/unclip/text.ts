/** A text for models with a picture embedding: one row of tokens, cut at its end. */
import { encodeBlend } from '../text/conditioning.ts';
import { type Piece, parseEmphasis, type Row } from '../text/prompt.ts';
import type { TextEncoder } from '../text/textEncoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { PromptPart } from '../types.ts';

export interface Told {
  /** The text's embedding, in the space of picture embeddings. */
  readonly embedding: Float32Array;
  /** tokens × width */
  readonly hidden: Float32Array;
  readonly tokens: number;
  readonly width: number;
  /** 1 for every token up to the first end mark, 0 for the padding; a network takes it as booleans. */
  readonly mask: readonly number[];
}

/** Several parts are blended by weight; a token is visible where it is visible in one of them. */
export async function readText(
  encoder: TextEncoder,
  parts: readonly PromptPart[],
  emphasis: boolean,
): Promise<Told> {
  const { tokenizer } = encoder;
  const oneRow = (text: string, weighted: boolean): Row[] => [
    cutRow(weighted ? parseEmphasis(text) : [{ text, weight: 1 }], tokenizer),
  ];
  const encoded = await encodeBlend({ ...encoder, rows: oneRow }, parts, emphasis, 1);
  const mask = Array<number>(tokenizer.length).fill(0);
  for (const { text } of parts) {
    const [row] = oneRow(text, emphasis) as [Row];
    mask.fill(1, 0, row.ids.indexOf(tokenizer.end, 1) + 1);
  }
  return {
    embedding: encoded.pooled,
    hidden: encoded.hidden,
    tokens: encoded.tokens,
    width: encoded.width,
    mask,
  };
}

/** transformers' truncation: a text that is too long loses its end and keeps the end mark. */
function cutRow(pieces: readonly Piece[], tokenizer: Tokenizer): Row {
  const room = tokenizer.length - 2;
  const ids: number[] = [];
  const weights: number[] = [];
  for (const piece of pieces) {
    if (Number.isNaN(piece.weight)) continue;
    for (const id of tokenizer.encode(piece.text).slice(0, room - ids.length)) {
      ids.push(id);
      weights.push(piece.weight);
    }
  }
  const padding = room - ids.length;
  return {
    ids: [tokenizer.begin, ...ids, tokenizer.end, ...Array<number>(padding).fill(tokenizer.pad)],
    weights: [1, ...weights, ...Array<number>(padding + 1).fill(1)],
  };
}
