import { describe, expect, it } from 'vitest';
import { notesOn, parsePrompt } from '../../../shared/prompt/index.ts';
import { models } from './models.ts';

/** What people bring along: their keyboards, Midjourney's whole vocabulary, texts that were pasted. */
const text = (input: string): string => {
  const result = parsePrompt(input, { models });
  if (!result.ok) throw new Error(`${input}: ${JSON.stringify(result.problems)}`);
  return result.prompts.map((prompt) => prompt.text).join(' | ');
};
const failed = (input: string) => {
  const result = parsePrompt(input, { models });
  if (result.ok) throw new Error(`${input} was taken: ${JSON.stringify(result.prompts)}`);
  return result;
};
const LINK = 'https://a.example/x.png';

describe('keyboards of East Asia', () => {
  it.each([
    ['狐狸 --ar 16：9', '狐狸 --ar 16:9'],
    ['狐狸 --ar １６：９', '狐狸 --ar 16:9'],
    ['狐狸　－－ar　16：9', '狐狸 --ar 16:9'],
    ['狐狸 －－ａｒ １６：９　－－ｓ　５０', '狐狸 --ar 16:9 --stylize 50'],
    ['狐狸 ーーseed 7', '狐狸 --seed 7'],
    ['太空：：2 船', '太空::2 船'],
    ['太空：：２ 船：：１．５', '太空::2 船::1.5'],
    ['狐狸 --no 雪，树、人', '狐狸 --no 雪, 树, 人'],
    ['｛红，蓝｝狐狸', '红狐狸 | 蓝狐狸'],
    ['标题：一只狐狸，在雪中', '标题：一只狐狸，在雪中'],
    ['スーパーカー － 夜', 'スーパーカー － 夜'],
    ['time 12:30', 'time 12:30'],
    ['a 4：3 screen', 'a 4:3 screen'],
  ])('%s', (input, printed) => {
    expect(text(input)).toBe(printed);
    expect(text(printed.split(' | ')[0] as string)).toBe(printed.split(' | ')[0]);
  });
});

describe('values that are more than one word, or no number', () => {
  it.each([
    ['a fox --ar 16 : 9', 'a fox --ar 16:9'],
    ['a fox --ar 16 :9 --s 5', 'a fox --ar 16:9 --stylize 5'],
    ['a fox --ar 16: 9', 'a fox --ar 16:9'],
    ['a fox --sampler DPM++ 2M Karras', 'a fox --scheduler dpmpp-2m-karras'],
    ['a fox --sampler Euler a --seed 3', 'a fox --seed 3 --scheduler euler-a'],
    ['a fox --sampler dpmpp_2m karras', 'a fox --scheduler dpmpp-2m-karras'],
    ['a fox --seed -1', 'a fox'],
    ['a fox --seed random', 'a fox'],
    ['a fox --seed 5 --seed -1', 'a fox'],
    ['a fox --n 2', 'a fox --count 2'],
    ['a fox --count 1', 'a fox --count 1'],
    ['a fox --sref 123', 'a fox --sref 123'],
    ['a fox --sref 123 456 --sw 250', 'a fox --sref 123 456 --sw 250'],
    ['a fox --sref random', 'a fox --sref random'],
    ['a fox --sref 4294967295', 'a fox --sref 4294967295'],
  ])('%s', (input, printed) => {
    expect(text(input)).toBe(printed);
    expect(text(printed)).toBe(printed);
  });
});

describe('what is pasted along', () => {
  it.each([
    ['/imagine prompt: a fox --ar 3:2', 'a fox --ar 3:2'],
    ['/imagine prompt:a fox', 'a fox'],
    ['/imagine prompt：狐狸', '狐狸'],
    ['/Imagine Prompt a fox', 'a fox'],
    ['/imagine a fox', 'a fox'],
    ['  /imagine prompt:  a fox', 'a fox'],
    ['/imagination runs', '/imagination runs'],
    [`${LINK}, a fox`, `${LINK} a fox`],
    [`${LINK}. a fox`, `${LINK} a fox`],
    [`${LINK}> a fox`, `${LINK} a fox`],
    [`<${LINK}>, a fox`, `${LINK} a fox`],
    [`${LINK}) a fox`, `${LINK} a fox`],
    ['https://a.example/x_(1) a fox', 'https://a.example/x_(1) a fox'],
    [`${LINK}?a=1&b=2 a fox`, `${LINK}?a=1&b=2 a fox`],
  ])('%s', (input, printed) => {
    expect(text(input)).toBe(printed);
  });
});

