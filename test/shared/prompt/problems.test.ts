import { describe, expect, it } from 'vitest';
import { caretLines, MAX_LENGTH, type ParseOptions, parsePrompt } from '../../../shared/prompt/index.ts';
import { models } from './models.ts';

const failed = (input: string, options: ParseOptions = { models }) => {
  const result = parsePrompt(input, options);
  if (result.ok) throw new Error(`${input} was taken: ${JSON.stringify(result.prompts)}`);
  return result;
};

describe('each problem, where it is, and the prompt mended', () => {
  it.each<[string, string, string, string | undefined, string | undefined]>([
    // input, code, what is underlined, suggestion, fixed
    ['cat --stylise2 5', 'unknown-parameter', '--stylise2', '--stylise 2', 'cat --stylise 2'],
    ['cat --stlyize 5', 'unknown-parameter', '--stlyize', '--stylize', 'cat --stylize 5'],
    ['cat --styl 5', 'unknown-parameter', '--styl', '--stylize', 'cat --stylize 5'],
    ['cat --stile raw', 'unknown-parameter', '--stile', '--style', 'cat --style raw'],
    ['cat -ar 3:2', 'unknown-parameter', '-ar', '--ar', 'cat --ar 3:2'],
    ['cat --s 50, --tile', 'not-a-number', '50,', '50', 'cat --s 50 --tile'],
    ['cat --stop 80%', 'not-a-number', '80%', '80', 'cat --stop 80'],
    ['"cat" --ar 3:2"', 'bad-aspect', '3:2"', '3:2', '"cat" --ar 3:2'],
    ['cat --hdr', 'unknown-parameter', '--hdr', undefined, 'cat'],
    ['cat --ar16:9', 'unknown-parameter', '--ar16:9', '--ar 16:9', 'cat --ar 16:9'],
    ['cat --fluffy 3', 'unknown-parameter', '--fluffy', undefined, 'cat'],
    ['cat --fluffy dog', 'unknown-parameter', '--fluffy', undefined, 'cat dog'],
    ['cat --s 2000', 'out-of-range', '2000', '1000', 'cat --s 1000'],
    ['cat --s -1', 'out-of-range', '-1', '0', 'cat --s 0'],
    ['cat --q 3 --model swift-xl', 'out-of-range', '3', '2', 'cat --q 2 --model swift-xl'],
    ['cat --seed 4294967296', 'out-of-range', '4294967296', '4294967295', 'cat --seed 4294967295'],
    ['cat --seed 1.5', 'not-whole', '1.5', '2', 'cat --seed 2'],
    ['cat --repeat 1', 'out-of-range', '1', '2', 'cat --repeat 2'],
    ['cat --stop 5', 'out-of-range', '5', '10', 'cat --stop 10'],
    ['cat --s abc', 'not-a-number', 'abc', undefined, 'cat'],
    ['cat --iw 1,5', 'not-a-number', '1,5', '1.5', 'cat --iw 1.5'],
    ['cat --ar', 'missing-value', '--ar', undefined, 'cat'],
    ['cat --s --tile', 'missing-value', '--s', undefined, 'cat --tile'],
    ['cat --no --tile', 'missing-value', '--no', undefined, 'cat --tile'],
    ['cat --ar 1.39:1', 'bad-aspect', '1.39:1', '139:100', 'cat --ar 139:100'],
    ['cat --ar 1000:1', 'bad-aspect', '1000:1', '999:1', 'cat --ar 999:1'],
    ['cat --ar wide', 'bad-aspect', 'wide', undefined, 'cat'],
    ['cat --ar 0:1', 'bad-aspect', '0:1', undefined, 'cat'],
    ['cat --model pockte', 'unknown-model', 'pockte', 'pocket', 'cat --model pocket'],
    ['cat --v 9', 'unknown-model', '9', undefined, 'cat'],
    ['cat --sampler eular', 'unknown-sampler', 'eular', 'euler', 'cat --sampler euler'],
    ['cat --style cute', 'unknown-style', 'cute', undefined, 'cat'],
    ['cat --style rwa', 'unknown-style', 'rwa', 'raw', 'cat --style raw'],
    ['cat --s 50 --model swift-xl', 'unsupported-parameter', '--s 50', undefined, 'cat --model swift-xl'],
    ['cat --niji 6', 'unsupported-parameter', '--niji 6', undefined, 'cat'],
    ['cat --niji', 'unsupported-parameter', '--niji', undefined, 'cat'],
    ['cat --hd', 'unsupported-parameter', '--hd', undefined, 'cat'],
    [
      'cat --sref https://a.example/a.png',
      'unsupported-parameter',
      '--sref https://a.example/a.png',
      undefined,
      'https://a.example/a.png cat --iw 1',
    ],
    ['cat --sv 6', 'unsupported-parameter', '--sv 6', undefined, 'cat'],
    ['--ar 3:2 cat', 'parameter-before-text', 'cat', undefined, 'cat --ar 3:2'],
    [
      'cat --ar 3:2 and a dog --s 50',
      'parameter-before-text',
      'and a dog',
      undefined,
      'cat and a dog --ar 3:2 --s 50',
    ],
    ['--tile cat', 'parameter-before-text', 'cat', undefined, 'cat --tile'],
    ['cat --tile 1', 'unexpected-value', '1', undefined, 'cat --tile'],
    ['cat --ar 3:2 5', 'unexpected-value', '5', undefined, 'cat --ar 3:2'],
    [
      'http://a.example/x.png cat',
      'bad-link',
      'http://a.example/x.png',
      'https://a.example/x.png',
      'https://a.example/x.png cat',
    ],
    [
      'https://a.example/x.png::2 cat',
      'bad-link',
      'https://a.example/x.png::2',
      'https://a.example/x.png',
      'https://a.example/x.png cat',
    ],
    ['https://u:p@a.example/x.png cat', 'bad-link', 'https://u:p@a.example/x.png', undefined, 'cat'],
    [
      'cat https://a.example/x.png',
      'misplaced-link',
      'https://a.example/x.png',
      undefined,
      'https://a.example/x.png cat',
    ],
    ['cat::1 dog::-2', 'weights-sum', '::1 dog::-2', undefined, 'cat::1 dog::-0.5'],
    ['cat::-1', 'weights-sum', '::-1', undefined, undefined],
    ['a {cat, dog', 'unbalanced-brace', '{', '\\{', 'a cat, dog'],
    ['a cat} dog', 'unbalanced-brace', '}', '\\}', 'a cat dog'],
    ['   ', 'empty-prompt', '   ', undefined, undefined],
    ['--tile', 'empty-prompt', '--tile', undefined, undefined],
    ['{a,b,c} --repeat 30', 'too-many-permutations', '{a,b,c} --repeat 30', undefined, undefined],
  ])('%s', (input, code, underlined, suggestion, fixed) => {
    const result = failed(input);
    expect(result.problems.map((problem) => problem.code)).toEqual([code]);
    const problem = result.problems[0]!;
    expect(input.slice(problem.start, problem.end)).toBe(underlined);
    expect(problem.suggestion).toBe(suggestion);
    expect(result.fixed).toBe(fixed);
  });

  it('names the range and the model', () => {
    expect(failed('cat --q 3 --v 2').problems[0]!.params).toEqual({
      parameter: '--quality',
      value: '3',
      min: 0.25,
      max: 2,
      model: 'swift-xl',
    });
    expect(failed('cat --s 2000', { models, defaultModel: 'pocket' }).problems[0]!.params).toMatchObject({
      model: 'pocket',
    });
    expect(failed('cat --hd').problems[0]!.params['instead']).toBe('upscale');
    expect(failed('cat --model nothing').problems[0]!.params['models']).toBe('pocket, swift-xl');
  });

  it('finds all at once, in order, and mends all', () => {
    const input = 'cat —stylise 2000 --foo --ar 1.39:1 dog https://a.example/x.png --tile 1 {';
    const result = failed(input);
    expect(result.problems.map(({ code }) => code)).toEqual(['unbalanced-brace']);
    const rest = failed(input.slice(0, -2));
    expect(rest.problems.map(({ code, start, end }) => [code, input.slice(start, end)])).toEqual([
      ['out-of-range', '2000'],
      ['unknown-parameter', '--foo'],
      ['bad-aspect', '1.39:1'],
      ['parameter-before-text', 'dog https://a.example/x.png'],
      ['unexpected-value', '1'],
    ]);
    expect(rest.fixed).toBe('https://a.example/x.png cat dog --stylise 1000 --ar 139:100 --tile');
  });

  it('says a problem once, however many expansions have it', () => {
    const result = failed('{a, b, c} --s {2000, 3000}');
    expect(result.problems.map(({ params }) => params['value'])).toEqual(['2000', '3000']);
    expect(result.fixed).toBe('{a, b, c} --s {1000, 1000}');
  });

  it('writes an option out to mend what is wrong in it', () => {
    const result = failed('cat --mine', { customOptions: new Map([['mine', '--s 2000 --c 200']]) });
    expect(result.problems.map(({ start, end }) => [start, end])).toEqual([
      [4, 10],
      [4, 10],
    ]);
    expect(result.fixed).toBe('cat --s 1000 --c 100');
  });
});

