import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PARAMETERS, type ParameterSpec } from '../../../shared/picture/params.ts';
import { caretLines, MAX_LENGTH, parsePrompt, printPrompt } from '../../../shared/prompt/index.ts';
import { mapped } from '../../../shared/prompt/mappedText.ts';
import { sanitise } from '../../../shared/prompt/sanitise.ts';
import { models } from './models.ts';

/** Pieces that mean something to the parser, among text of every script. */
const names = (PARAMETERS as readonly ParameterSpec[]).flatMap(({ name, aliases }) => [name, ...aliases]);
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  { weight: 3, arbitrary: fc.constantFrom(...names).map((name) => ` --${name} `) },
  {
    weight: 2,
    arbitrary: fc.oneof(fc.integer(), fc.float({ noNaN: true }), fc.nat(100)).map((n) => ` ${n} `),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...['{', '}', ',', '\\,', '\\{', '\\', '::', '::2 ', '::-.5', '—', '–ar ', '--', ' ', '\n', ' 3:2 '],
      ...[
        '<https://a.example/x.png> ',
        ' https://b.example/{y}',
        'raw',
        '\u200d',
        '\ufe0f',
        '\u0301',
        '\u202e',
      ],
      ...['👩‍🚀', 'می‌خواهم', 'क्ष', '한', '\u1112\u1161', '\u{e0041}', '\ud800', ':', '"'],
    ),
  },
);
const prompt = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(''));

