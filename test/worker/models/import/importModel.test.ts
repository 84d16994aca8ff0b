import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreError } from '../../../../worker/models/hub/errors.ts';
import { listModels, verifyModel } from '../../../../worker/models/hub/verifyModel.ts';
import { type ImportOptions, importModel } from '../../../../worker/models/import/importModel.ts';
import { casesOf, data, paint, safetensors, unpackSingle } from './cases.ts';

const load = { providers: ['cpu'], threads: 1 };
let work: string;
let models: string;
let single: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'dreamgrid-import-'));
  models = join(work, 'models');
  await mkdir(models);
  single = join(work, 'dream_8.safetensors');
  await unpackSingle(single);
});
afterAll(() => rm(work, { recursive: true, force: true }));

const add = (from: string, name: string, options: ImportOptions = {}) =>
  importModel(models, from, name, { load, ...options });
const failure = (promise: Promise<unknown>): Promise<StoreError> =>
  promise.then(
    () => expect.unreachable('it was taken in'),
    (error) => error as StoreError,
  );

describe('diffusers folders', () => {
  for (const family of ['sd15', 'sd15-fp16', 'sd21v', 'lcm', 'inpaint', 'sdxl-sharded']) {
    const folder = `folders/${family}`;
    it(`${family} paints what diffusers paints, and four together what each paints alone`, async () => {
      const manifest = await add(join(data, folder, 'model'), family);
      expect(Object.keys(manifest.files).some((file) => file.endsWith('.onnx'))).toBe(false);
      for (const each of casesOf(folder)) {
        const together = await paint(join(models, family), folder, each);
        expect(together.difference).toBeLessThan(1e-5);
        const alone = await paint(join(models, family), folder, each, false);
        expect(alone.pictures).toEqual(together.pictures);
      }
      const stored = (await listModels(models)).find((model) => model.name === family)!;
      expect(await verifyModel(stored)).toMatchObject({ problems: [] });
    });
  }

  it('says which shard is missing', async () => {
    const folder = join(work, 'torn');
    await cp(join(data, 'folders/sdxl-sharded/model'), folder, { recursive: true });
    await rm(join(folder, 'unet/diffusion_pytorch_model-00002-of-00003.safetensors'));
    const error = await failure(add(folder, 'torn'));
    expect(error.message).toContain('diffusion_pytorch_model-00002-of-00003.safetensors is missing');
    expect(existsSync(join(models, 'torn'))).toBe(false);
  });

  it('refuses a folder that only has pickles', async () => {
    const folder = join(work, 'pickled');
    await cp(join(data, 'folders/sd15/model'), folder, { recursive: true });
    await rm(join(folder, 'unet/diffusion_pytorch_model.safetensors'));
    await writeFile(join(folder, 'unet/diffusion_pytorch_model.bin'), 'PK');
    expect((await failure(add(folder, 'pickled'))).message).toContain('is a pickle');
  });

  it('names what a config asks for and cannot be built', async () => {
    const folder = join(work, 'odd');
    await cp(join(data, 'folders/sd15/model'), folder, { recursive: true });
    const file = join(folder, 'unet/config.json');
    const config = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...config, class_embed_type: 'projection' }));
    const error = await failure(add(folder, 'odd'));
    expect(error).toMatchObject({ code: 'unsupported' });
    expect(error.message).toContain('class_embed_type is "projection"');
  });
});

describe('single files', () => {
  it('are linked, painted as diffusers paints them, and known by their own hash', async () => {
    const manifest = await add(single, 'dream');
    const sha256 = createHash('sha256')
      .update(await readFile(single))
      .digest('hex');
    expect(manifest).toMatchObject({
      title: 'dream_8',
      family: 'sd1',
      native: { width: 512, height: 512 },
      defaults: { steps: 30, guidance: 7.5, scheduler: 'PNDMScheduler' },
      file: { name: 'dream_8.safetensors', sha256 },
    });
    const links = ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'].map(
      (part) => `${part}/weights.safetensors`,
    );
    const { ino, size } = await stat(single);
    for (const file of links) {
      expect((await stat(join(models, 'dream', file))).ino).toBe(ino);
      expect(manifest.files[file]).toEqual({ sha256, bytes: size });
    }
    const stored = (await listModels(models)).find((model) => model.name === 'dream')!;
    expect(stored.bytes).toBeLessThan(1.3 * size);
    for (const each of casesOf('single')) {
      const together = await paint(join(models, 'dream'), 'single', each);
      expect(together.difference).toBeLessThan(1e-5);
      const alone = await paint(join(models, 'dream'), 'single', each, false);
      expect(alone.pictures).toEqual(together.pictures);
    }
  });

  it('take another autoencoder', async () => {
    await add(single, 'other-vae', { vae: join(data, 'vae/prefixed-bf16.safetensors') });
    for (const each of casesOf('vae')) {
      expect((await paint(join(models, 'other-vae'), 'vae', each)).difference).toBeLessThan(1e-5);
    }
  });

  it('are painted with as their names say, and as their owner says', async () => {
    const lightning = join(work, 'dreamXL_lightning_4step.safetensors');
    await cp(single, lightning);
    const said: string[] = [];
    const guessed = await add(lightning, 'guessed', { say: (note) => said.push(note) });
    expect(guessed.defaults).toEqual({ steps: 4, guidance: 2, scheduler: 'EulerDiscreteScheduler' });
    expect(said.join()).toContain('By its name it is Lightning: 4 steps, guidance 2.');
    const told = await add(lightning, 'told', {
      steps: 9,
      guidance: 1,
      scheduler: 'DPM++ 2M Karras',
      prediction: 'v_prediction',
    });
    expect(told.defaults).toEqual({ steps: 9, guidance: 1, scheduler: 'DPMSolverMultistepScheduler' });
    const config = await readFile(join(models, 'told/scheduler/scheduler_config.json'), 'utf8');
    expect(JSON.parse(config)).toMatchObject({ prediction_type: 'v_prediction', use_karras_sigmas: true });
  });
});

