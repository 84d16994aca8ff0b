import { describe, expect, it } from 'vitest';
import { readForeign } from '../../../shared/picture/foreign/index.ts';
import { COMMENT_FORMS, jpeg, png, tiff, webp } from './files.ts';

type Nodes = Record<string, { class_type: string; inputs: Record<string, unknown> }>;
const node = (class_type: string, inputs: Record<string, unknown> = {}) => ({ class_type, inputs });

/** The graph that ComfyUI opens with. */
const base: Nodes = {
  '3': node('KSampler', {
    seed: 42,
    steps: 20,
    cfg: 8,
    sampler_name: 'dpmpp_2m',
    scheduler: 'karras',
    denoise: 1,
    model: ['4', 0],
    positive: ['6', 0],
    negative: ['7', 0],
    latent_image: ['5', 0],
  }),
  '4': node('CheckpointLoaderSimple', { ckpt_name: 'm.safetensors' }),
  '5': node('EmptyLatentImage', { width: 832, height: 1216, batch_size: 1 }),
  '6': node('CLIPTextEncode', { text: 'a lighthouse', clip: ['4', 1] }),
  '7': node('CLIPTextEncode', { text: 'blurry', clip: ['4', 1] }),
  '8': node('VAEDecode', { samples: ['3', 0], vae: ['4', 2] }),
  '9': node('SaveImage', { images: ['8', 0] }),
};
const with3 = (inputs: Record<string, unknown>, nodes: Nodes = {}): Nodes => ({
  ...base,
  ...nodes,
  '3': node('KSampler', { ...base['3']?.inputs, ...inputs }),
});
const wanted = {
  tool: 'ComfyUI',
  prompt: 'a lighthouse',
  negative: 'blurry',
  seed: 42,
  steps: 20,
  guidance: 8,
  width: 832,
  height: 1216,
  sampler: 'dpmpp-2m-karras',
  scheduler: 'karras',
  model: 'm.safetensors',
};
const read = (graph: unknown) =>
  readForeign(png({ prompt: typeof graph === 'string' ? graph : JSON.stringify(graph) }, 'tEXt'));

describe('where the graph stands', () => {
  const prompt = JSON.stringify(base);
  it.each<[string, Buffer]>([
    ['PNG tEXt', png({ prompt, workflow: '{}' }, 'tEXt')],
    ['PNG iTXt, compressed', png({ prompt }, 'iTXtCompressed')],
    ['WebP, EXIF Model and Make', webp(tiff({ Model: `prompt:${prompt}`, Make: 'workflow:{}' }))],
    ['WebP, with the prefix of JPEG', webp(tiff({ Model: `prompt:${prompt}` }), 'Exif\0\0')],
    ['JPEG, the same', jpeg(tiff({ Make: `Prompt: ${prompt}`, ImageDescription: 'Workflow: {}' }))],
    [
      'EXIF UserComment, both in one JSON',
      jpeg(tiff({}, COMMENT_FORMS.unicodeBig(`{"prompt": ${prompt}, "workflow": {}}`))),
    ],
  ])('%s', async (_, file) => {
    expect(await readForeign(file)).toEqual(wanted);
  });
  it('a text of AUTOMATIC1111 beside it is read first', async () => {
    expect(await readForeign(png({ prompt, parameters: 'a fox\nSteps: 3, Seed: 7' }))).toMatchObject({
      seed: 7,
    });
  });
});

describe('JSON as Python writes it', () => {
  const text = JSON.stringify(base);
  it.each([
    ['NaN', text.replace('"denoise":1', '"denoise":NaN'), {}],
    ['Infinity', text.replace('"denoise":1', '"denoise":-Infinity'), {}],
    [
      'NaN in words',
      text.replace('a lighthouse', 'NaN bread, \\"Infinity\\"'),
      { prompt: 'NaN bread, "Infinity"' },
    ],
    ['a seed of 64 bits', text.replace('42', '18446744073709551615'), { seed: '18446744073709551615' }],
    ['the largest safe seed', text.replace('42', '9007199254740991'), { seed: 9007199254740991 }],
    ['one beyond', text.replace('42', '9007199254740993'), { seed: '9007199254740993' }],
    [
      'digits in words',
      text.replace('a lighthouse', '12345678901234567890'),
      { prompt: '12345678901234567890' },
    ],
  ])('%s', async (_, json, values) => {
    expect(await read(json)).toEqual({ ...wanted, ...values });
  });
});

