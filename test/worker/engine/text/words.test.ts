import { describe, expect, it } from 'vitest';
import { cutAtWords, type WordEmbedding } from '../../../../worker/engine/adapters/embeddings.ts';
import { layOut } from '../../../../worker/engine/text/prompt.ts';

const vector = (value: number) => Float32Array.of(value);
const word = (token: string, ...values: number[]): WordEmbedding => ({ token, vectors: values.map(vector) });
const words = [word('style', 1), word('my-style', 2, 3), word('<nebula>', 4)];
const cut = (text: string) =>
  cutAtWords(text, words).map(({ text: own, vectors }) => [own, vectors?.length ?? 0]);

describe('words that stand for vectors', () => {
  it('are met whole, in any case, the longer one first', () => {
    expect(cut('a MY-style fox, style')).toEqual([
      ['a ', 0],
      ['MY-style', 2],
      [' fox, ', 0],
      ['style', 1],
    ]);
    expect(cut('lifestyle styles')).toEqual([['lifestyle styles', 0]]);
    expect(cut('x<nebula>y')).toEqual([
      ['x', 0],
      ['<nebula>', 1],
      ['y', 0],
    ]);
    expect(cut('')).toEqual([['', 0]]);
  });

  it('stay together where a row ends, and keep their weight', () => {
    const tokenizer = { encode: () => [7], begin: 1, end: 2, pad: 2, length: 6 };
    const piece = { text: 'x', weight: 1 };
    const rows = layOut(
      [piece, piece, piece, { text: 'w', weight: 1.5, vectors: [vector(1), vector(2)] }],
      tokenizer,
    );
    expect(rows.map(({ ids }) => ids)).toEqual([
      [1, 7, 7, 7, 2, 2],
      [1, 0, 0, 2, 2, 2],
    ]);
    expect([...rows[1]!.vectors!.keys()]).toEqual([1, 2]);
    expect(rows[1]!.weights).toEqual([1, 1.5, 1.5, 1, 1, 1]);
    expect(rows[0]!.vectors).toBeUndefined();
  });
});
