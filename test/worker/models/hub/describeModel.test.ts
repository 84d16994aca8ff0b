import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Configs, defaultsOf, familyOf } from '../../../../worker/models/hub/defaults.ts';
import { describeModel, manifestFor, writeManifest } from '../../../../worker/models/hub/describeModel.ts';
import { externalData } from '../../../../worker/models/hub/externalData.ts';
import { bucketsAround } from '../../../../worker/models/hub/sizeBuckets.ts';
import { manifestSchema } from '../../../../worker/models/manifest.ts';

const reference = resolve(import.meta.dirname, '../../../data/reference/pipelines');

const sd = 'StableDiffusionPipeline';
const xl = 'StableDiffusionXLPipeline';
const configs = (pipeline: string, unet: object, scheduler: object): Configs => ({
  index: { _class_name: pipeline },
  unet: { in_channels: 4, ...unet } as Configs['unet'],
  vae: {},
  scheduler: scheduler as Configs['scheduler'],
});
const pndm = { _class_name: 'PNDMScheduler', timestep_spacing: 'leading' };
const euler = { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'leading' };
const trailing = { ...euler, timestep_spacing: 'trailing' };
const ddim = { _class_name: 'DDIMScheduler', prediction_type: 'v_prediction' };
const sd1 = { cross_attention_dim: 768 };
const sd2 = { cross_attention_dim: 1024, use_linear_projection: true };
const sdxl = { cross_attention_dim: 2048, use_linear_projection: true, addition_embed_type: 'text_time' };

describe('kinds of models, from configs as they are published', () => {
  it.each([
    ['SD 1.5', configs(sd, sd1, pndm), '', 'sd1', 30, 7.5],
    ['SD 1.5 exported by Optimum', configs('ORTStableDiffusionPipeline', sd1, pndm), '', 'sd1', 30, 7.5],
    ['SD 1.5 by the diffusers script', configs('OnnxStableDiffusionPipeline', sd1, pndm), '', 'sd1', 30, 7.5],
    ['SD 2.1 (v)', configs(sd, sd2, ddim), '', 'sd2', 30, 7.5],
    [
      'a zero-SNR model with trailing steps',
      configs(sd, sd2, { ...trailing, rescale_betas_zero_snr: true }),
      '',
      'sd2',
      25,
      7.5,
    ],
    ['SD-Turbo', configs(sd, sd2, trailing), '', 'sd-turbo', 4, 0],
    ['SDXL', configs(xl, sdxl, euler), '', 'sdxl', 25, 5],
    [
      'SDXL-Turbo',
      configs(xl, sdxl, { ...trailing, _class_name: 'EulerAncestralDiscreteScheduler' }),
      '',
      'sdxl-turbo',
      4,
      0,
    ],
    [
      "SDXL-Lightning with SDXL's scheduler",
      configs(xl, sdxl, euler),
      'bytedance/SDXL-Lightning',
      'sdxl-turbo',
      4,
      0,
    ],
    [
      'LCM Dreamshaper',
      configs(
        'LatentConsistencyModelPipeline',
        { ...sd1, time_cond_proj_dim: 256 },
        { _class_name: 'LCMScheduler' },
      ),
      '',
      'lcm',
      4,
      8.5,
    ],
    [
      'SD 1.5 with the LCM LoRA merged',
      configs(sd, { ...sd1, time_cond_proj_dim: null }, { _class_name: 'LCMScheduler' }),
      '',
      'lcm',
      4,
      1.5,
    ],
    [
      'inpainting',
      configs('StableDiffusionInpaintPipeline', { ...sd1, in_channels: 9 }, ddim),
      '',
      'sd1-inpaint',
      30,
      7.5,
    ],
  ] as const)('%s', (_, given, repository, family, steps, guidance) => {
    expect(familyOf(given, repository)).toBe(family);
    const { defaults, draft } = defaultsOf(family, given);
    expect([defaults.steps, defaults.guidance]).toEqual([steps, guidance]);
    expect(draft.steps).toBeLessThan(steps);
  });
});