describe('which words reach which side', () => {
  const control = { positive: ['6', 0], negative: ['7', 0], control_net: ['10', 0], image: ['11', 0] };
  const encode = (text: unknown) => ({ '6': node('CLIPTextEncode', { text, clip: ['4', 1] }) });
  const a = node('PrimitiveStringMultiline', { value: 'a lighthouse' });
  it.each<[string, Nodes, object?]>([
    ['ids of wires as numbers', with3({ positive: [6, 0], negative: [7, 0] })],
    [
      'ControlNetApplyAdvanced: output 0 and 1',
      with3({ positive: ['12', 0], negative: ['12', 1] }, { '12': node('ControlNetApplyAdvanced', control) }),
    ],
    [
      'two of them, one behind the other',
      with3(
        { positive: ['13', 0], negative: ['13', 1] },
        {
          '12': node('ControlNetApplyAdvanced', control),
          '13': node('ControlNetApplySD3', { ...control, positive: ['12', 0], negative: ['12', 1] }),
        },
      ),
    ],
    [
      'outputs wired crosswise',
      with3({ positive: ['12', 1], negative: ['12', 0] }, { '12': node('ControlNetApplyAdvanced', control) }),
      { prompt: 'blurry', negative: 'a lighthouse' },
    ],
    [
      'ControlNetApply',
      with3(
        { positive: ['12', 0] },
        {
          '12': node('ControlNetApply', { control_net: ['10', 0], image: ['11', 0], conditioning: ['6', 0] }),
        },
      ),
    ],
    [
      'ConditioningZeroOut',
      with3({ negative: ['12', 0] }, { '12': node('ConditioningZeroOut', { conditioning: ['6', 0] }) }),
      { negative: '' },
    ],
    [
      'ConditioningCombine',
      with3(
        { positive: ['12', 0] },
        {
          '12': node('ConditioningCombine', { conditioning_1: ['6', 0], conditioning_2: ['13', 0] }),
          '13': node('CLIPTextEncode', { text: 'at dusk' }),
        },
      ),
      { prompt: 'a lighthouse, at dusk' },
    ],
    [
      'ConditioningConcat: "to" before "from"',
      with3(
        { positive: ['12', 0] },
        {
          '12': node('ConditioningConcat', { conditioning_from: ['13', 0], conditioning_to: ['6', 0] }),
          '13': node('CLIPTextEncode', { text: 'at dusk' }),
        },
      ),
      { prompt: 'a lighthouse, at dusk' },
    ],
    [
      'SDXL: text_g and text_l',
      with3({}, { '6': node('CLIPTextEncodeSDXL', { width: 1024, text_g: 'a lighthouse', text_l: 'oil' }) }),
    ],
    [
      'SDXL: text_g empty',
      with3({}, { '6': node('CLIPTextEncodeSDXL', { text_g: '', text_l: 'a lighthouse' }) }),
    ],
    [
      'Flux: t5xxl',
      with3({}, { '6': node('CLIPTextEncodeFlux', { clip_l: '', t5xxl: 'a lighthouse', guidance: 3.5 }) }),
    ],
    [
      'Flux: clip_l alone',
      with3({}, { '6': node('CLIPTextEncodeFlux', { clip_l: 'a lighthouse', t5xxl: '', guidance: 3.5 }) }),
    ],
    [
      'SD3: clip_g',
      with3({}, { '6': node('CLIPTextEncodeSD3', { clip_l: 'x', clip_g: 'a lighthouse', t5xxl: '' }) }),
    ],
    ['a primitive', with3({}, { ...encode(['20', 0]), '20': a })],
    [
      'populated_text',
      with3(
        {},
        {
          ...encode(['20', 0]),
          '20': node('ImpactWildcardProcessor', {
            wildcard_text: 'a {x|y}',
            populated_text: 'a lighthouse',
            mode: 'populate',
            seed: 3,
          }),
        },
      ),
    ],
    [
      'ImpactWildcardEncode',
      with3(
        { positive: ['20', 2] },
        {
          '20': node('ImpactWildcardEncode', {
            model: ['4', 0],
            clip: ['4', 1],
            wildcard_text: 'a {x|y}',
            populated_text: 'a lighthouse',
          }),
        },
      ),
    ],
    [
      'StringConcatenate',
      with3(
        {},
        {
          ...encode(['20', 0]),
          '20': node('StringConcatenate', { string_a: 'a', string_b: ['21', 0], delimiter: ' ' }),
          '21': node('PrimitiveString', { value: 'lighthouse' }),
        },
      ),
    ],
    [
      'Text Concatenate, four of them',
      with3(
        {},
        {
          ...encode(['20', 0]),
          '20': node('Text Concatenate', {
            delimiter: ', ',
            clean_whitespace: 'true',
            text_b: 'b',
            text_a: ['21', 0],
            text_c: '',
            text_d: 'd',
          }),
          '21': node('Text Multiline', { text: 'a' }),
        },
      ),
      { prompt: 'a, b, d' },
    ],
    [
      'StringFunction',
      with3(
        {},
        {
          ...encode(['20', 0]),
          '20': node('StringFunction|pysssss', {
            action: 'append',
            tidy_tags: 'yes',
            text_a: 'a',
            text_b: 'b',
            text_c: '',
          }),
        },
      ),
      { prompt: 'a, b' },
    ],
    [
      'ShowText between',
      with3({}, { ...encode(['20', 0]), '20': node('ShowText|pysssss', { text: ['21', 0] }), '21': a }),
    ],
    [
      'a styler with two outputs',
      with3(
        { positive: ['6', 0], negative: ['7', 0] },
        {
          ...encode(['20', 0]),
          '7': node('CLIPTextEncode', { text: ['20', 1] }),
          '20': node('SDXLPromptStyler', {
            text_positive: 'a lighthouse',
            text_negative: 'blurry',
            style: 'base',
          }),
        },
      ),
    ],
    [
      'a switch',
      with3(
        { positive: ['20', 0] },
        { '20': node('ImpactSwitch', { select: 2, input1: ['7', 0], input2: ['6', 0] }) },
      ),
    ],
    [
      'Efficient Loader',
      {
        '1': node('Efficient Loader', {
          ckpt_name: 'm.safetensors',
          lora_name: 'fine',
          lora_model_strength: 0.5,
          positive: 'a lighthouse',
          negative: 'blurry',
          empty_latent_width: 832,
          empty_latent_height: 1216,
        }),
        '2': node('KSampler (Efficient)', {
          ...base['3']?.inputs,
          model: ['1', 0],
          positive: ['1', 1],
          negative: ['1', 2],
          latent_image: ['1', 3],
        }),
      },
      { loras: [{ name: 'fine', weight: 0.5 }] },
    ],
    [
      'a pipe',
      {
        '1': node('easy fullLoader', {
          ckpt_name: 'm.safetensors',
          resolution: '832 x 1216',
          empty_latent_width: 832,
          empty_latent_height: 1216,
          positive: 'a lighthouse',
          negative: ['9', 0],
        }),
        '2': node('easy fullkSampler', {
          pipe: ['1', 0],
          steps: 20,
          cfg: 8,
          sampler_name: 'dpmpp_2m',
          scheduler: 'karras',
          denoise: 1,
          seed: 42,
        }),
        '9': node('easy negative', { negative: 'blurry' }),
      },
    ],
  ])('%s', async (_, graph, values = {}) => {
    expect(await read(graph)).toEqual({ ...wanted, ...values });
  });
});

