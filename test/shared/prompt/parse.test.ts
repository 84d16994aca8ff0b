import { describe, expect, it } from 'vitest';
import {
  type ParsedPrompt,
  type ParseOptions,
  parsePrompt,
  printPrompt,
} from '../../../shared/prompt/index.ts';
import { models } from './models.ts';

const parse = (input: string, options?: ParseOptions): ParsedPrompt => {
  const result = parsePrompt(input, options);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  expect(result.prompts).toHaveLength(1);
  return result.prompts[0]!;
};

const texts = (input: string, options?: ParseOptions): string[] => {
  const result = parsePrompt(input, options);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.prompts.map(({ text }) => text);
};

describe('parameters', () => {
  it.each([
    ['  a   fox ', {}, 'a fox'],
    ['a fox --aspect 3:2', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a fox --ar 1920:1080', { aspect: [16, 9] }, 'a fox --ar 16:9'],
    ['a fox --ar 139:100', { aspect: [139, 100] }, 'a fox --ar 139:100'],
    ['a fox --ar 3x2', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a fox --chaos 50', { chaos: 50 }, 'a fox --chaos 50'],
    ['a fox --c 50', { chaos: 50 }, 'a fox --chaos 50'],
    ['a fox --stylize 1000', { stylize: 1000 }, 'a fox --stylize 1000'],
    ['a fox --s 0', { stylize: 0 }, 'a fox --stylize 0'],
    ['a fox --weird 3000', { weird: 3000 }, 'a fox --weird 3000'],
    ['a fox --w 250', { weird: 250 }, 'a fox --weird 250'],
    ['a fox --quality .25', { quality: 0.25 }, 'a fox --quality 0.25'],
    ['a fox --q .5', { quality: 0.5 }, 'a fox --quality 0.5'],
    ['a fox --q 4', { quality: 4 }, 'a fox --quality 4'],
    ['a fox --seed 4294967295', { seed: 4294967295 }, 'a fox --seed 4294967295'],
    ['a fox --seed 0', { seed: 0 }, 'a fox --seed 0'],
    ['a fox --stop 10', { stop: 10 }, 'a fox --stop 10'],
    ['a fox --repeat 40', { repeat: 40 }, 'a fox --repeat 40'],
    ['a fox --r 2', { repeat: 2 }, 'a fox --repeat 2'],
    ['a fox --tile', { tile: true }, 'a fox --tile'],
    ['a fox --raw', { raw: true }, 'a fox --raw'],
    ['a fox --style raw', { raw: true }, 'a fox --raw'],
    ['a fox --draft', { draft: true }, 'a fox --draft'],
    ['a fox --iw 3', { iw: 3 }, 'a fox --iw 3'],
    ['a fox --iw 0.25', { iw: 0.25 }, 'a fox --iw 0.25'],
    ['a fox --model swift-xl', { model: 'swift-xl' }, 'a fox --model swift-xl'],
    ['a fox --v SWIFT-XL', { model: 'swift-xl' }, 'a fox --model swift-xl'],
    ['a fox --version 2', { model: 'swift-xl' }, 'a fox --model swift-xl'],
    ['a fox --v 1', { model: 'pocket' }, 'a fox --model pocket'],
    ['a fox --scheduler euler-a', { scheduler: 'euler-a' }, 'a fox --scheduler euler-a'],
    ['a fox --sampler DPMSolverMultistepScheduler', { scheduler: 'dpmpp-2m' }, 'a fox --scheduler dpmpp-2m'],
    ['a fox --STYLIZE 5 --Seed 1', { stylize: 5, seed: 1 }, 'a fox --stylize 5 --seed 1'],
    ['a fox —ar 3:2 –s 50', { aspect: [3, 2], stylize: 50 }, 'a fox --ar 3:2 --stylize 50'],
    ['a fox ‑‑ar 3:2', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a fox--ar 3:2', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a fox --ar=3:2', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a fox --ar 3:2', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a\tfox\n--ar 3:2\r\n', { aspect: [3, 2] }, 'a fox --ar 3:2'],
    ['a fox --s 1 --s 2', { stylize: 2 }, 'a fox --stylize 2'],
    ['a fox --stylize 12.5', { stylize: 12.5 }, 'a fox --stylize 12.5'],
  ])('%s', (input, params, text) => {
    const parsed = parse(input, { models });
    expect(parsed.params).toEqual(params);
    expect(parsed.text).toBe(text);
    expect(parsed.prompt).toBe('a fox');
  });

  it.each([
    ['well--known fox', 'well--known fox'],
    ['a fox - running', 'a fox - running'],
    ['a fox — running', 'a fox — running'],
    ['a -s curve', 'a -s curve'],
    ['2020–2024', '2020–2024'],
    ['a fox -- and a hare', 'a fox -- and a hare'],
    ['“a ‘fox’”', `"a 'fox'"`],
    ['time 12:30', 'time 12:30'],
  ])('%s has none', (input, prompt) => {
    expect(parse(input)).toMatchObject({ prompt, params: {} });
  });

  it('gathers every --no', () => {
    const parsed = parse('a fox --no snow, , trees --ar 3:2 --no red, green');
    expect(parsed.negative).toBe('snow, trees, red, green');
    expect(parsed.text).toBe('a fox --ar 3:2 --no snow, trees, red, green');
  });
});

describe('weights', () => {
  const weighed = (input: string) => parse(input).parts.map(({ text, weight }) => [text, weight]);
  it.each([
    ['space ship', [['space ship', 1]]],
    [
      'space:: ship',
      [
        ['space', 0.5],
        ['ship', 0.5],
      ],
    ],
    [
      'space::ship',
      [
        ['space', 0.5],
        ['ship', 0.5],
      ],
    ],
    [
      'space::2 ship',
      [
        ['space', 0.666667],
        ['ship', 0.333333],
      ],
    ],
    [
      'space:: ship::2',
      [
        ['space', 0.333333],
        ['ship', 0.666667],
      ],
    ],
    [
      'hot::.5 dog::1.5',
      [
        ['hot', 0.25],
        ['dog', 0.75],
      ],
    ],
    [
      'tulips:: red::-.5',
      [
        ['tulips', 2],
        ['red', -1],
      ],
    ],
    [
      'cup::2dogs',
      [
        ['cup', 0.5],
        ['2dogs', 0.5],
      ],
    ],
    [
      'cat:: ::3 dog',
      [
        ['cat', 0.5],
        ['dog', 0.5],
      ],
    ],
    ['cat dog::3', [['cat dog', 1]]],
    ['cat::0 dog', [['dog', 1]]],
    [
      'cat:: dog',
      [
        ['cat', 0.5],
        ['dog', 0.5],
      ],
    ],
  ])('%s', (input, parts) => {
    expect(weighed(input)).toEqual(parts);
  });
});

describe('permutations', () => {
  it.each([
    ['a {red, green, blue} bird', ['a red bird', 'a green bird', 'a blue bird']],
    [
      'a {red,green} bird in the {jungle,desert}',
      [
        'a red bird in the jungle',
        'a red bird in the desert',
        'a green bird in the jungle',
        'a green bird in the desert',
      ],
    ],
    ['a bird --ar {3:2, 1:1}', ['a bird --ar 3:2', 'a bird --ar 1:1']],
    ['a bird --{s 50, raw}', ['a bird --stylize 50', 'a bird --raw']],
    ['a bird {--tile, —s 50, }', ['a bird --tile', 'a bird --stylize 50', 'a bird']],
    [
      'a {sculpture, painting} of a {seagull {on a pier, on a beach}, poodle {on a sofa, in a truck}}',
      [
        'a sculpture of a seagull on a pier',
        'a sculpture of a seagull on a beach',
        'a sculpture of a poodle on a sofa',
        'a sculpture of a poodle in a truck',
        'a painting of a seagull on a pier',
        'a painting of a seagull on a beach',
        'a painting of a poodle on a sofa',
        'a painting of a poodle in a truck',
      ],
    ],
    ['{red, pastel\\, yellow} bird', ['red bird', 'pastel, yellow bird']],
    ['a \\{literal\\} brace', ['a \\{literal\\} brace']],
    ['{one} bird', ['one bird']],
    ['space{::2, ::3 dog} ship', ['space::2 ship', 'space::3 dog ship']],
  ])('%s', (input, expected) => {
    expect(texts(input)).toEqual(expected);
  });

  it('counts before it expands', () => {
    const result = parsePrompt(`a ${'{b,c}'.repeat(60)}`);
    expect(result).toMatchObject({
      ok: false,
      problems: [{ code: 'too-many-permutations', params: { max: 40 } }],
    });
    const repeated = parsePrompt('{a,b,c} --repeat 20');
    expect(repeated).toMatchObject({ ok: false, problems: [{ params: { count: 60, max: 40 } }] });
    expect(parsePrompt('{a,b,c,d,e}', { maxPermutations: 4 })).toMatchObject({
      ok: false,
      problems: [{ code: 'too-many-permutations', params: { count: 5, max: 4 }, start: 0, end: 11 }],
    });
  });
});

describe('links', () => {
  it('takes them in front', () => {
    const parsed = parse('https://a.example/x.png <https://b.example/y.jpg?z=1> a fox --iw 2');
    expect(parsed.images).toEqual(['https://a.example/x.png', 'https://b.example/y.jpg?z=1']);
    expect(parsed.prompt).toBe('a fox');
    expect(parsed.text).toBe('https://a.example/x.png https://b.example/y.jpg?z=1 a fox --iw 2');
  });
  it('needs no words beside them', () => {
    expect(parse('https://a.example/x.png')).toMatchObject({ prompt: '', parts: [{ text: '', weight: 1 }] });
  });
  it('reads --sref where a model takes it', () => {
    const parsed = parse('a fox --model swift-xl --sref https://a.example/x.png https://a.example/y.png', {
      models,
    });
    expect(parsed.srefs).toEqual(['https://a.example/x.png', 'https://a.example/y.png']);
  });
});

describe('options, suffix and settings', () => {
  const customOptions = new Map([
    ['mine', 'in oil —ar 3:2 --s 50'],
    ['colour', '{red, green}'],
    ['again', '--again --mine'],
  ]);
  it('expands own options once, anywhere', () => {
    expect(parsePrompt('a fox --mine', { customOptions })).toMatchObject({
      ok: true,
      prompts: [{ text: 'a fox in oil --ar 3:2 --stylize 50' }],
    });
    expect(texts('a --colour fox', { customOptions })).toEqual(['a red fox', 'a green fox']);
    expect(parsePrompt('a fox --again', { customOptions })).toMatchObject({
      ok: false,
      problems: [
        { code: 'unknown-parameter', start: 6, end: 13 },
        { code: 'unknown-parameter', start: 6, end: 13 },
      ],
    });
  });
  it('lets typed win over suffix, suffix over settings', () => {
    const options = {
      models,
      suffix: 'some words --s 50 --c 10',
      defaults: { stylize: 1, chaos: 2, weird: 3, tile: false, raw: true },
    };
    expect(parse('a fox --s 250', options).params).toEqual({ stylize: 250, chaos: 10, weird: 3, raw: true });
    expect(parse('a fox', options).params).toEqual({ stylize: 50, chaos: 10, weird: 3, raw: true });
    expect(parse('a fox --no a', { suffix: 'b --no c' }).negative).toBe('c, a');
  });
  it('drops settings that the model does not take and brings the others into its range', () => {
    const defaults = { stylize: 50, quality: 4 };
    expect(parse('a fox --model swift-xl', { models, defaults }).params).toEqual({
      model: 'swift-xl',
      quality: 2,
    });
    expect(parse('a fox --model swift-xl', { models, suffix: '--s 50' }).params).toEqual({
      model: 'swift-xl',
    });
  });
});

describe('print', () => {
  it('prints a prompt without some of its parts', () => {
    const { repeat: _, ...params } = parse('a {fox} --repeat 3 --seed 7').params;
    expect(printPrompt({ prompt: 'a {fox}', params })).toBe('a \\{fox\\} --seed 7');
  });
});
