import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { adapterNameOf } from '../../../shared/picture/lora.ts';
import { parametersText } from '../../../shared/picture/png.ts';
import { recipeSchema } from '../../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../../shared/picture/resolve.ts';
import type { ModelCard, RenderRequest } from '../../../shared/queue/job.ts';
import { adapterCommands } from '../../../worker/cli/loraStore.ts';
import { openAdapterStore } from '../../../worker/models/adapterStore.ts';
import { describeLora } from '../../../worker/models/describeAdapter.ts';
import { card } from '../../shared/prompt/models.ts';
import { data } from './import/cases.ts';

let models: string;
const kohya = join(data, 'lora/sd15/kohya.safetensors');
beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-loras-'));
  await mkdir(join(models, 'loras'));
});
afterAll(() => rm(models, { recursive: true, force: true }));

describe('LoRAs beside the models', () => {
  it('are found when they come, overruled by a note, and gone when they go', async () => {
    const store = await openAdapterStore(models);
    expect(store.loras).toEqual([]);
    const file = join(models, 'loras/Pixel Art (v2).safetensors');
    await copyFile(kohya, file);
    await store.refresh();
    expect(store.loras[0]!.card).toMatchObject({ name: 'Pixel-Art-v2-', base: 'sd1', weight: 1, words: [] });
    const { sha256, tensors } = store.loras[0]!.card;
    const bytes = await readFile(file);
    const body = bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(tensors).toBe(createHash('sha256').update(body).digest('hex'));
    expect(store.find('loras', 'pixel-art-v2-', sha256)).toBe(file);
    expect(store.find('loras', 'pixel-art-v2-', '0'.repeat(64))).toBeUndefined();
    await writeFile(file.replace('.safetensors', '.json'), '{"weight":0.7,"words":["pixel art"]}');
    await store.refresh();
    expect(store.loras[0]!.card).toMatchObject({ weight: 0.7, words: ['pixel art'] });
    await writeFile(file.replace('.safetensors', '.json'), '{"weight":"much"}');
    await store.refresh();
    expect(store.loras).toEqual([]);
    expect(store.problems[0]).toContain('weight');
    await rm(file);
    await store.refresh();
    expect(store.problems).toEqual([]);
  });

  it('are found in a model too; of two of one name, the one beside the models counts', async () => {
    const own = join(models, 'pixie/loras/ink.safetensors');
    await mkdir(join(models, 'pixie/loras'), { recursive: true });
    await copyFile(kohya, own);
    const store = await openAdapterStore(models);
    expect(store.find('loras', 'ink', store.loras[0]!.card.sha256)).toBe(own);
    const beside = join(models, 'loras/ink.safetensors');
    await copyFile(join(data, 'lora/sd15/loha.safetensors'), beside);
    await store.refresh();
    expect(store.loras.map(({ file }) => file)).toEqual([beside]);
    await Promise.all([own, beside].map((file) => rm(file)));
    await store.refresh();
    expect(store.loras).toEqual([]);
  });

  it('are taken in, listed and removed from the command line', async () => {
    vi.stubEnv('MODELS_DIR', models);
    const said: string[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => said.push(String(text)) > 0);
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
    const loras = adapterCommands('loras');
    const codes = [
      await loras(['add', kohya, '--as', 'pixelart']),
      await loras(['add', kohya, '--as', 'pixelart']),
    ];
    codes.push(
      await loras(['list', '--json']),
      await loras(['remove', 'pixelart', '--yes']),
      await loras(['remove', 'x', '--yes']),
    );
    codes.push(await loras(['add', join(data, 'hostile/expected.json')]));
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    expect(codes).toEqual([0, 1, 0, 0, 1, 1]);
    expect(said[0]).toContain('pixelart is installed (SD 1). In a prompt: <lora:pixelart:1>');
    expect(said.join('')).toContain('There is pixelart already');
    expect(said.join('')).toContain('"name": "pixelart"');
    expect((await openAdapterStore(models)).loras).toEqual([]);
  });

  it('are called what can be typed', () => {
    expect(adapterNameOf('/x/My LoRA: v1.safetensors')).toBe('My-LoRA-v1');
    expect(adapterNameOf('..hidden.SAFETENSORS')).toBe('hidden');
  });

  it('say what wakes them, and what those for few steps want', () => {
    const of = (file: string, metadata: Record<string, string> = {}) =>
      describeLora({ file, bytes: 0, tensors: new Map(), metadata });
    expect(of('a.safetensors', { 'modelspec.trigger_phrase': 'pixel art, 8 bit' }).words).toEqual([
      'pixel art',
      '8 bit',
    ]);
    const counted = JSON.stringify({ '10_x': { 'pixel art': 40, knight: 3 }, '5_y': { 'pixel art': 20 } });
    expect(of('a.safetensors', { ss_tag_frequency: counted }).words).toEqual(['pixel art']);
    expect(of('a.safetensors', { ss_tag_frequency: '{' }).words).toEqual([]);
    expect(of('lcm-lora-sdv1-5.safetensors')).toMatchObject({
      steps: 6,
      guidance: 1.5,
      scheduler: 'LCMScheduler',
    });
    expect(of('sdxl_lightning_4step_lora.safetensors')).toMatchObject({
      steps: 4,
      guidance: 1,
      spacing: 'trailing',
    });
    expect(of('Hyper-SD15-8steps-lora.safetensors')).toMatchObject({
      steps: 8,
      guidance: 1,
      spacing: 'trailing',
    });
    expect(of('falcon.safetensors').steps).toBeUndefined();
    expect(of('x.safetensors', { 'dreamgrid.weight': '0.75' }).weight).toBe(0.75);
    expect(of('x.safetensors', { 'dreamgrid.weight': '7' })).not.toHaveProperty('weight');
    expect(of('x.safetensors', { 'modelspec.architecture': 'pocket/lora' }).base).toBe('pocket');
  });
});