describe('which sampler began it', () => {
  const second = (inputs: Record<string, unknown>) =>
    node('KSampler', { ...base['3']?.inputs, seed: 7, steps: 9, ...inputs });
  it.each<[string, Nodes]>([
    [
      'a second pass with a smaller id',
      {
        ...base,
        '1': second({ latent_image: ['2', 0], denoise: 0.5 }),
        '2': node('LatentUpscale', { samples: ['3', 0], width: 1664, height: 2432 }),
        '8': node('VAEDecode', { samples: ['1', 0] }),
      },
    ],
    [
      'a second pass over the decoded picture',
      {
        ...base,
        '1': second({ latent_image: ['2', 0] }),
        '2': node('VAEEncode', { pixels: ['8', 0], vae: ['4', 2] }),
        '9': node('SaveImage', { images: ['10', 0] }),
        '10': node('VAEDecode', { samples: ['1', 0] }),
      },
    ],
    [
      'a refiner without noise',
      {
        ...base,
        '1': node('KSamplerAdvanced', {
          ...base['3']?.inputs,
          add_noise: 'disable',
          noise_seed: 1,
          start_at_step: 16,
          latent_image: ['3', 0],
        }),
      },
    ],
    ['one that reaches no picture', { '1': second({}), ...base }],
    [
      'a detailer',
      {
        '1': node('FaceDetailer', {
          image: ['8', 0],
          positive: ['7', 0],
          negative: ['6', 0],
          seed: 1,
          steps: 5,
          cfg: 1,
          sampler_name: 'lcm',
          scheduler: 'simple',
        }),
        ...base,
      },
    ],
  ])('%s', async (_, graph) => {
    expect(await read(graph)).toEqual(wanted);
  });

  const custom = (guider: Nodes, inputs: Record<string, unknown> = {}): Nodes => ({
    ...base,
    ...guider,
    '3': node('SamplerCustomAdvanced', {
      noise: ['25', 0],
      guider: ['22', 0],
      sampler: ['16', 0],
      sigmas: ['17', 0],
      latent_image: ['5', 0],
      ...inputs,
    }),
    '16': node('KSamplerSelect', { sampler_name: 'dpmpp_2m' }),
    '17': node('BasicScheduler', { scheduler: 'karras', steps: 20, denoise: 1, model: ['4', 0] }),
    '25': node('RandomNoise', { noise_seed: 42 }),
  });
  it('SamplerCustomAdvanced: CFGGuider, BasicGuider, linked guidance', async () => {
    const cfg = node('CFGGuider', { cfg: 8, model: ['4', 0], positive: ['6', 0], negative: ['7', 0] });
    expect(await read(custom({ '22': cfg }))).toEqual(wanted);
    const basic = {
      '22': node('BasicGuider', { model: ['4', 0], conditioning: ['26', 0] }),
      '26': node('FluxGuidance', { guidance: 3.5, conditioning: ['6', 0] }),
    };
    expect(await read(custom(basic))).toEqual({ ...wanted, negative: '', guidance: 3.5 });
    const linked = custom(
      { '22': cfg, '40': node('SplitSigmas', { sigmas: ['17', 0], step: 3 }) },
      { sigmas: ['40', 0] },
    );
    expect(await read(linked)).toEqual(wanted);
  });
  it('SamplerCustom with a schedule of its own', async () => {
    const graph = {
      ...base,
      '3': node('SamplerCustom', {
        add_noise: true,
        noise_seed: 42,
        cfg: 8,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['7', 0],
        sampler: ['16', 0],
        sigmas: ['17', 0],
        latent_image: ['5', 0],
      }),
      '16': node('KSamplerSelect', { sampler_name: 'dpmpp_2m' }),
      '17': node('KarrasScheduler', { steps: 20, sigma_max: 14.6, sigma_min: 0.03, rho: 7 }),
    };
    expect(await read(graph)).toEqual(wanted);
  });
});

