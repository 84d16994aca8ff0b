import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHalf, toHalf } from '../../../../worker/engine/onnx/tensor.ts';
import { parsePythonJson } from '../../../../worker/engine/schedulers/config.ts';
import { layOut, parseEmphasis } from '../../../../worker/engine/text/prompt.ts';
import { loadTokenizer } from '../../../../worker/engine/text/tokenizer.ts';
import { modelDir } from '../../../support/reference.ts';

const tokenizer = loadTokenizer(path.join(modelDir('sd15'), 'tokenizer'));

describe('emphasis', () => {
  it("is read as in AUTOMATIC1111's own example", () => {
    const pieces = parseEmphasis('a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).');
    const rounded = pieces.map(({ text, weight }) => [text, Math.round(weight * 1e4) / 1e4]);
    expect(rounded).toEqual([
      ['a ', 1],
      ['house', 1.573],
      [' ', 1.1],
      ['on', 1],
      [' a ', 1.1],
      ['hill', 0.55],
      [', sun, ', 1.1],
      ['sky', 1.4641],
      ['.', 1.1],
    ]);
  });

  it('takes escaped brackets, lone ones and odd numbers for text', () => {
    expect(parseEmphasis('\\(a\\) b] c)')).toEqual([{ text: '(a) b] c)', weight: 1 }]);
    expect(parseEmphasis('8:30')).toEqual([{ text: '8:30', weight: 1 }]);
    expect(parseEmphasis('')).toEqual([{ text: '', weight: 1 }]);
  });

  it('never fails, and gives finite weights', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('(', ')', '[', ']', ':', '1', '.', 'a', '\\', ' ', 'BREAK') }),
        (text) => {
          const pieces = parseEmphasis(text);
          expect(pieces.length).toBeGreaterThan(0);
          expect(pieces.every(({ weight }) => weight !== Number.POSITIVE_INFINITY)).toBe(true);
        },
      ),
    );
  });
});

describe('special tokens', () => {
  // Ids from transformers 5.18's CLIPTokenizer over the same folders.
  it('cut the text where the padding is a character that people type', () => {
    const second = loadTokenizer(path.join(modelDir('sdxl'), 'tokenizer_2'));
    expect(second.pad).toBe(0);
    expect(second.encode('hello world! wow')).toEqual([71, 856, 75, 334, 86, 587, 607, 0, 86, 78, 342]);
    const first = loadTokenizer(path.join(modelDir('sdxl'), 'tokenizer'));
    expect(first.encode('hello world! wow')).toEqual([71, 856, 75, 334, 86, 587, 607, 256, 86, 78, 342]);
  });
});

describe('rows', () => {
  const plain = (text: string) => layOut([{ text, weight: 1 }], tokenizer);

  it('are one of full length for a short prompt', () => {
    const [row, ...more] = plain('a castle');
    expect(more).toEqual([]);
    expect(row!.ids.length).toBe(77);
    expect(row!.ids[0]).toBe(tokenizer.begin);
    expect(row!.ids.at(-1)).toBe(tokenizer.pad);
  });

  it('hold every token of a long one, in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('castle', 'night,', ',', 'fox', 'snow'), { maxLength: 200 }),
        (words) => {
          const text = words.join(' ');
          const rows = plain(text);
          const inner = rows.flatMap(({ ids }) => ids.slice(1, ids.indexOf(tokenizer.end, 1)));
          expect(inner).toEqual(tokenizer.encode(text));
          expect(rows.every(({ ids, weights }) => ids.length === 77 && weights.length === 77)).toBe(true);
        },
      ),
    );
  });

  it('are cut behind a comma that lies near', () => {
    const [first] = plain(`${'a '.repeat(65)}, ${'fox '.repeat(20)}`);
    const length = first!.ids.indexOf(tokenizer.end, 1) - 1;
    expect(length).toBe(66);
  });

  it('begin anew at BREAK', () => {
    expect(layOut(parseEmphasis('a castle BREAK a fox'), tokenizer).length).toBe(2);
  });
});

it('tokenizes alike from tokenizer.json and from vocab.json with merges.txt', () => {
  const older = loadTokenizer(path.join(modelDir('sd-turbo'), 'tokenizer'));
  expect({ ...older, encode: 0 }).toEqual({ ...tokenizer, encode: 0 });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.lorem()), (text) => {
      expect(older.encode(text)).toEqual(tokenizer.encode(text));
    }),
  );
  expect(loadTokenizer(path.join(modelDir('sdxl'), 'tokenizer_2')).pad).toBe(0);
});

it('reads JSON as Python writes it', () => {
  const text = '{"a": -Infinity, "b": [NaN, 1, Infinity], "c": "NaN \\" -Infinity", "d": null}';
  expect(parsePythonJson(text)).toEqual({
    a: -Infinity,
    b: [Number.NaN, 1, Infinity],
    c: 'NaN " -Infinity',
    d: null,
  });
});

describe('half floats', () => {
  it('go there and back for every bit pattern', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const back = toHalf(fromHalf(all));
    const isNaN16 = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    for (let i = 0; i < 65536; i++) if (!isNaN16(i)) expect(back[i]).toBe(i);
  });

  it('round to the nearest, halves to even, and overflow to infinity', () => {
    const cases: [number, number][] = [
      [1 + 2 ** -11, 1],
      [1 + 3 * 2 ** -11, 1 + 2 ** -9],
      [65519, 65504],
      [65520, Infinity],
      [2 ** -25, 0],
      [2 ** -25 * 1.01, 2 ** -24],
      [-0.1, -0.0999755859375],
    ];
    for (const [value, expected] of cases) expect(fromHalf(toHalf(Float32Array.of(value)))[0]).toBe(expected);
  });
});