describe('signs of other programs', () => {
  it.each([
    ['1.5::a fox::, snow', 'weight', '1.5::a fox::', '(a fox:1.5)'],
    ['a fox, -1::snow::', 'weight', '-1::snow::', '(snow:-1)'],
    ['a hill [fog::10]', 'schedule', '[fog::10]', 'fog'],
    ['a [cat:dog:0.5]', 'schedule', '[cat:dog:0.5]', 'cat'],
    ['a [fog:10] hill', 'schedule', '[fog:10]', 'fog'],
    ['a {red|blue} fox', 'choice', '{red|blue}', '{red, blue}'],
  ])('%s is taken, with a note', (input, code, typed, instead) => {
    expect(parsePrompt(input, { models }).ok).toBe(true);
    expect(notesOn(input)).toEqual([{ code, typed, instead }]);
  });
  it.each(['space:: ship::2', 'a::1.5 b::-0.5', 'a {red, blue} fox', '[a fox]', 'x::2 y::3'])(
    '%s needs none',
    (input) => {
      expect(notesOn(input)).toEqual([]);
    },
  );
});

describe('Fix it never turns a value into words, nor into another parameter', () => {
  it.each([
    // input, fixed, what to do instead
    ['a fox --p 7xk9abc', 'a fox', 'own-option'],
    ['a fox --p', 'a fox', 'own-option'],
    ['a fox --profile abcdef', 'a fox', 'own-option'],
    ['a fox --motion high', 'a fox', 'no-film'],
    ['a fox --motion low --loop', 'a fox', 'no-film'],
    ['a fox --video', 'a fox', 'no-film'],
    ['a fox --video --bs 2 --end loop', 'a fox', 'no-film'],
    [`a fox --end ${LINK}`, 'a fox', 'no-film'],
    ['a fox --cw 50', 'a fox', 'image-weight'],
    ['a fox --ow 400', 'a fox', 'image-weight'],
    ['a fox --dw 3', 'a fox', 'image-weight'],
    ['a fox --sv 6', 'a fox', 'one-version'],
    ['a fox --exp 25', 'a fox', 'stylize'],
    ['a fox --edit', 'a fox', 'region'],
    ['a fox --hd', 'a fox', 'upscale'],
    ['a fox --sd', 'a fox', 'native-size'],
    ['a fox --niji 6', 'a fox', 'model'],
    ['a fox --niji cute', 'a fox', 'model'],
    [`a fox --sref ${LINK}`, `${LINK} a fox --iw 1`, 'image-link'],
    [`a fox --sref ${LINK} --sw 50`, `${LINK} a fox --iw 1 --sw 50`, 'image-link'],
    [`a fox --sref ${LINK} 123`, `${LINK} a fox --sref 123 --iw 1`, 'image-link'],
    [`a fox --cref ${LINK} --cw 50`, `${LINK} a fox --iw 1`, 'image-link'],
    [`a fox --oref ${LINK}, --iw 2`, `${LINK} a fox --iw 2`, 'image-link'],
    [`a fox --dref ${LINK}`, `${LINK} a fox --iw 1`, 'image-link'],
    [
      `a fox --oref ${LINK} --cref https://b.example/y.png`,
      `${LINK} https://b.example/y.png a fox --iw 1`,
      'image-link',
    ],
  ])('%s', (input, fixed, instead) => {
    const result = failed(input);
    expect(result.problems[0]).toMatchObject({ code: 'unsupported-parameter', params: { instead } });
    expect(result.problems.map(({ code }) => code)).not.toContain('unknown-parameter');
    const words = (prompt: string) => prompt.split(' ').sort().join(' ');
    expect(words(result.fixed ?? '')).toBe(words(fixed));
    expect(parsePrompt(result.fixed ?? '', { models }).ok).toBe(true);
  });

  it.each([
    ['a fox --xw 50', 'a fox'],
    ['a fox --sampler foo karras', 'a fox'],
    ['a fox --sampler DPM++ 2M SDE Karras', 'a fox'],
    ['a fox --tile low', 'a fox --tile'],
    ['a fox --sref blue', 'a fox'],
    ['a fox --sref 4294967296', 'a fox --sref 0'],
    ['a fox --count 9', 'a fox --count 4'],
    ['a fox --ra 3:2', 'a fox --ar 3:2'],
  ])('%s', (input, fixed) => {
    expect(failed(input).fixed).toBe(fixed);
  });

  it('knows every word of Midjourney', () => {
    const names =
      'sref sw sv cref cw oref ow p profile exp edit video motion loop end bs dref dw hd sd niji style aspect ar chaos c stylize s weird w quality q seed stop repeat r no tile raw iw version v draft fast relax turbo stealth public';
    for (const name of names.split(' ')) {
      const result = parsePrompt(`a fox --${name} 1`, { models });
      if (!result.ok)
        expect(
          result.problems.map(({ code }) => code),
          name,
        ).not.toContain('unknown-parameter');
    }
  });
});