describe('what is linked', () => {
  it.each<[string, Nodes, object?]>([
    ['seed', with3({ seed: ['20', 0] }, { '20': node('PrimitiveInt', { value: 42 }) })],
    ['seed of a node of its own', with3({ seed: ['20', 3] }, { '20': node('Seed (rgthree)', { seed: 42 }) })],
    [
      'seed through a reroute',
      with3(
        { seed: ['21', 0] },
        { '21': node('Reroute', { '': ['20', 0] }), '20': node('INTConstant', { value: 42 }) },
      ),
    ],
    [
      'width',
      {
        ...base,
        '5': node('EmptyLatentImage', { width: ['20', 0], height: ['21', 0] }),
        '20': node('PrimitiveInt', { value: 832 }),
        '21': node('Int Literal', { int: 1216 }),
      },
    ],
    [
      'both of one node',
      {
        ...base,
        '5': node('EmptyLatentImage', { width: ['20', 0], height: ['20', 1] }),
        '20': node('Size', { width: 832, height: 1216 }),
      },
    ],
    [
      'both of one text',
      {
        ...base,
        '5': node('EmptyLatentImage', { width: ['20', 0], height: ['20', 1] }),
        '20': node('Resolutions', { resolution: '832x1216 (0.68)' }),
      },
    ],
    [
      'a picker that makes the latent',
      { ...base, '5': node('SDXLEmptyLatentSizePicker+', { resolution: '832x1216 (0.68)', batch_size: 1 }) },
    ],
    [
      'steps, guidance, sampler',
      with3(
        { steps: ['20', 0], cfg: ['21', 0], sampler_name: ['22', 0] },
        {
          '20': node('PrimitiveInt', { value: 20 }),
          '21': node('PrimitiveFloat', { value: 8 }),
          '22': node('Sampler Selector', { sampler_name: 'dpmpp_2m' }),
        },
      ),
    ],
    [
      'a model behind two LoRAs',
      with3(
        { model: ['31', 0] },
        {
          '31': node('LoraLoader', { lora_name: 'b', strength_model: 1, model: ['30', 0] }),
          '30': node('LoraLoaderModelOnly', { lora_name: 'a', strength_model: 0.4, model: ['4', 0] }),
        },
      ),
      {
        loras: [
          { name: 'b', weight: 1 },
          { name: 'a', weight: 0.4 },
        ],
      },
    ],
    [
      'rgthree’s loader',
      with3(
        { model: ['31', 0] },
        {
          '31': node('Power Lora Loader (rgthree)', {
            lora_1: { on: true, lora: 'a', strength: 0.7 },
            lora_2: { on: false, lora: 'b', strength: 1 },
            model: ['4', 0],
          }),
        },
      ),
      { loras: [{ name: 'a', weight: 0.7 }] },
    ],
    [
      'a UNet of its own',
      with3({ model: ['31', 0] }, { '31': node('UNETLoader', { unet_name: 'm.safetensors' }) }),
    ],
  ])('%s', async (_, graph, values = {}) => {
    expect(await read(graph)).toEqual({ ...wanted, ...values });
  });
});