describe('a recipe', () => {
  const sha256 = 'a'.repeat(64);
  const own: ModelCard = {
    ...card(),
    base: 'sd1',
    loras: [
      { name: 'pixelart', sha256, base: 'sd1', words: [], weight: 1 },
      {
        name: 'lcm',
        sha256,
        base: 'sd1',
        words: [],
        weight: 1,
        steps: 6,
        guidance: 1.5,
        scheduler: 'LCMScheduler',
      },
      {
        name: 'lightning',
        sha256,
        base: 'sd1',
        words: [],
        weight: 1,
        steps: 4,
        guidance: 1,
        scheduler: 'EulerDiscreteScheduler',
        spacing: 'trailing',
      },
    ],
    embeddings: [{ name: 'EasyNegative', sha256 }],
  };
  const request = (params: RenderRequest['params'], negative = ''): RenderRequest => ({
    v: 1,
    jobId: '100000000000000000',
    action: 'imagine',
    prompt: 'x',
    parts: [{ text: 'a knight', weight: 1 }],
    negative,
    params,
    model: 'pocket',
    seed: 1,
    count: 4,
    user: { id: '100000000000000000', name: 'x' },
    createdAt: 0,
  });

  it('names the files by their content', () => {
    const recipe = resolveRecipe(
      request({ loras: [{ name: 'PixelArt', weight: 0.5 }] }, 'easynegative, text'),
      own,
    );
    expect(recipe.loras).toEqual([{ name: 'pixelart', weight: 0.5, sha256 }]);
    expect(recipe.embeddings).toEqual([{ name: 'EasyNegative', sha256 }]);
    expect(resolveRecipe(request({}), own)).not.toHaveProperty('loras');
    const exported = { ...own, exported: true as const };
    expect(resolveRecipe(request({}, 'easynegative'), exported)).not.toHaveProperty('embeddings');
    expect(resolveRecipe(request({ loras: [{ name: 'pixelart', weight: 0 }] }), own)).not.toHaveProperty(
      'loras',
    );
  });

  it('has the steps that a LoRA for few steps wants', () => {
    const recipe = resolveRecipe(request({ loras: [{ name: 'lcm', weight: 1 }] }), own);
    expect(recipe).toMatchObject({ steps: 6, guidance: 1.5, scheduler: 'LCMScheduler' });
    expect(recipe).not.toHaveProperty('spacing');
    const typed = { loras: [{ name: 'lightning', weight: 1 }], scheduler: 'ddim' };
    const quick = resolveRecipe(request(typed), own);
    expect(quick).toMatchObject({ steps: 4, scheduler: 'DDIMScheduler', spacing: 'trailing' });
    expect(recipeSchema.parse(quick)).toEqual(quick);
    expect(parametersText(quick)).toContain('Sampler: DDIMScheduler, Schedule type: SGM Uniform');
  });

  it('cannot be made of what is not there', () => {
    expect(() => resolveRecipe(request({ loras: [{ name: 'gone', weight: 1 }] }), own)).toThrow(
      'unknown-lora',
    );
    expect(() => resolveRecipe(request({ loras: [{ name: 'pixelart', weight: 1 }] }), card())).toThrow(
      'lora-model',
    );
  });
});