describe('length', () => {
  it('takes the limit and refuses one more', () => {
    expect(parsePrompt('x'.repeat(MAX_LENGTH)).ok).toBe(true);
    const { problems } = failed('x'.repeat(MAX_LENGTH + 1));
    expect(problems).toEqual([
      { code: 'too-long', start: 6000, end: 6001, params: { length: 6001, max: 6000 } },
    ]);
  });
  it('counts what remains after cleaning', () => {
    expect(parsePrompt(`a${'\u200b'.repeat(10_000)}b`)).toMatchObject({
      ok: true,
      prompts: [{ text: 'ab' }],
    });
  });
  it('counts what options make of it', () => {
    const customOptions = new Map([['x', 'y'.repeat(3000)]]);
    expect(failed('a --x --x --x', { customOptions }).problems[0]!.code).toBe('too-long');
  });
});

describe('carets', () => {
  const carets = (input: string) => caretLines(input, failed(input).problems);
  it('stand under each problem', () => {
    expect(carets('cat --stylise 2000 --foo 1')).toBe(
      ['cat --stylise 2000 --foo 1', '              ^^^^ ^^^^^'].join('\n'),
    );
  });
  it('know wide and joined characters', () => {
    expect(carets('猫 👩‍🚀 é --foo 3')).toBe('猫 👩‍🚀 é --foo 3\n\u3000 \u3000   ^^^^^');
    expect(carets('cat --v 猫')).toBe('cat --v 猫\n        ^^');
  });
  it('cannot break out of a code block, nor out of the line', () => {
    expect(carets('```\ncat\u202e --foo 3')).not.toMatch(/```|\u202e|\n.*\n/);
  });
  it('stand in rows that a phone does not break', () => {
    expect(carets('a fox in the snow at night --stilize 50 --ar 1.39:1 --chaos 999')).toBe(
      [
        'a fox in the snow at night --stilize 50 --ar ',
        '                           ^^^^^^^^^',
        '1.39:1 --chaos 999',
        '^^^^^^         ^^^',
      ].join('\n'),
    );
  });
  it('show the surroundings in a long prompt', () => {
    const lines = carets(
      `${'word '.repeat(100)}--foo 3 --seed ${'9'.repeat(20)} --chaos ${'1'.repeat(200)}`,
    ).split('\n');
    expect(lines.length).toBeLessThanOrEqual(10);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(46);
    expect(lines[0]).toMatch(/^….*--foo/);
    expect(lines[1]!.trim()).toMatch(/^\^{5}/);
    expect(lines[0]!.indexOf('--foo')).toBe(lines[1]!.indexOf('^'));
  });
  it('has a place for an empty prompt', () => {
    expect(carets('')).toBe('\n^');
  });
});
