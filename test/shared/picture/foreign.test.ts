import fc from 'fast-check';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { readForeign, readParameters } from '../../../shared/picture/foreign.ts';
import { withText } from '../../../shared/picture/png.ts';
import { comfyGraph as graph } from '../../fuzz/samples.ts';

let png: Buffer;
beforeAll(async () => {
  png = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#345' } })
    .png()
    .toBuffer();
});
const read = (texts: Record<string, string>) => readForeign(withText(png, texts));

describe('pictures of other programs', () => {
  it('AUTOMATIC1111: prompt, negative prompt over several lines, fields with commas in quotes', () => {
    const parameters = [
      'a fox in the snow, (night:1.2)',
      '<lora:emoji:0.8> detailed',
      'Negative prompt: blurry, text',
      'watermark',
      'Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 4294967295, Size: 768x512, Model hash: abc, Model: dreamy_v8, Lora hashes: "emoji: 12, b: 3", Version: v1.9.0',
    ].join('\n');
    expect(read({ parameters })).toEqual({
      tool: 'AUTOMATIC1111',
      prompt: 'a fox in the snow, (night:1.2) <lora:emoji:0.8> detailed',
      negative: 'blurry, text watermark',
      seed: 4294967295,
      steps: 28,
      guidance: 6.5,
      sampler: 'DPM++ 2M Karras',
      width: 768,
      height: 512,
      model: 'dreamy_v8',
    });
  });

  it('ComfyUI: along the wires, through nodes in between', () => {
    expect(read({ prompt: JSON.stringify(graph), workflow: '{}' })).toEqual({
      tool: 'ComfyUI',
      prompt: 'a castle by the lake',
      negative: 'text, watermark',
      seed: 156680208700286,
      steps: 20,
      guidance: 8,
      sampler: 'euler',
      width: 512,
      height: 768,
      model: 'v1-5-pruned.safetensors',
    });
  });

  it('ComfyUI: NaN, and a workflow alone', () => {
    const text = JSON.stringify(graph).replace('"denoise":1', '"denoise":NaN');
    expect(read({ prompt: text })?.steps).toBe(20);
    const workflow = JSON.stringify({
      nodes: [
        { type: 'CLIPTextEncode', widgets_values: ['a rose'] },
        { type: 'CLIPTextEncode', widgets_values: ['ugly'] },
        { type: 'KSampler', widgets_values: [5, 'fixed', 12, 7.5, 'dpmpp_2m', 'karras', 1] },
        { type: 'EmptyLatentImage', widgets_values: [640, 640, 1] },
      ],
    });
    expect(read({ workflow })).toMatchObject({
      prompt: 'a rose',
      negative: 'ugly',
      seed: 5,
      steps: 12,
      guidance: 7.5,
      width: 640,
    });
  });

  it('wires in a circle come to an end', () => {
    const circle = {
      '1': { class_type: 'KSampler', inputs: { positive: ['2', 0], negative: ['2', 0], seed: 1 } },
      '2': { class_type: 'Combine', inputs: { a: ['2', 0], b: ['3', 0] } },
      '3': { class_type: 'Combine', inputs: { a: ['2', 0] } },
    };
    expect(read({ prompt: JSON.stringify(circle) })).toMatchObject({ prompt: '', seed: 1 });
  });

  it('many ways to a node are no more work than one, and a shorter way still counts', () => {
    const layers = (deep: number, wide: number, last: object): string => {
      const wires = (to: number) =>
        Object.fromEntries(Array.from({ length: wide }, (_, k) => [`i${k}`, [`${to}`, k]]));
      const nodes = Array.from({ length: deep }, (_, n) => [
        n,
        { class_type: 'Combine', inputs: wires(n + 1) },
      ]);
      const inputs = {
        seed: 1,
        positive: ['0', 0],
        negative: ['0', 0],
        latent_image: ['0', 0],
        model: ['0', 0],
      };
      const sampler = { class_type: 'KSampler', inputs };
      return JSON.stringify({ sampler, ...Object.fromEntries(nodes), [deep]: last });
    };
    const began = performance.now();
    expect(read({ prompt: layers(13, 4, { class_type: 'None', inputs: {} }) })).toMatchObject({ prompt: '' });
    expect(read({ prompt: layers(10, 4, { class_type: 'Text', inputs: { text: 'here' } }) })?.prompt).toBe(
      'here',
    );
    expect(performance.now() - began).toBeLessThan(1000);

    // By `long` the node is met where it is too far to go on, by `short` soon enough.
    const chain = Array.from({ length: 12 }, (_, n) => [
      `c${n}`,
      { class_type: 'Next', inputs: { next: [n === 11 ? 'node' : `c${n + 1}`, 0] } },
    ]);
    const prompt = JSON.stringify({
      '1': { class_type: 'KSampler', inputs: { positive: ['2', 0], negative: ['3', 0] } },
      '2': { class_type: 'Combine', inputs: { long: ['c1', 0], short: ['node', 0] } },
      '3': { class_type: 'None', inputs: {} },
      ...Object.fromEntries(chain),
      node: { class_type: 'Next', inputs: { next: ['text', 0] } },
      text: { class_type: 'Text', inputs: { text: 'found' } },
    });
    expect(read({ prompt })).toMatchObject({ prompt: 'found' });
  });

  it('a graph of more nodes than anybody draws is not read', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`n${n}`, graph['4']]));
    expect(read({ prompt: JSON.stringify({ ...many, ...graph }) })).toBeUndefined();
    const nodes = Array.from({ length: 5001 }, () => ({ type: 'KSampler', widgets_values: [1] }));
    expect(read({ workflow: JSON.stringify({ nodes }) })).toBeUndefined();
  });

  it.each([
    ['blanks', `Steps: 1, ${' '.repeat(20_000)}x`],
    ['blanks after a colon', `Steps: 1, Seed:${' '.repeat(20_000)}x`],
    ['tabs between names', `Steps: 1, ${'a\t'.repeat(20_000)}`],
    ['open quotes', `Steps: 1, ${'a:"\\",'.repeat(5_000)}`],
    ['words', `Steps: 1, ${'word '.repeat(20_000)}`],
  ])('a last line of many %s is read at once', (_, last) => {
    const began = performance.now();
    readParameters(`a fox\n${last}`);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('no bytes and no text make it throw', () => {
    expect(readForeign(png)).toBeUndefined();
    expect(readForeign(Buffer.from('not a png'))).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        readParameters(text);
        read({ prompt: text.replaceAll('\0', ''), workflow: text.replaceAll('\0', '') });
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        read({ prompt: JSON.stringify(value), workflow: JSON.stringify(value) });
      }),
    );
    const long = `${'Steps: 1, '.repeat(50_000)}Seed: 1`;
    const began = performance.now();
    readParameters(long);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
