/** Texts and pictures as vectors of length one, comparable where the model's towers share a space. */

import { sum } from '../schedulers/plan.ts';
import type { Embeddings, Picture } from '../types.ts';
import type { Row } from './prompt.ts';
import type { TextEncoder } from './textEncoder.ts';

export interface Towers {
  readonly encoders: readonly TextEncoder[];
  readonly encodeImage?: (picture: Picture) => Promise<Float32Array>;
}

/** Vectors of length one for texts and pictures; none for pictures where the model has no image encoder. */
export async function embed(
  { encoders, encodeImage }: Towers,
  texts: readonly string[],
  pictures: readonly Picture[],
): Promise<Embeddings> {
  const tower = encoders.at(-1)!;
  const seen: Float32Array[] = [];
  for (const picture of pictures) if (encodeImage) seen.push(unit(await encodeImage(picture)));
  const rows = texts.map((text) => tower.rows(text, false).map((row) => shortened(row, tower)));
  const pooled = await poolAll(tower, rows.flat());
  const whole = rows.flat().every((row) => Math.abs(Math.hypot(...pooled.get(row)!) - 1) < 1e-2);
  // A long text is several rows; their vectors count alike.
  const read = rows.map((own) => unit(sum(...own.map((row) => [1, unit(pooled.get(row)!)] as const))));
  // Vectors of the common space are called text_embeds or have length one; an unprojected pooled state has neither.
  const projected = tower.session.outputs.has('text_embeds') || whole;
  const joint = encodeImage !== undefined && projected && (seen[0]?.length ?? -1) === (read[0]?.length ?? -2);
  return { texts: read, pictures: seen, joint };
}

const MOST_ROWS = 32;

async function poolAll(tower: TextEncoder, rows: readonly Row[]): Promise<Map<Row, Float32Array>> {
  const byLength = new Map<number, Row[]>();
  for (const row of rows) byLength.set(row.ids.length, [...(byLength.get(row.ids.length) ?? []), row]);
  const pooled = new Map<Row, Float32Array>();
  for (const alike of byLength.values()) {
    for (let from = 0; from < alike.length; from += MOST_ROWS) {
      const batch = alike.slice(from, from + MOST_ROWS);
      const vectors = await tower.pool(batch);
      batch.forEach((row, i) => {
        pooled.set(row, vectors[i]!);
      });
    }
  }
  return pooled;
}

/** The row cut after its end mark: later tokens do not change earlier ones, and padding costs as much as words. */
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
