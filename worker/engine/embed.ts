/** Texts and pictures as vectors of length one, where the model's towers meet in one space. */
import type { Row } from './prompt.ts';
import type { TextEncoder } from './textEncoder.ts';
import type { Embeddings, Picture } from './types.ts';

export interface Towers {
  readonly encoders: readonly TextEncoder[];
  readonly encodeImage?: (picture: Picture) => Promise<Float32Array>;
}

export async function embed(
  { encoders, encodeImage }: Towers,
  texts: readonly string[],
  pictures: readonly Picture[],
): Promise<Embeddings> {
  const tower = encoders.at(-1)!;
  const seen: Float32Array[] = [];
  for (const picture of pictures) if (encodeImage) seen.push(unit(await encodeImage(picture)));
  const read: Float32Array[] = [];
  let whole = true;
  for (const text of texts) {
    const rows = tower.rows(text, false);
    let sum: Float32Array | undefined;
    // A long text is several rows to the encoder; each counts the same.
    for (const row of rows) {
      const { pooled } = await tower.encode([shortened(row, tower)], 1);
      whole &&= Math.abs(Math.hypot(...pooled) - 1) < 1e-2;
      const one = unit(pooled);
      sum = sum?.map((value, i) => value + one[i]!) ?? one;
    }
    read.push(unit(sum!));
  }
  // A projection into the common space is called text_embeds, or comes at length one; a bare pooled state is neither.
  const projected = tower.session.outputs.has('text_embeds') || whole;
  const joint = encodeImage !== undefined && projected && (seen[0]?.length ?? -1) === (read[0]?.length ?? -2);
  return { texts: read, pictures: seen, joint };
}

/** Nothing after the end mark changes what stands before it, and padding costs as much as words. */
function shortened(row: Row, { session, tokenizer }: TextEncoder): Row {
  const length = [...session.inputs.values()][0]?.shape[1];
  const end = row.ids.indexOf(tokenizer.end, 1) + 1;
  return typeof length === 'number'
    ? row
    : { ids: row.ids.slice(0, end), weights: row.weights.slice(0, end) };
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}
