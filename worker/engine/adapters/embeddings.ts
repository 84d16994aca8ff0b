/**
 * Textual inversions (Gal et al., 2022): a word of the prompt that stands for vectors of its own. Files: `emb_params`
 * (AUTOMATIC1111), one tensor under the word's name (diffusers), `clip_l` and `clip_g` (SDXL's two encoders).
 */
import path from 'node:path';
import { badRequest, EngineError } from '../errors.ts';
import { elements, readFloats, type StoredTensor, type TensorSource } from './tensorSource.ts';

export interface EmbeddingUse {
  /** The word that stands in the prompt; case does not matter. */
  readonly token: string;
  readonly source: TensorSource;
  /** Of the file, in hex; computed where left out. */
  readonly sha256?: string;
}

/** One word's vectors for one text encoder, [count, width]. */
export interface WordEmbedding {
  readonly token: string;
  readonly vectors: readonly Float32Array[];
}

/**
 * @param widths of the text encoders' vectors, in their order
 * @returns one word for each text encoder
 * @throws EngineError('bad-adapter') which names the file, and the form or width that does not fit
 */
export function readEmbedding(
  { token, source }: EmbeddingUse,
  widths: readonly number[],
  model: { readonly name: string; readonly base: string },
): WordEmbedding[] {
  if (token.trim() !== token || token === '' || token.length > 200)
    throw badRequest(
      `${JSON.stringify(token)} cannot stand for an embedding: no spaces around it, 1 to 200 signs`,
    );
  const refuse = (why: string): EngineError =>
    new EngineError('bad-adapter', `${path.basename(source.file)} cannot be used as an embedding: ${why}`, {
      file: source.file,
    });
  const { tensors } = source;
  const [l, g] = [tensors.get('clip_l'), tensors.get('clip_g')];
  const single = tensors.get('emb_params') ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined);
  let stored: readonly StoredTensor[];
  if (l && g) stored = [l, g];
  else if (single) stored = [single];
  else throw refuse(`it holds ${tensors.size} tensors, and neither emb_params nor clip_l and clip_g`);
  if (stored.length !== widths.length) {
    const own = stored.length === 2 ? 'SDXL' : 'a model with one text encoder';
    throw refuse(`it is made for ${own}, and ${model.name} is a ${model.base} model`);
  }
  return stored.map((tensor, i) => {
    const { data } = readFloats(tensor);
    const width = widths[i]!;
    const own = tensor.shape.at(-1) ?? 0;
    const count = elements(tensor.shape) / (own || 1);
    if (own !== width || tensor.shape.length > 2 || count < 1 || count > 75)
      throw refuse(
        `its vectors are ${tensor.shape.join('×')}, those of ${model.name} (${model.base}) ${width} wide, at most 75 of them`,
      );
    return {
      token,
      vectors: Array.from({ length: count }, (_, row) => data.slice(row * width, (row + 1) * width)),
    };
  });
}

export interface Cut {
  readonly text: string;
  readonly vectors?: readonly Float32Array[];
}

/**
 * Cuts a text at the words of embeddings. A word matches in any case, as a whole: no letter, digit or _ on either side;
 * where two words match, the longer one counts.
 */
export function cutAtWords(text: string, words: readonly WordEmbedding[]): Cut[] {
  if (words.length === 0) return [{ text }];
  const longestFirst = [...words].sort((a, b) => b.token.length - a.token.length);
  const pattern = longestFirst
    .map(({ token }) => {
      const escaped = token.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
      const before = /^[\p{L}\p{N}_]/u.test(token) ? '(?<![\\p{L}\\p{N}_])' : '';
      const after = /[\p{L}\p{N}_]$/u.test(token) ? '(?![\\p{L}\\p{N}_])' : '';
      return `(${before}${escaped}${after})`;
    })
    .join('|');
  const cuts: Cut[] = [];
  let done = 0;
  for (const match of text.matchAll(new RegExp(pattern, 'giu'))) {
    const which = match.slice(1).findIndex((group) => group !== undefined);
    if (match.index > done) cuts.push({ text: text.slice(done, match.index) });
    cuts.push({ text: match[0], vectors: longestFirst[which]!.vectors });
    done = match.index + match[0].length;
  }
  if (done < text.length || cuts.length === 0) cuts.push({ text: text.slice(done) });
  return cuts;
}
