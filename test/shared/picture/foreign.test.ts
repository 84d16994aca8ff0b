import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inspectPicture, readForeign } from '../../../shared/picture/foreign/index.ts';
import {
  COMMENT_FORMS,
  type CommentForm,
  escapeXml,
  jpeg,
  jpegWithXmp,
  PNG_FORMS,
  type PngForm,
  plainPng,
  png,
  pngBehind,
  pngWithExif,
  stealthPng,
  tiff,
  webp,
  webpWithXmp,
  xmpPacket,
} from './files.ts';

const cases = join(import.meta.dirname, '../../data/inspect');
const expected: Record<string, object> = JSON.parse(readFileSync(join(cases, 'expected.json'), 'utf8'));

describe('files after public bug reports', () => {
  it.each(Object.entries(expected))('%s', async (file, values) => {
    expect(await inspectPicture(readFileSync(join(cases, file)))).toMatchObject(values);
  });
  it('are all there', () => {
    expect(
      readdirSync(cases)
        .filter((file) => /\.(png|jpg)$/.test(file))
        .sort(),
    ).toEqual(Object.keys(expected).sort());
  });
});

const words = 'a lighthouse — ngọn hải đăng, テスト';
const a1111 = `${words}\nNegative prompt: mờ\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 9, Size: 512x768`;
const read = { prompt: words, negative: 'mờ', seed: 9, steps: 20, guidance: 7, width: 512, height: 768 };

describe('where a text stands', () => {
  const forms = (Object.keys(PNG_FORMS) as PngForm[]).filter((form) => form !== 'tEXt');
  it.each(forms)('PNG %s', async (form) => {
    expect(await readForeign(png({ parameters: a1111 }, form))).toMatchObject(read);
  });
  it('PNG tEXt in Latin-1, as the standard has it', async () => {
    const text = a1111.replace(words, 'un phare à l’aube, été'.replace('’', "'")).replace('mờ', 'gêné');
    expect(await readForeign(png({ parameters: text }, 'tEXt'))).toMatchObject({
      prompt: "un phare à l'aube, été",
      negative: 'gêné',
    });
  });
  it('PNG, behind the pixels', async () => {
    expect(await readForeign(pngBehind('parameters', a1111))).toMatchObject(read);
  });

  const comments = Object.keys(COMMENT_FORMS) as CommentForm[];
  it.each(comments)('EXIF UserComment, %s: JPEG, WebP, PNG', async (form) => {
    const exif = tiff({}, COMMENT_FORMS[form](a1111));
    for (const file of [jpeg(exif), webp(exif), webp(exif, 'Exif\0\0'), pngWithExif(exif)])
      expect(await readForeign(file)).toMatchObject(read);
  });
  it('EXIF UserComment all in Chinese but for its settings, in either order of bytes', async () => {
    const text = `${'灯塔在悬崖上'.repeat(40)}\nSteps: 20, Seed: 3`;
    for (const form of ['unicodeBig', 'unicodeLittle'] as const)
      expect(await readForeign(jpeg(tiff({}, COMMENT_FORMS[form](text))))).toMatchObject({
        seed: 3,
        steps: 20,
      });
  });
  it('EXIF ImageDescription; XMP in PNG, JPEG and WebP', async () => {
    expect(await readForeign(jpeg(tiff({ ImageDescription: a1111 })))).toMatchObject(read);
    const packet = xmpPacket(
      `<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">${escapeXml(a1111)}</rdf:li></rdf:Alt></exif:UserComment>`,
    );
    for (const file of [png({ 'XML:com.adobe.xmp': packet }), jpegWithXmp(packet), webpWithXmp(packet)])
      expect(await readForeign(file)).toMatchObject(read);
  });
  it('what a camera writes is no prompt', async () => {
    const exif = tiff(
      { Make: 'Canon', Model: 'EOS 5D', Software: 'Adobe' },
      COMMENT_FORMS.ascii('on the beach'),
    );
    expect(await readForeign(jpeg(exif))).toBeUndefined();
    const packet = xmpPacket(
      '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">A day out</rdf:li></rdf:Alt></dc:description>',
    );
    expect(await readForeign(jpegWithXmp(packet))).toBeUndefined();
  });
  it('a text that would unpack to far more than any picture says is left', async () => {
    expect(
      await readForeign(png({ parameters: `${' '.repeat(40 << 20)}\nSteps: 1` }, 'zTXt')),
    ).toBeUndefined();
  });
});

