import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { add as addCommand } from '../../../../worker/cli/modelStore.ts';
import { loadModel, type Picture } from '../../../../worker/engine/index.ts';
import type { Step } from '../../../../worker/engine/types.ts';
import { selectDiffusers } from '../../../../worker/models/hub/selectSafetensors.ts';
import { listModels, verifyModel } from '../../../../worker/models/hub/verifyModel.ts';
import { type ImportOptions, importModel } from '../../../../worker/models/import/importModel.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { hasChecker } from '../../../../worker/models/installed.ts';
import { casesOf, data, safetensors, unpackSingle } from './cases.ts';

const parts = join(data, 'parts');
const part = (name: string): string => join(parts, name);
const sd15 = join(data, 'folders/sd15/model');
const load = { providers: ['cpu'], threads: 1 };
let work: string;
let models: string;
let expected: Map<string, { data: Float32Array; shape: readonly number[] }>;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'dreamgrid-parts-'));
  models = join(work, 'models');
  await mkdir(models);
  const { file, tensors } = await readSafetensors(part('expected.safetensors'));
  const bytes = await readFile(file);
  expected = new Map(
    [...tensors].map(([name, { offset, length, shape, dtype }]) => {
      const own = Uint8Array.from(bytes.subarray(offset, offset + length));
      return [name, { data: dtype === 'F32' ? new Float32Array(own.buffer) : Float32Array.from(own), shape }];
    }),
  );
});
afterAll(() => rm(work, { recursive: true, force: true }));

const add = (name: string, options: ImportOptions, from = sd15) =>
  importModel(models, from, name, { load, ...options });
/** Without running the networks once. */
const addOnly = (name: string, options: ImportOptions, from = sd15) =>
  importModel(models, from, name, options);
const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => expect.unreachable('it was taken in'),
    (error) => error as Error,
  );

/** What a part of an installed model makes of one of the reference's inputs. */
async function run(model: string, folder: string, input: string) {
  const session = await InferenceSession.create(join(models, model, folder, 'model.onnx'), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const { data: values, shape } = expected.get(input)!;
  const feeds = { [session.inputNames[0]!]: new Tensor('float32', values, [...shape]) };
  const output = (await session.run(feeds))[session.outputNames[0]!]!;
  await session.release();
  return output;
}

/** The largest difference to what PyTorch computed, and that the shapes agree. */
async function difference(model: string, folder: string, input: string, output: string): Promise<number> {
  const found = await run(model, folder, input);
  const { data: values, shape } = expected.get(output)!;
  expect(found.dims).toEqual(shape);
  const own = found.data as Float32Array;
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - own[i]!)), 0);
}