describe('what is refused', () => {
  const { files } = JSON.parse(readFileSync(join(data, 'hostile/expected.json'), 'utf8')) as {
    files: Record<string, unknown>;
  };
  for (const name of Object.keys(files)) {
    it(`${name}, in one line that names it, and nothing is left`, async () => {
      const before = await readdir(models);
      for (const error of [
        await failure(add(join(data, 'hostile', name), 'hostile')),
        await failure(add(single, 'hostile', { vae: join(data, 'hostile', name) })),
      ]) {
        expect(error).toBeInstanceOf(StoreError);
        expect(error.message).toContain(name);
        expect(error.message).not.toContain('\n');
      }
      expect(await readdir(models)).toEqual(before);
    });
  }

  const tensor = (...shape: number[]) => ({
    dtype: 'F16',
    shape,
    bytes: new Uint8Array(2 * shape.reduce((product, side) => product * side, 1)),
  });
  const conv = 'model.diffusion_model.input_blocks.0.0.weight';
  const foreign: [what: string, tensors: Parameters<typeof safetensors>[0]][] = [
    ['a LoRA', { 'lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight': tensor(4, 8) }],
    ['a textual inversion', { emb_params: tensor(2, 8) }],
    ['a ControlNet', { 'control_model.input_blocks.0.0.weight': tensor(1, 4, 3, 3) }],
    ['CosXL', { 'edm_vpred.sigma_max': tensor(1), [conv]: tensor(8, 4, 3, 3) }],
    ['Playground 2.5', { edm_mean: tensor(4), [conv]: tensor(8, 4, 3, 3) }],
    [
      "SDXL's refiner",
      { [conv]: tensor(8, 4, 3, 3), 'model.diffusion_model.label_emb.0.0.weight': tensor(1, 2560) },
    ],
    ['InstructPix2Pix', { [conv]: tensor(8, 8, 3, 3) }],
    ['Stable Diffusion 2 depth', { [conv]: tensor(8, 5, 3, 3) }],
    ['the ×4 upscaler', { [conv]: tensor(8, 7, 3, 3) }],
    ['FLUX', { 'double_blocks.0.img_attn.qkv.weight': tensor(3, 1) }],
    [
      'Stable Diffusion 3',
      { 'model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight': tensor(3, 1) },
    ],
    ['an autoencoder (VAE) alone', { 'decoder.conv_in.weight': tensor(8, 4, 3, 3) }],
    ['no Stable Diffusion model', { weight: tensor(1) }],
  ];
  it.each(foreign)('%s, by its name', async (what, tensors) => {
    const file = join(work, 'foreign.safetensors');
    await writeFile(file, safetensors(tensors));
    const error = await failure(add(file, 'foreign'));
    expect(error).toMatchObject({ code: 'unsupported' });
    expect(error.message).toContain(file);
    expect(error.message).toContain(what);
    expect(error.message).not.toContain('\n');
  });

  it.each(['model.ckpt', 'model.pt', 'model.bin'])('%s, for it is a pickle', async (name) => {
    await writeFile(join(work, name), 'PK\x03\x04');
    expect((await failure(add(join(work, name), 'pickle'))).message).toContain('is a pickle');
  });

  it('a file that lacks a part or a single weight', async () => {
    const bytes = await readFile(single);
    const file = join(work, 'lacking.safetensors');
    const without = async (pattern: RegExp): Promise<string> => {
      const length = Number(bytes.readBigUInt64LE());
      const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, unknown>;
      const kept = Object.fromEntries(Object.entries(header).filter(([key]) => !pattern.test(key)));
      const json = Buffer.from(JSON.stringify(kept).padEnd(length));
      await writeFile(file, Buffer.concat([bytes.subarray(0, 8), json, bytes.subarray(8 + length)]));
      return (await failure(add(file, 'lacking'))).message;
    };
    expect(await without(/^first_stage_model/)).toContain(
      'lacks its autoencoder (first_stage_model…): give one with --vae',
    );
    expect(await without(/^cond_stage_model/)).toContain('lacks its text encoder');
    expect(await without(/output_blocks\.3\.0\.in_layers\.2\.weight/)).toContain(
      'the weight up_blocks.1.resnets.0.conv1.weight is missing',
    );
    expect(existsSync(join(models, 'lacking'))).toBe(false);
  });

  it('what a killed process left is swept away, and what another one is at is not', async () => {
    for (const [name, pid] of [
      ['.add-dead', 2 ** 30],
      ['.add-busy', process.ppid],
    ] as const) {
      await mkdir(join(models, name), { recursive: true });
      await writeFile(join(models, name, 'pid'), String(pid));
    }
    const folder = join(data, 'folders/sd15/model');
    expect(await failure(importModel(models, folder, 'busy'))).toMatchObject({ code: 'busy' });
    await importModel(models, folder, 'swept');
    expect((await readdir(models)).filter((name) => name.startsWith('.'))).toEqual(['.add-busy']);
    await rm(join(models, '.add-busy'), { recursive: true });
  });

  it('what is stopped half-way leaves nothing', async () => {
    const before = await readdir(models);
    const stop = new AbortController();
    const error = await failure(add(single, 'stopped', { signal: stop.signal, onBytes: () => stop.abort() }));
    expect(error).toMatchObject({ code: 'stopped' });
    expect(await readdir(models)).toEqual(before);
  });
});