describe('a drawing without the graph', () => {
  const drawing = (change: (nodes: Record<string, unknown>[], links: unknown[]) => void = () => {}) => {
    const nodes: Record<string, unknown>[] = [
      { id: 7, type: 'CLIPTextEncode', widgets_values: ['blurry'] },
      { id: 6, type: 'CLIPTextEncode', widgets_values: ['a lighthouse'] },
      {
        id: 3,
        type: 'KSampler',
        widgets_values: [42, 'randomize', 20, 8, 'dpmpp_2m', 'karras', 1],
        inputs: [
          { name: 'model', link: 1 },
          { name: 'positive', link: 4 },
          { name: 'negative', link: 6 },
          { name: 'latent_image', link: 2 },
        ],
      },
      { id: 5, type: 'EmptyLatentImage', widgets_values: [832, 1216, 1] },
      { id: 4, type: 'CheckpointLoaderSimple', widgets_values: ['m.safetensors'] },
    ];
    const links: unknown[] = [
      [1, 4, 0, 3, 0, 'MODEL'],
      [2, 5, 0, 3, 3, 'LATENT'],
      [4, 6, 0, 3, 1, 'CONDITIONING'],
      [6, 7, 0, 3, 2, 'CONDITIONING'],
    ];
    change(nodes, links);
    return readForeign(png({ workflow: JSON.stringify({ nodes, links }) }));
  };
  it('its links say which text is which', async () => {
    expect(await drawing()).toEqual(wanted);
  });
  it.each(['constructor', 'toString', '__proto__'])(
    'a node of the type %s is one that nobody knows',
    async (type) => {
      expect(await drawing((nodes) => nodes.push({ id: 9, type, widgets_values: [1, 2] }))).toEqual(wanted);
      expect(await drawing((nodes) => Object.assign(nodes[1]!, { type }))).toBeDefined();
    },
  );
  it('a sampler called like what every object has is said as it stands', async () => {
    const values = [42, 'randomize', 20, 8, 'constructor', 'normal', 1];
    expect(await drawing((nodes) => Object.assign(nodes[2]!, { widgets_values: values }))).toMatchObject({
      sampler: 'constructor',
    });
  });
  it('links by name; no control behind the seed; the control itself as a text', async () => {
    expect(
      await drawing((nodes, links) => {
        links.splice(
          0,
          links.length,
          ...[
            [1, 4, 0],
            [2, 5, 0],
            [4, 6, 0],
            [6, 7, 0],
          ].map(([id, origin_id, origin_slot]) => ({ id, origin_id, origin_slot })),
        );
        (nodes[2] as Record<string, unknown>)['widgets_values'] = [42, 20, 8, 'dpmpp_2m', 'karras', 1];
        (nodes[1] as Record<string, unknown>)['widgets_values'] = ['fixed'];
      }),
    ).toEqual({ ...wanted, prompt: 'fixed' });
  });
  it('a widget that became an input; nodes bypassed, muted and by name', async () => {
    expect(
      await drawing((nodes, links) => {
        (nodes[1] as Record<string, unknown>)['inputs'] = [
          { name: 'text', link: 9, widget: { name: 'text' } },
        ];
        nodes.push(
          { id: 20, type: 'GetNode', widgets_values: ['words'] },
          { id: 21, type: 'SetNode', widgets_values: ['words'], inputs: [{ name: 'STRING', link: 10 }] },
          { id: 22, type: 'PrimitiveNode', widgets_values: ['a lighthouse', 'fixed'] },
          {
            id: 30,
            type: 'LoraLoader',
            mode: 4,
            widgets_values: ['x', 1, 1],
            inputs: [{ name: 'model', type: 'MODEL', link: 11 }],
            outputs: [{ type: 'MODEL' }],
          },
          { id: 1, type: 'KSampler', mode: 2, widgets_values: [1, 'fixed', 1, 1, 'lcm', 'simple', 1] },
        );
        links[0] = [1, 30, 0, 3, 0, 'MODEL'];
        links.push([9, 20, 0, 6, 1, 'STRING'], [10, 22, 0, 21, 0, 'STRING'], [11, 4, 0, 30, 0, 'MODEL']);
      }),
    ).toEqual(wanted);
  });
  it('a node that nobody knows names its own widgets', async () => {
    expect(
      await drawing((nodes) => {
        nodes[1] = {
          id: 6,
          type: 'Encoder of mine',
          widgets_values: [3, 'fixed', 'a lighthouse'],
          inputs: [
            { name: 'seed', widget: { name: 'seed' } },
            { name: 'text', widget: { name: 'text' } },
          ],
        };
      }),
    ).toEqual(wanted);
  });
  it('without links: a title, else the order', async () => {
    const nodes = (title: string) => [
      { type: 'CLIPTextEncode', title, widgets_values: ['one'] },
      { type: 'CLIPTextEncode', widgets_values: ['two'] },
      { type: 'KSampler', widgets_values: [5, 'fixed', 12, 7.5, 'dpmpp_2m', 'karras', 1] },
    ];
    const of = (title: string) => readForeign(png({ workflow: JSON.stringify({ nodes: nodes(title) }) }));
    expect(await of('')).toMatchObject({ prompt: 'one', negative: 'two', seed: 5 });
    expect(await of('Negative')).toMatchObject({ prompt: 'two', negative: 'one' });
  });
});