describe('sizes', () => {
  it('are those that SDXL was trained on', () => {
    const sizes = bucketsAround(1024, 1024, 32).map(([w, h]) => `${w}x${h}`);
    expect(sizes[0]).toBe('1024x1024');
    for (const size of ['1152x896', '1216x832', '1344x768', '1536x640', '768x1344'])
      expect(sizes).toContain(size);
  });

  it.each([
    [512, 64],
    [768, 64],
    [1024, 32],
    [64, 16],
    [8, 8],
  ])('around %i in steps of %i are near its area and fit the model', (side, multiple) => {
    const sizes = bucketsAround(side, side, multiple);
    expect(sizes[0]).toEqual([side, side]);
    expect(new Set(sizes.map(String)).size).toBe(sizes.length);
    for (const [w, h] of sizes) {
      expect([w % multiple, h % multiple]).toEqual([0, 0]);
      if (side >= 256) expect([w % 64, h % 64]).toEqual([0, 0]);
      expect(Math.abs(Math.log((w * h) / side ** 2))).toBeLessThanOrEqual(0.161);
      expect(sizes.map(String)).toContain(`${h},${w}`);
    }
  });
});

describe('the manifest', () => {
  it('is written for every reference model, and is one', async () => {
    const families: Record<string, string> = {};
    for (const kind of await readdir(reference)) {
      const dir = join(reference, kind, 'model');
      const manifest = await describeModel(dir, kind, { title: kind, license: 'none' }, {});
      expect(manifestSchema.safeParse(manifest).error, kind).toBeUndefined();
      expect([manifest.native, manifest.multiple], kind).toEqual([{ width: 64, height: 64 }, 16]);
      expect(manifest.latentRgb?.factors, kind).toHaveLength(4);
      families[kind] = manifest.family;
    }
    expect(families).toEqual({
      inpaint: 'sd1-inpaint',
      lcm: 'lcm',
      'sd-turbo': 'sd-turbo',
      sd15: 'sd1',
      'sd15-external-data': 'sd1',
      'sd15-fp16': 'sd1',
      'sd15-legacy-types': 'sd1',
      sd21v: 'sd2',
      sdxl: 'sdxl',
    });
  });

  it('is easy to edit by hand, and what its owner wrote survives', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'dreamgrid-manifest-'));
    try {
      await cp(join(reference, 'sd15', 'model'), dir, { recursive: true });
      const first = await manifestFor(dir, 'mine', { title: 'Mine' }, {});
      await writeManifest(dir, {
        ...first,
        title: 'Watercolours',
        defaults: { ...first.defaults, steps: 12 },
      });
      const text = await readFile(join(dir, 'manifest.json'), 'utf8');
      expect(text).toContain('\n    [64, 64]');
      const again = await manifestFor(dir, 'other', { title: 'Other' }, {});
      expect(again).toMatchObject({ name: 'other', title: 'Watercolours', defaults: { steps: 12 } });
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

describe('weights outside of the model file', () => {
  it('are named with the bytes they need', async () => {
    const dir = join(reference, 'sd15-external-data', 'model', 'unet');
    const needed = await externalData(join(dir, 'model.onnx'));
    const others = (await readdir(dir)).filter((name) => name !== 'model.onnx' && !name.endsWith('.json'));
    expect([...needed.keys()]).toEqual(others);
    const { length } = await readFile(join(dir, others[0]!));
    expect(needed.get(others[0]!)).toBeGreaterThan(length - 4096);
    expect(needed.get(others[0]!)).toBeLessThanOrEqual(length);
  });

  it('are none for a file that carries its own', async () => {
    expect((await externalData(join(reference, 'sdxl', 'model', 'unet', 'model.onnx'))).size).toBe(0);
  });

  it('cannot be read from something else', async () => {
    const file = join(reference, 'sd15', 'model', 'model_index.json');
    await expect(externalData(file)).rejects.toMatchObject({ code: 'damaged' });
  });
});
