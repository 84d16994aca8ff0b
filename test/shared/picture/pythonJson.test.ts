import { describe, expect, it } from 'vitest';
import { parsePythonJson } from '../../../shared/picture/foreign/pythonJson.ts';
import { parsePythonJson as parseInEngine } from '../../../worker/engine/schedulers/config.ts';

/**
 * The engine imports nothing of ours, and shared nothing of the engine's: so each has a reader, and this table runs
 * through both. Long whole numbers, which no model's config has, are shared's alone.
 */
const readers = { shared: parsePythonJson, engine: parseInEngine };

describe.each(Object.entries(readers))('JSON as Python writes it, read by %s', (_, parse) => {
  it.each<[string, string, unknown]>([
    ['NaN', '{"a": NaN}', { a: Number.NaN }],
    ['infinities', '[Infinity, -Infinity, 1e3]', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1000]],
    ['alone', 'NaN', Number.NaN],
    ['words', '{"NaN": "NaN bread, -Infinity"}', { NaN: 'NaN bread, -Infinity' }],
    ['quotes in words', '["a \\"NaN\\" \\\\", NaN]', ['a "NaN" \\', Number.NaN]],
    ['numbers', '[1, -2.5, 0.1e-7, 12345678901.5]', [1, -2.5, 0.1e-7, 12345678901.5]],
    ['escapes', '["\\ud83e\\udd8a \\n"]', ['🦊 \n']],
  ])('%s', (_, text, value) => {
    expect(parse(text)).toEqual(value);
  });

  it.each(['', '{', '{"a": nan}', "{'a': 1}", '[1,]'])('%s is none', (text) => {
    expect(() => parse(text)).toThrow(SyntaxError);
  });
});

it('whole numbers of any length, in words and out of them', () => {
  expect(
    parsePythonJson('[9007199254740991, 9007199254740993, -9223372036854775808, "9223372036854775807"]'),
  ).toEqual([9007199254740991, 9007199254740993n, -9223372036854775808n, '9223372036854775807']);
  expect(parsePythonJson('\ufeff{"a": 12345678901234567.5, "b": "\\u0000x"}')).toEqual({
    a: Number('12345678901234567.5'),
    b: '\0x',
  });
});