describe('a tiny autoencoder', () => {
  it.each(['taesd-diffusers.safetensors', 'taesd_decoder.safetensors'])(
    '%s decodes drafts and previews as its author decodes them',
    async (file) => {
      const name = file.replace('.safetensors', '');
      const said: string[] = [];
      await add(name, { tinyVae: part(file), say: (note) => said.push(note) });
      expect(said).toContain('Drafts and previews are decoded by TAESD.');
      expect(await difference(name, 'tiny_decoder', 'tiny.latent', 'tiny.decoded')).toBeLessThan(1e-5);
      expect((await stat(join(models, name, 'tiny_decoder/weights.safetensors'))).ino).toBe(
        (await stat(part(file))).ino,
      );
    },
  );

  it('given with --vae stands beside the whole one, which goes on painting', async () => {
    await add('beside', { vae: part('taesd_decoder.safetensors') });
    const model = await loadModel(join(models, 'beside'), { threads: 1 });
    expect(model.info).toMatchObject({ tinyDecoder: true, imageToImage: true });
    const { prompt, seed, width, height } = casesOf('folders/sd15')[0]!;
    const request = { prompt, seeds: [seed], width, height, steps: 1, guidance: 1 };
    const [whole] = (await model.generate(request)).pictures;
    let previewed: readonly Picture[] = [];
    const onStep = async ({ decodePreview }: Step): Promise<void> => {
      previewed = await decodePreview!();
    };
    const [draft] = (await model.generate({ ...request, decoder: 'tiny' }, { onStep })).pictures;
    await model.release();
    expect(previewed).toMatchObject([{ width, height }]);
    expect(draft).toMatchObject({ width, height });
    expect(draft!.data).not.toEqual(whole!.data);
    const stored = (await listModels(models)).find((each) => each.name === 'beside')!;
    expect(await verifyModel(stored)).toMatchObject({ problems: [] });
  });

  it('of a folder that has no other (SDXS) is its autoencoder, both ways', async () => {
    const folder = join(work, 'sdxs');
    await cp(sd15, folder, { recursive: true });
    await cp(part('taesd-diffusers.safetensors'), join(folder, 'vae/diffusion_pytorch_model.safetensors'));
    await writeFile(
      join(folder, 'vae/config.json'),
      JSON.stringify({ _class_name: 'AutoencoderTiny', act_fn: 'relu', upsample_fn: 'nearest' }),
    );
    await add('sdxs', {}, folder);
    expect(existsSync(join(models, 'sdxs/tiny_decoder'))).toBe(false);
    expect(await difference('sdxs', 'vae_decoder', 'tiny.latent', 'tiny.decoded')).toBeLessThan(1e-5);
    expect(await difference('sdxs', 'vae_encoder', 'tiny.picture', 'tiny.encoded')).toBeLessThan(1e-5);
    const { prompt, seed, width, height } = casesOf('folders/sd15')[0]!;
    const request = { prompt, seeds: [seed], width, height, steps: 2, guidance: 1 };
    const model = await loadModel(join(models, 'sdxs'), { threads: 1 });
    const { pictures } = await model.generate(request);
    const again = await model.generate({ ...request, init: { image: pictures[0]!, strength: 0.5 } });
    expect(again.pictures[0]).toMatchObject({ width, height });
    await model.release();
    // The same latents as another's: TAESD takes them as the sampler has them.
    await add('drafting', { tinyVae: part('taesd_decoder.safetensors') });
    const drafting = await loadModel(join(models, 'drafting'), { threads: 1 });
    const draft = await drafting.generate({ ...request, decoder: 'tiny' });
    await drafting.release();
    expect(draft.pictures[0]!.data).toEqual(pictures[0]!.data);
  });

  it('is refused where it is something else', async () => {
    const before = await readdir(models);
    expect((await failure(add('x', { tinyVae: part('taesd_encoder.safetensors') }))).message).toContain(
      'taesd_encoder.safetensors is the encoder of TAESD alone',
    );
    expect((await failure(add('x', { tinyVae: part('realesrgan-x4.safetensors') }))).message).toContain(
      'realesrgan-x4.safetensors is no tiny autoencoder (TAESD)',
    );
    const flux = join(work, 'taef1.safetensors');
    const zeros = (...shape: number[]) => ({
      dtype: 'F16',
      shape,
      bytes: new Uint8Array(2 * shape.reduce((product, side) => product * side, 1)),
    });
    await writeFile(
      flux,
      safetensors({ '1.weight': zeros(4, 16, 3, 3), '3.conv.0.weight': zeros(4, 4, 3, 3) }),
    );
    expect((await failure(add('x', { tinyVae: flux }))).message).toContain('has 16 latent channels');
    expect((await failure(add('x', {}, part('taesd_decoder.safetensors')))).message).toContain(
      'is a tiny autoencoder (TAESD) alone: dreamgrid models add MODEL --tiny-vae',
    );
    expect(await readdir(models)).toEqual(before);
  });
});

describe('an upscaler', () => {
  const kinds = [
    ['realesrgan-x4', 4, 'upscaler.x4'],
    ['esrgan-old-x4', 4, 'upscaler.x4'],
    ['esrgan-research-x4', 4, 'upscaler.x4'],
    ['realesrgan-x2', 2, 'upscaler.x2'],
    ['esrgan-old-x2', 2, 'upscaler.old-x2'],
  ] as const;
  it.each(kinds)('%s enlarges %i times, as PyTorch does', async (name, scale, output) => {
    const manifest = await addOnly(name, { upscaler: part(`${name}.safetensors`) });
    expect(manifest.upscaler).toEqual({ path: 'upscaler/model.onnx', scale });
    expect(await difference(name, 'upscaler', 'upscaler.picture', output)).toBeLessThan(1e-5);
  });

  it('serves the engine', async () => {
    const unpacked = join(work, 'dream.safetensors');
    await unpackSingle(unpacked);
    await addOnly('enlarging', { upscaler: part('realesrgan-x2.safetensors') }, unpacked);
    const model = await loadModel(join(models, 'enlarging'), { threads: 1 });
    expect(model.info.upscaler).toBe(true);
    const picture = { width: 9, height: 7, data: new Float32Array(3 * 9 * 7).fill(0.4) };
    expect(await model.upscale(picture, 4)).toMatchObject({ width: 36, height: 28 });
    await model.release();
  });

  it('is refused where it enlarges nothing, or is something else', async () => {
    const before = await readdir(models);
    const refused = async (file: string): Promise<string> => {
      const { message } = await failure(add('x', { upscaler: file }));
      expect(message).toContain(file);
      return message;
    };
    expect(await refused(part('realesrgan-x1.safetensors'))).toContain('makes pictures 1 times as large');
    expect(await refused(part('taesd_decoder.safetensors'))).toContain('is no ESRGAN or Real-ESRGAN');
    const compact = join(work, 'compact.safetensors');
    await writeFile(
      compact,
      safetensors({ 'body.0.weight': { dtype: 'F16', shape: [1], bytes: new Uint8Array(2) } }),
    );
    expect(await refused(compact)).toContain('is a compact upscaler (SRVGGNet)');
    expect((await failure(add('x', {}, part('realesrgan-x4.safetensors')))).message).toContain(
      'is an upscaler alone: dreamgrid models add MODEL --upscaler',
    );
    expect(await readdir(models)).toEqual(before);
  });
});