describe('AUTOMATIC1111 and those who write as it does', () => {
  const settings =
    'Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 42, Size: 768x512';
  const all = {
    prompt: 'a fox in snow',
    negative: 'blurry, text',
    seed: 42,
    steps: 28,
    guidance: 6.5,
    width: 768,
    height: 512,
    sampler: 'dpmpp-2m-karras',
    scheduler: 'Karras',
  };
  const head = 'a fox in snow\nNegative prompt: blurry, text\n';
  it.each([
    ['plain', `${head}${settings}`],
    ['a trailing line break', `${head}${settings}\n`],
    ['trailing blanks and lines', `${head}${settings} \n\n  `],
    ['lines of Windows', `${head}${settings}`.replaceAll('\n', '\r\n')],
    ['templates behind', `${head}${settings}\nTemplate: a {fox|cat}, Seed: 7\nNegative Template: blurry`],
    ['another field behind', `${head}${settings}\nTI hashes: "easy: 1"`],
    ['a field with a line break', `${head}${settings}, Hires prompt: "one\ntwo, three", Version: v1.10`],
    [
      'a field with a line break that has no quotes',
      `${head}${settings}, Hires prompt: one\ntwo, Version: v1.10`,
    ],
    ['all on one line', `a fox in snow Negative prompt: blurry, text ${settings}`],
    ['the settings alone behind a line', `a fox in snow Negative prompt: blurry, text\n${settings}`],
    [
      'the settings in another order',
      `${head}Seed: 42, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Steps: 28, Size: 768x512`,
    ],
    ['several lines each', `a fox\nin snow\nNegative prompt: blurry,\ntext\n${settings}`],
    [
      'JSON among the fields',
      `${head}${settings}, Civitai resources: [{"type":"checkpoint","modelName":"m, n"}]`,
    ],
  ])('%s', async (name, parameters) => {
    const { scheduler, ...rest } = all;
    expect(await readForeign(png({ parameters }))).toMatchObject(
      name === 'the settings in another order' ? rest : { ...rest, scheduler },
    );
  });

  it('words that speak of steps are words', async () => {
    const parameters = `a ladder, Steps: many\nSteps: 5 of stone\nNegative prompt: blurry\n${settings}`;
    expect(await readForeign(png({ parameters }))).toMatchObject({
      prompt: 'a ladder, Steps: many Steps: 5 of stone',
      negative: 'blurry',
      steps: 28,
    });
  });

  it('LoRAs, a model, fields with commas in quotes, a seed of 64 bits, no seed', async () => {
    const of = (fields: string) =>
      readForeign(png({ parameters: `a fox <lora:emoji:0.8> <lora:fine>\nSteps: 9, ${fields}` }));
    expect(
      await of('Model hash: abc, Model: dreamy_v8, Lora hashes: "a: 1, Seed: 2", Seed: 18446744073709551615'),
    ).toEqual({
      tool: 'AUTOMATIC1111',
      prompt: 'a fox <lora:emoji:0.8> <lora:fine>',
      negative: '',
      seed: '18446744073709551615',
      steps: 9,
      model: 'dreamy_v8',
      loras: [{ name: 'emoji', weight: 0.8 }, { name: 'fine' }],
    });
    const named = await of(
      'Lora hashes: "emoji: 1A2B3C4D5E6F, other: 99", Hashes: {"model": "aabbccddee", "lora:fine": "0123456789"}',
    );
    expect(named?.loras).toEqual([
      { name: 'emoji', weight: 0.8, hash: '1a2b3c4d5e6f' },
      { name: 'fine', hash: '0123456789' },
    ]);
    expect(await of('Seed: -1')).not.toHaveProperty('seed');
  });

  it.each([
    ['Euler a', '', 'euler-a'],
    ['DPM++ 2M Karras', '', 'dpmpp-2m-karras'],
    ['DPM++ 2M', 'Automatic', 'dpmpp-2m'],
    ['DDIM', '', 'ddim'],
    ['LCM', '', 'lcm'],
    ['DPM++ 2M SDE', 'Karras', 'DPM++ 2M SDE Karras'],
  ])('sampler %s, schedule %s: %s', async (sampler, schedule, name) => {
    const type = schedule === '' ? '' : `, Schedule type: ${schedule}`;
    const parameters = `x\nSteps: 1, Sampler: ${sampler}${type}`;
    expect(await readForeign(png({ parameters }))).toMatchObject({ sampler: name });
  });
});