describe('graphs of strangers', () => {
  it('wires in a circle come to an end', async () => {
    const circle = {
      '1': node('KSampler', { positive: ['2', 0], negative: ['2', 0], latent_image: ['2', 0], seed: 1 }),
      '2': node('Combine', { a: ['2', 0], b: ['3', 0] }),
      '3': node('Combine', { a: ['2', 0] }),
    };
    expect(await read(circle)).toMatchObject({ prompt: '', seed: 1 });
  });
  it('many ways to a node are no more work than one, and a long chain is followed', async () => {
    const layers = (deep: number, wide: number, last: object) => {
      const wires = (to: number) =>
        Object.fromEntries(Array.from({ length: wide }, (_, k) => [`i${k}`, [`${to}`, k]]));
      const nodes = Array.from({ length: deep }, (_, n) => [n, node('Mix', wires(n + 1))]);
      const ends = {
        seed: 1,
        positive: ['0', 0],
        negative: ['0', 0],
        latent_image: ['0', 0],
        model: ['0', 0],
      };
      return { sampler: node('KSampler', ends), ...Object.fromEntries(nodes), [deep]: last };
    };
    expect(await read(layers(300, 4, node('None')))).toMatchObject({ prompt: '' });
    expect(await read(layers(40, 4, node('Text', { text: 'here' })))).toMatchObject({ prompt: 'here' });
    expect(await read(layers(4000, 1, node('Text', { text: 'here' })))).toMatchObject({ prompt: '' });
  });
  it('more nodes than anybody draws are not read; odd nodes are left out', async () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`n${n}`, base['4']]));
    expect(await read({ ...many, ...base })).toBeUndefined();
    expect(
      await read({
        ...base,
        '90': null,
        '91': 3,
        '92': { class_type: 1 },
        '93': { class_type: 'x', inputs: [] },
      }),
    ).toEqual(wanted);
    expect(
      await read(JSON.stringify(base).replace('{', '{"__proto__":{"class_type":"x","inputs":{}},')),
    ).toEqual(wanted);
  });
});