describe('the safety checker of a folder', () => {
  async function folderWith(name: string, weights: (bytes: Buffer) => Buffer = (bytes) => bytes) {
    const folder = join(work, name);
    await cp(sd15, folder, { recursive: true });
    await cp(part('safety_checker'), join(folder, 'safety_checker'), { recursive: true });
    const file = join(folder, 'safety_checker/model.safetensors');
    await writeFile(file, weights(await readFile(file)));
    const index = join(folder, 'model_index.json');
    const json = JSON.parse(await readFile(index, 'utf8'));
    const safety = ['stable_diffusion', 'StableDiffusionSafetyChecker'];
    await writeFile(index, JSON.stringify({ ...json, safety_checker: safety }));
    return folder;
  }
  /** As transformers names the tower's weights since 5.6. */
  const once = (bytes: Buffer): Buffer => {
    const length = Number(bytes.readBigUInt64LE());
    const header = bytes
      .subarray(8, 8 + length)
      .toString()
      .replaceAll('vision_model.vision_model.', 'vision_model.');
    return Buffer.concat([
      bytes.subarray(0, 8),
      Buffer.from(header.padEnd(length)),
      bytes.subarray(8 + length),
    ]);
  };

  it.each([
    ['twice', undefined],
    ['once', once],
  ])('judges as diffusers does, named vision_model %s', async (name, rename) => {
    const manifest = await addOnly(`safe-${name}`, {}, await folderWith(`safe-${name}`, rename));
    expect(hasChecker({ manifest })).toBe(true);
    const flags = await run(`safe-${name}`, 'safety_checker', 'checker.pictures');
    expect([...flags.data].map(Number)).toEqual([...expected.get('checker.flags')!.data]);
  });

  it('serves the engine', async () => {
    const said: string[] = [];
    await add('safe', { say: (note) => said.push(note) }, await folderWith('safe'));
    expect(said.join()).toContain('Its safety checker is taken in');
    const model = await loadModel(join(models, 'safe'), { threads: 1 });
    const picture = { width: 40, height: 40, data: new Float32Array(3 * 1600).fill(0.5) };
    expect(await model.check!(picture)).toEqual(expect.any(Boolean));
    await model.release();
  });

  it('is fetched with a repository, in the variant that is taken', () => {
    const names = ['config.json', 'model.safetensors', 'model.fp16.safetensors', 'pytorch_model.bin'];
    const files = names.map((name) => ({ path: `safety_checker/${name}`, bytes: 1 }));
    expect(selectDiffusers(files, 'fp16').map(({ path }) => path)).toEqual([
      'safety_checker/config.json',
      'safety_checker/model.fp16.safetensors',
    ]);
  });

  it('is left out with a word where it is a pickle', async () => {
    const folder = await folderWith('pickled');
    await rm(join(folder, 'safety_checker/model.safetensors'));
    await writeFile(join(folder, 'safety_checker/pytorch_model.bin'), 'PK');
    const said: string[] = [];
    const manifest = await addOnly('pickled', { say: (note) => said.push(note) }, folder);
    expect(hasChecker({ manifest })).toBe(false);
    expect(said.join()).toContain('Its safety checker is not taken in:');
  });
});

it('the command takes them by --tiny-vae and --upscaler', async () => {
  vi.stubEnv('MODELS_DIR', models);
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    const flags = [
      '--tiny-vae',
      part('taesd_decoder.safetensors'),
      '--upscaler',
      part('realesrgan-x2.safetensors'),
    ];
    expect(await addCommand([sd15, '--as', 'told', '--no-load', '--json', ...flags])).toBe(0);
  } finally {
    written.mockRestore();
    vi.unstubAllEnvs();
  }
  expect(existsSync(join(models, 'told/tiny_decoder/model.onnx'))).toBe(true);
  expect(existsSync(join(models, 'told/upscaler/model.onnx'))).toBe(true);
});
