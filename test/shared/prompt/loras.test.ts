import { describe, expect, it } from 'vitest';
import type { LoraCard } from '../../../shared/picture/lora.ts';
import { type ParseOptions, parsePrompt } from '../../../shared/prompt/index.ts';
import { card } from './models.ts';

const lora = (name: string, more: Partial<LoraCard> = {}): LoraCard => ({
  name,
  sha256: '0'.repeat(64),
  base: 'sd1',
  words: [],
  weight: 1,
  ...more,
});
const loras = [lora('pixelart', { weight: 0.8 }), lora('oil-v2.1'), lora('xl-thing', { base: 'sdxl' })];
const options: ParseOptions = {
  models: new Map([
    ['sd', { ...card({ name: 'sd' }), base: 'sd1', loras }],
    ['xl', { ...card({ name: 'xl' }), base: 'sdxl', loras }],
    ['export', card({ name: 'export' })],
  ]),
  defaultModel: 'sd',
};
const read = (text: string, more: ParseOptions = {}) => {
  const parsed = parsePrompt(text, { ...options, ...more });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.prompts;
};
const wrong = (text: string, more: ParseOptions = {}) => {
  const parsed = parsePrompt(text, { ...options, ...more });
  if (parsed.ok) throw new Error(`${parsed.prompts[0]!.text} is fine`);
  return { ...parsed.problems[0]!, fixed: parsed.fixed };
};

describe('LoRAs in a prompt', () => {
  it.each([
    ['a knight <lora:pixelart:0.5>', 'a knight --lora pixelart:0.5'],
    ['<lora:pixelart> a knight', 'a knight --lora pixelart:0.8'],
    ['a <lora:PixelArt:-1.25> knight', 'a knight --lora pixelart:-1.25'],
    ['a knight, <lora:oil-v2.1:1> oil', 'a knight, oil --lora oil-v2.1:1'],
    ['a knight<lora:pixelart:1>oil', 'a knight oil --lora pixelart:1'],
    ['a knight --lora pixelart:0.5 --ar 3:2', 'a knight --ar 3:2 --lora pixelart:0.5'],
    ['a knight --lora pixelart 0.5', 'a knight --lora pixelart:0.5'],
    ['a knight --ar 3:2 <lora:pixelart:1>', 'a knight --ar 3:2 --lora pixelart:1'],
    ['a knight --lora pixelart:1 --lora oil-v2.1:0.3', 'a knight --lora pixelart:1 --lora oil-v2.1:0.3'],
    ['a knight --lora pixelart:1 --lora pixelart:0.3', 'a knight --lora pixelart:0.3'],
    ['a knight --model xl <lora:xl-thing:1>', 'a knight --model xl --lora xl-thing:1'],
  ])('%s', (typed, printed) => {
    const [one] = read(typed);
    expect(one!.text).toBe(printed);
    expect(one!.prompt).not.toMatch(/lora|<|>/);
    expect(read(one!.text)[0]).toEqual(one);
  });

  it('are chosen by permutations', () => {
    const all = read('a knight <lora:{pixelart,oil-v2.1}:0.7>');
    expect(all.map(({ params }) => params.loras)).toEqual([
      [{ name: 'pixelart', weight: 0.7 }],
      [{ name: 'oil-v2.1', weight: 0.7 }],
    ]);
  });

  it('come with an own option, a suffix and a default; what is typed wins', () => {
    const customOptions = new Map([['pix', '--lora pixelart:0.6']]);
    expect(read('x --pix', { customOptions })[0]!.params.loras).toEqual([{ name: 'pixelart', weight: 0.6 }]);
    const suffix = '--lora pixelart:0.2';
    expect(read('x', { suffix })[0]!.params.loras).toEqual([{ name: 'pixelart', weight: 0.2 }]);
    expect(read('x <lora:pixelart:1>', { suffix })[0]!.params.loras).toEqual([
      { name: 'pixelart', weight: 1 },
    ]);
    // Another model's LoRA in the suffix is nobody's mistake here.
    expect(read('x --model export', { suffix })[0]!.params.loras).toBeUndefined();
    const defaults = { loras: [{ name: 'oil-v2.1', weight: 0.5 }] };
    expect(read('x', { defaults })[0]!.params.loras).toEqual(defaults.loras);
    expect(read('x --lora pixelart:1', { defaults })[0]!.params.loras).toEqual([
      { name: 'pixelart', weight: 1 },
    ]);
    expect(read('x --model xl', { defaults })[0]!.params.loras).toBeUndefined();
  });

  it('that are not there, or for another model, are named and mended', () => {
    expect(wrong('x <lora:pixlart:0.5>')).toMatchObject({
      code: 'unknown-lora',
      start: 2,
      end: 20,
      suggestion: '<lora:pixelart:0.5>',
      fixed: 'x <lora:pixelart:0.5>',
    });
    expect(wrong('x --lora pixlart:0.5')).toMatchObject({
      suggestion: 'pixelart:0.5',
      fixed: 'x --lora pixelart:0.5',
    });
    expect(wrong('x <lora:nothing-like-it:1>')).toMatchObject({
      code: 'unknown-lora',
      params: { value: 'nothing-like-it', loras: 'pixelart, oil-v2.1' },
      fixed: 'x',
    });
    expect(wrong('x --lora nothing-like-it:1')).toMatchObject({ code: 'unknown-lora', fixed: 'x' });
    expect(wrong('x <lora:xl-thing:1>')).toMatchObject({
      code: 'lora-base',
      params: { value: 'xl-thing', base: 'SDXL', model: 'sd', own: 'SD 1' },
      fixed: 'x',
    });
    expect(wrong('x <lora:pixelart:1> --model export')).toMatchObject({
      code: 'lora-model',
      fixed: 'x --model export',
    });
  });

  it('that may not be used here are no others’, and nobody is led to them', () => {
    const mayUseLora = (name: string) => name !== 'pixelart';
    expect(wrong('x <lora:PixelArt:0.5>', { mayUseLora })).toMatchObject({
      code: 'lora-denied',
      params: { value: 'pixelart', loras: 'oil-v2.1' },
      fixed: 'x',
    });
    const near = wrong('x <lora:pixlart:0.5>', { mayUseLora });
    expect(near).toMatchObject({ code: 'unknown-lora', params: { loras: 'oil-v2.1' } });
    // The only one that is left is not what was meant.
    expect(near.suggestion).toBeUndefined();
    const defaults = { loras: [{ name: 'pixelart', weight: 0.5 }] };
    expect(read('x', { defaults, mayUseLora })[0]!.params.loras).toBeUndefined();
  });

  it('have weights between -2 and 2', () => {
    expect(wrong('x <lora:pixelart:3>')).toMatchObject({
      code: 'out-of-range',
      suggestion: '<lora:pixelart:2>',
    });
    expect(wrong('x --lora pixelart:-9')).toMatchObject({
      code: 'out-of-range',
      fixed: 'x --lora pixelart:-2',
    });
    expect(wrong('x <lora:pixelart:much>')).toMatchObject({
      code: 'not-a-number',
      suggestion: '<lora:pixelart:0.8>',
    });
    expect(wrong('x <lora:pixelart:0,5>')).toMatchObject({ fixed: 'x <lora:pixelart:0.5>' });
    expect(wrong('x --lora').code).toBe('missing-value');
  });

  it('are at most eight', () => {
    const many = Array.from({ length: 9 }, (_, i) => `<lora:l${i}:1>`).join(' ');
    expect(wrong(`x ${many}`, { models: undefined }).code).toBe('too-many-loras');
  });
});