describe('for any text', () => {
  it('parses what it printed to the same prompt', () => {
    let taken = 0;
    fc.assert(
      fc.property(prompt, (input) => {
        const result = parsePrompt(input, { models });
        if (!result.ok) return;
        for (const parsed of result.prompts) {
          taken++;
          expect(printPrompt(parsed)).toBe(parsed.text);
          expect(parsePrompt(parsed.text, { models })).toEqual({ ok: true, prompts: [parsed] });
        }
      }),
      { numRuns: 4000 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  it('points at places inside the text, in order, and draws them', () => {
    fc.assert(
      fc.property(prompt, (input) => {
        const result = parsePrompt(input, { models });
        if (result.ok) return;
        expect(result.problems.length).toBeGreaterThan(0);
        let last = 0;
        for (const { start, end } of result.problems) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(end).toBeLessThanOrEqual(input.length);
          last = start;
        }
        expect(caretLines(input, result.problems)).toMatch(/\^/);
      }),
      { numRuns: 3000 },
    );
  });

  it('mends only what then can be parsed', () => {
    fc.assert(
      fc.property(prompt, (input) => {
        const result = parsePrompt(input, { models });
        if (!result.ok && result.fixed !== undefined)
          expect(parsePrompt(result.fixed, { models }).ok).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('cleans once and for all', () => {
    const clean = (text: string) => sanitise(mapped(text)).text;
    fc.assert(
      fc.property(prompt, (input) => {
        const once = clean(input);
        expect(clean(once)).toBe(once);
        expect(once.normalize('NFC')).toBe(once);
        expect(once).not.toMatch(/\p{Cs}/u);
        expect(once).not.toMatch(/[\p{Cc}\u200b\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/u);
      }),
      { numRuns: 4000 },
    );
  });

  it('counts expansions right', () => {
    const group = fc.array(fc.stringMatching(/^[a-z]{1,4}$/), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(group, { maxLength: 5 }), fc.integer({ min: 1, max: 200 }), (groups, cap) => {
        const input = `x ${groups.map((options) => `{${options.join(', ')}}`).join(' and ')}`;
        const count = groups.reduce((product, { length }) => product * length, 1);
        const result = parsePrompt(input, { maxPermutations: cap });
        if (count <= cap) expect(result.ok && result.prompts.length).toBe(count);
        else
          expect(result).toMatchObject({
            problems: [{ code: 'too-many-permutations', params: { count, max: cap } }],
          });
      }),
    );
  });

  it('gives weights that add up to one', () => {
    const part = fc.tuple(fc.stringMatching(/^[a-z]{1,6}$/), fc.integer({ min: -20, max: 40 }));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
        const result = parsePrompt(parts.map(([text, tenths]) => `${text}::${tenths / 10}`).join(' '));
        const sum = parts.reduce((total, [, tenths]) => total + tenths, 0);
        if (sum <= 0) expect(result).toMatchObject({ ok: false });
        else if (result.ok) {
          const total = result.prompts[0]!.parts.reduce((all, { weight }) => all + weight, 0);
          expect(total).toBeCloseTo(1, 4);
        } else expect(result.problems[0]!.code).toBe('weights-sum');
      }),
    );
  });
});

/** Of this process since then: what else the machine does is not counted. */
const cpuMs = (start: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
};

describe('hostile text', () => {
  const quickly = (input: string, ms: number) => {
    const start = process.cpuUsage();
    const result = parsePrompt(input, { models });
    if (!result.ok) caretLines(input, result.problems);
    expect(cpuMs(start)).toBeLessThan(ms);
    return result;
  };

  it.each<[string, string]>([
    ['a megabyte of combining marks', `a${'\u0301'.repeat(1_000_000)}`],
    ['the limit of combining marks', `a${'\u0301\u0323'.repeat(11_999)}`],
    ['marks out of order', 'a\u0301\u0323\u0327\u0345'.repeat(4000)],
    ['a megabyte of braces', '{'.repeat(1_000_000)],
    ['nested braces', '{'.repeat(3000) + '}'.repeat(3000)],
    ['braces open', '{'.repeat(6000)],
    ['two to the thousandth', '{a,b}'.repeat(1000)],
    ['nested choices', `${'{a,'.repeat(1200)}b${'}'.repeat(1200)}`],
    ['only parameters', '--s 5 '.repeat(999)],
    ['unknown parameters', '--zz '.repeat(1200)],
    ['misspelt parameters', '--stlyize '.repeat(600)],
    ['misplaced links', `a ${'https://a.example/x '.repeat(299)}`],
    ['weights', 'a::1 '.repeat(1200)],
    ['words after values', '--ar 3:2 word '.repeat(420)],
    ['dashes', '—'.repeat(6000)],
    ['hyphens', '-'.repeat(6000)],
    ['spaces', ' '.repeat(24_000)],
    ['zero widths', '\u200b'.repeat(24_000)],
    ['joiners', '\u200d'.repeat(24_000)],
    ['emoji', '👩‍👩‍👧‍👦'.repeat(500)],
    ['tags', '\u{e0061}'.repeat(12_000)],
    ['lone surrogates', '\ud83d'.repeat(24_000)],
    ['digits', `a --s ${'9'.repeat(5900)}`],
    ['ratio', `a --ar ${'9'.repeat(2900)}:${'7'.repeat(2900)}`],
    ['backslashes', '\\'.repeat(6000)],
    ['colons', ':'.repeat(6000)],
    ['forty long ones', `${'x'.repeat(5800)} {${Array.from({ length: 40 }, (_, i) => i).join(',')}}`],
  ])('%s is answered at once', (_, input) => {
    quickly(input, 1500);
  });

  it('survives 20,000 strings of every script', { timeout: 600_000 }, () => {
    const start = process.cpuUsage();
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const signs = [
      ' ',
      '--',
      '::',
      '{',
      '}',
      ',',
      '\\',
      '3:2',
      'ar',
      's ',
      'no ',
      '-1',
      'https://a.example/',
      '—',
    ];
    let taken = 0;
    for (let run = 0; run < 20_000; run++) {
      let input = '';
      for (let left = random(24); left > 0; left--)
        input += random(3) === 0 ? signs[random(signs.length)]! : String.fromCodePoint(random(0x110000));
      const result = parsePrompt(input);
      if (result.ok) taken++;
      else
        for (const { end } of result.problems) if (end > input.length) throw new Error(JSON.stringify(input));
    }
    expect(taken).toBeGreaterThan(2_000);
    expect(cpuMs(start)).toBeLessThan(20_000);
  });

  it('keeps what writing needs', () => {
    for (const text of [
      '👩‍🚀',
      '🏳️‍🌈',
      'می‌خواهم',
      'क्‍ष',
      'né',
      '한국어',
      'ひらがな',
      '☺️',
      'tiếng Việt',
      '１２',
      'עברית',
    ])
      expect(parsePrompt(text)).toMatchObject({ ok: true, prompts: [{ prompt: text }] });
  });

  it('never prints more than the limit', () => {
    const result = parsePrompt('\\{'.repeat(3000));
    expect(result.ok).toBe(true);
    expect(result.ok && result.prompts[0]!.text.length).toBeLessThanOrEqual(MAX_LENGTH);
  });
});