describe('JSON of programs', () => {
  const common = { prompt: words, negative: 'mờ', seed: 581626448, steps: 25 };
  const swarm = {
    sui_image_params: {
      prompt: words,
      negativeprompt: 'mờ',
      model: 'dir/some_v1',
      seed: 581626448,
      steps: 25,
      cfgscale: 4.5,
      width: 1024,
      height: 768,
      sampler: 'dpmpp_2m',
      scheduler: 'karras',
      loras: ['one', 'two'],
      loraweights: ['0.5', '1'],
    },
    sui_extra_data: { date: '2024-01-01' },
  };
  it('SwarmUI: PNG and EXIF', async () => {
    const wanted = {
      tool: 'SwarmUI',
      ...common,
      guidance: 4.5,
      width: 1024,
      height: 768,
      sampler: 'dpmpp-2m-karras',
      model: 'dir/some_v1',
      loras: [
        { name: 'one', weight: 0.5 },
        { name: 'two', weight: 1 },
      ],
    };
    const text = JSON.stringify(swarm, null, 2);
    expect(await readForeign(png({ parameters: text }))).toMatchObject(wanted);
    expect(await readForeign(jpeg(tiff({}, COMMENT_FORMS.unicodeBig(text))))).toMatchObject(wanted);
  });

  it('Fooocus: its own scheme, its older labels, its kin', async () => {
    const now = {
      adm_guidance: '(1.5, 0.8, 0.3)',
      base_model: 'juggernautXL_v8Rundiffusion',
      guidance_scale: 4,
      loras: [['offset.safetensors', 0.1, 'abc']],
      metadata_scheme: 'fooocus',
      negative_prompt: 'mờ',
      prompt: words,
      resolution: '(1152, 896)',
      sampler: 'dpmpp_2m',
      scheduler: 'karras',
      seed: '581626448',
      steps: 25,
      version: 'Fooocus v2.5.5',
    };
    const wanted = {
      tool: 'Fooocus',
      ...common,
      guidance: 4,
      width: 1152,
      height: 896,
      sampler: 'dpmpp-2m-karras',
      model: 'juggernautXL_v8Rundiffusion',
    };
    const files = [
      png({ parameters: JSON.stringify(now), fooocus_scheme: 'fooocus' }),
      jpeg(tiff({ Software: 'Fooocus v2.5.5' }, COMMENT_FORMS.bare(JSON.stringify(now)))),
    ];
    for (const file of files)
      expect(await readForeign(file)).toMatchObject({
        ...wanted,
        loras: [{ name: 'offset.safetensors', weight: 0.1 }],
      });
    const labels = {
      Prompt: words,
      'Negative Prompt': 'mờ',
      Resolution: '(1152, 896)',
      Sampler: 'dpmpp_2m',
      Scheduler: 'karras',
      Seed: 581626448,
      Steps: 25,
      'Guidance Scale': 4,
      'Base Model': 'juggernautXL_v8Rundiffusion',
      'LoRA 1': 'offset.safetensors : 0.1',
      Version: 'v2.1.865',
    };
    expect(await readForeign(png({ parameters: JSON.stringify(labels) }))).toMatchObject(wanted);
    const mre = {
      prompt: words,
      negative_prompt: 'mờ',
      seed: 581626448,
      steps: 25,
      cfg: 4,
      width: 1152,
      height: 896,
      software: 'Fooocus-MRE 2.0.78',
    };
    expect(await readForeign(png({ Comment: JSON.stringify(mre) }))).toMatchObject({
      ...common,
      guidance: 4,
      width: 1152,
    });
  });

  it('InvokeAI: of each age', async () => {
    const now = {
      app_version: '5.4.0',
      positive_prompt: words,
      negative_prompt: 'mờ',
      width: 832,
      height: 1216,
      seed: 581626448,
      cfg_scale: 7.5,
      steps: 25,
      scheduler: 'dpmpp_2m_k',
      model: { key: 'k', name: 'dream', base: 'sdxl' },
      loras: [{ model: { name: 'fine' }, weight: 0.75 }],
    };
    const size = { width: 832, height: 1216 };
    expect(
      await readForeign(png({ invokeai_metadata: JSON.stringify(now), invokeai_graph: '{}' })),
    ).toMatchObject({
      tool: 'InvokeAI',
      ...common,
      ...size,
      guidance: 7.5,
      sampler: 'dpmpp-2m-karras',
      model: 'dream',
      loras: [{ name: 'fine', weight: 0.75 }],
    });
    const three = {
      ...now,
      model: { model_name: 'dream' },
      loras: [{ lora: { model_name: 'fine' }, weight: 0.75 }],
    };
    expect(await readForeign(png({ invokeai_metadata: JSON.stringify(three) }))).toMatchObject({
      model: 'dream',
      loras: [{ name: 'fine', weight: 0.75 }],
    });
    const old = {
      app_id: 'invoke-ai/InvokeAI',
      model_weights: 'sd-1.5',
      image: {
        prompt: [{ prompt: `${words} [mờ]`, weight: 1 }],
        steps: 25,
        cfg_scale: 7.5,
        sampler: 'k_euler_a',
        seed: 581626448,
        ...size,
      },
    };
    const dream = `"${words} [mờ]" -s 25 -S 581626448 -W 832 -H 1216 -C 7.5 -A k_euler_a`;
    for (const texts of [{ 'sd-metadata': JSON.stringify(old) }, { Dream: dream }])
      expect(await readForeign(png(texts))).toMatchObject({
        tool: 'InvokeAI',
        ...common,
        ...size,
        guidance: 7.5,
        sampler: 'euler-a',
      });
  });

  const comment = {
    prompt: words,
    uc: 'mờ',
    seed: 581626448,
    steps: 25,
    scale: 5,
    width: 832,
    height: 1216,
    sampler: 'k_euler_ancestral',
    noise_schedule: 'native',
  };
  const novel = {
    Title: 'AI generated image',
    Description: words,
    Software: 'NovelAI',
    Source: 'NovelAI Diffusion V4.5',
    Comment: JSON.stringify(comment),
  };
  const novelRead = {
    tool: 'NovelAI',
    ...common,
    guidance: 5,
    width: 832,
    height: 1216,
    sampler: 'euler-a',
    model: 'NovelAI Diffusion V4.5',
  };
  it('NovelAI: Comment, and the captions of version 4', async () => {
    expect(await readForeign(png(novel))).toMatchObject(novelRead);
    const v4 = {
      ...comment,
      v4_prompt: {
        caption: {
          base_caption: 'two friends',
          char_captions: [{ char_caption: 'girl' }, { char_caption: 'boy' }],
        },
      },
      v4_negative_prompt: { caption: { base_caption: 'mờ', char_captions: [] } },
    };
    expect(await readForeign(png({ ...novel, Comment: JSON.stringify(v4) }))).toMatchObject({
      prompt: 'two friends, girl, boy',
      negative: 'mờ',
    });
  });
  it.each(['stealth_pngcomp', 'stealth_pnginfo', 'stealth_rgbcomp', 'stealth_rgbinfo'])(
    'NovelAI and A1111: %s, in the lowest bits of the pixels',
    async (signature) => {
      const pack = (text: string) => (signature.endsWith('comp') ? gzipSync(text) : Buffer.from(text));
      expect(await readForeign(await stealthPng(signature, pack(JSON.stringify(novel))))).toMatchObject(
        novelRead,
      );
      expect(await readForeign(await stealthPng(signature, pack(a1111)))).toMatchObject(read);
    },
  );
  it('stealth: lengths that lie, bytes that are no gzip, a bomb', async () => {
    const file = await stealthPng('stealth_pngcomp', Buffer.from('not gzip'));
    expect(await readForeign(file)).toBeUndefined();
    expect(
      await readForeign(await stealthPng('stealth_pngcomp', gzipSync(' '.repeat(5 << 20)).subarray(0, 700))),
    ).toBeUndefined();
  });

  it('Easy Diffusion: a chunk each, labels, and EXIF', async () => {
    const keys = {
      prompt: words,
      negative_prompt: 'mờ',
      seed: '581626448',
      num_inference_steps: '25',
      guidance_scale: '7.5',
      width: '512',
      height: '768',
      sampler_name: 'euler_a',
      use_stable_diffusion_model: '/models/stable-diffusion/sd-v1-5.ckpt',
      use_lora_model: "['fine', 'other']",
      lora_alpha: '[0.5, 1.0]',
    };
    const wanted = {
      tool: 'Easy Diffusion',
      ...common,
      guidance: 7.5,
      width: 512,
      height: 768,
      sampler: 'euler-a',
      model: 'sd-v1-5.ckpt',
    };
    expect(await readForeign(png(keys))).toMatchObject({
      ...wanted,
      loras: [
        { name: 'fine', weight: 0.5 },
        { name: 'other', weight: 1 },
      ],
    });
    const json = JSON.stringify({ ...keys, seed: 581626448, use_lora_model: 'fine', lora_alpha: 0.5 });
    expect(await readForeign(jpeg(tiff({}, COMMENT_FORMS.unicodeBig(json))))).toMatchObject({
      ...wanted,
      loras: [{ name: 'fine', weight: 0.5 }],
    });
    const labels = {
      Prompt: words,
      'Negative Prompt': 'mờ',
      Seed: '581626448',
      Steps: '25',
      'Guidance Scale': '7.5',
      Width: '512',
      Height: '768',
      Sampler: 'euler_a',
      'Stable Diffusion model': 'sd-v1-5.ckpt',
    };
    expect(await readForeign(png(labels))).toMatchObject(wanted);
  });

  it('Draw Things: JSON in XMP, and its description', async () => {
    const json = {
      c: words,
      uc: 'mờ',
      seed: 581626448,
      steps: 25,
      scale: 7,
      size: '512x768',
      sampler: 'DPM++ 2M Karras',
      model: 'dream_q6p.ckpt',
      lora: [{ model: 'fine.ckpt', weight: 0.6 }],
    };
    const alt = (name: string, text: string) =>
      `<${name}><rdf:Alt><rdf:li xml:lang="x-default">${escapeXml(text)}</rdf:li></rdf:Alt></${name}>`;
    const wanted = {
      tool: 'Draw Things',
      ...common,
      guidance: 7,
      width: 512,
      height: 768,
      sampler: 'dpmpp-2m-karras',
      model: 'dream_q6p.ckpt',
    };
    const packet = xmpPacket(
      `${alt('exif:UserComment', JSON.stringify(json))}<xmp:CreatorTool>Draw Things</xmp:CreatorTool>`,
    );
    for (const file of [png({ 'XML:com.adobe.xmp': packet }), jpegWithXmp(packet)])
      expect(await readForeign(file)).toMatchObject({
        ...wanted,
        loras: [{ name: 'fine.ckpt', weight: 0.6 }],
      });
    const lines = `${words}\n-mờ\nSteps: 25, Sampler: DPM++ 2M Karras, Guidance Scale: 7.0, Seed: 581626448, Size: 512x768, Model: dream_q6p.ckpt, Strength: 1.0`;
    const described = xmpPacket(
      `${alt('dc:description', lines)}<xmp:CreatorTool>Draw Things</xmp:CreatorTool>`,
    );
    expect(await readForeign(png({ 'XML:com.adobe.xmp': described }))).toMatchObject(wanted);
  });

  it.each([
    ['an unknown object', '{"hello": "world", "steps": 3}'],
    ['an empty object', '{}'],
    ['a list', '["a fox"]'],
    ['JSON cut short', '{"sui_image_params": {"prompt": "a fox", "see'],
    ['a number', '5e3'],
  ])('%s is nothing to read', async (name, text) => {
    if (name !== 'a number') expect(await readForeign(png({ parameters: text }))).toBeUndefined();
    expect(await readForeign(png({ prompt: text, workflow: text, Comment: text }))).toBeUndefined();
  });
  it('braces alone make no JSON', async () => {
    expect(await readForeign(png({ parameters: '{red|blue} fox\nSteps: 3' }))).toMatchObject({
      prompt: '{red|blue} fox',
    });
  });
});

describe('strangers’ bytes', () => {
  it('are never an exception', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        await inspectPicture(bytes);
        await readForeign(jpeg(tiff({}, Buffer.from(bytes))));
      }),
      { numRuns: 60 },
    );
    const whole = [
      png({ parameters: a1111 }, 'zTXt'),
      webp(tiff({ Model: 'prompt:{}' }, COMMENT_FORMS.unicodeBig(a1111))),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...whole),
        fc.nat(400),
        fc.nat(255),
        fc.nat(400),
        async (file, at, value, length) => {
          const broken = Buffer.from(file);
          broken[at % broken.length] = value;
          await readForeign(broken);
          await readForeign(broken.subarray(0, length));
        },
      ),
      { numRuns: 60 },
    );
    expect(await readForeign(plainPng)).toBeUndefined();
  });
});
