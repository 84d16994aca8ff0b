import { cp, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { EngineError, loadModel } from '../../../worker/engine/index.ts';
import { modelDir } from '../../support/reference.ts';

const folders: string[] = [];
let dir: string;

/** A copy of a reference model, free to be damaged. */
async function copyOf(family: string): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'dreamgrid-engine-'));
  folders.push(root);
  await cp(modelDir(family), root, { recursive: true });
  return root;
}
beforeEach(async () => {
  dir = await copyOf('sd15');
});
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function failure(
  options: Parameters<typeof loadModel>[1] = {},
): Promise<{ code: string; file: string; message: string }> {
  try {
    await (await loadModel(dir, { threads: 1, ...options })).release();
  } catch (error) {
    if (error instanceof EngineError) {
      const file = path.relative(dir, error.file ?? '');
      expect(error.message).toContain(path.basename(error.file ?? dir));
      expect(error.message).not.toContain('\n');
      return { code: error.code, file, message: error.message };
    }
    throw error;
  }
  throw new Error('the model was loaded');
}

describe('refuses, with the name of the file,', () => {
  it('a folder that is not there', async () => {
    dir = path.join(dir, 'nowhere');
    expect(await failure()).toMatchObject({ code: 'missing-file' });
  });

  for (const part of ['unet', 'text_encoder', 'vae_decoder']) {
    it(`a model without ${part}`, async () => {
      await rm(path.join(dir, part, 'model.onnx'));
      expect(await failure()).toMatchObject({ code: 'missing-file', file: `${part}/model.onnx` });
    });

    it(`a ${part} that is cut short`, async () => {
      const file = path.join(dir, part, 'model.onnx');
      await truncate(file, Math.floor((await readFile(file)).length / 2));
      expect(await failure()).toMatchObject({ code: 'bad-model', file: `${part}/model.onnx` });
    });

    it(`a ${part} whose bytes were turned over`, async () => {
      const file = await open(path.join(dir, part, 'model.onnx'), 'r+');
      const bytes = Buffer.alloc(64);
      await file.read(bytes, 0, 64, 200);
      await file.write(
        bytes.map((byte) => ~byte),
        0,
        64,
        200,
      );
      await file.close();
      expect(await failure()).toMatchObject({ code: 'bad-model', file: `${part}/model.onnx` });
    });
  }

  it('an empty file', async () => {
    await writeFile(path.join(dir, 'unet/model.onnx'), '');
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'unet/model.onnx' });
  });

  it('a web page that was saved as a model', async () => {
    await writeFile(path.join(dir, 'unet/model.onnx'), '<!DOCTYPE html><html>Entry not found</html>');
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'unet/model.onnx' });
  });

  it('a config that is no JSON', async () => {
    await writeFile(path.join(dir, 'scheduler/scheduler_config.json'), '{"beta_start": ');
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'scheduler/scheduler_config.json' });
  });

  it('a tokenizer that is not there', async () => {
    await rm(path.join(dir, 'tokenizer/tokenizer.json'));
    expect(await failure()).toMatchObject({ code: 'missing-file', file: 'tokenizer/vocab.json' });
  });

  const foreign: [string, string, string, string][] = [
    ['a network of another family', 'sdxl', 'unet', 'unet/model.onnx'],
    ['a network that wants guidance as an input', 'lcm', 'unet', 'unet/model.onnx'],
    ['a text encoder in the place of the network', 'sd15', 'text_encoder', 'unet/model.onnx'],
    ['an encoder in the place of the decoder', 'sd15', 'vae_encoder', 'vae_decoder/model.onnx'],
  ];
  for (const [what, family, part, file] of foreign) {
    it(what, async () => {
      await cp(path.join(modelDir(family), part, 'model.onnx'), path.join(dir, file), { force: true });
      expect(await failure()).toMatchObject({ code: 'bad-model', file });
    });
  }

  it('a file that leads out of the folder', async () => {
    const file = path.join(dir, 'unet/model.onnx');
    await rm(file);
    await symlink(path.join(modelDir('sd15'), 'unet/model.onnx'), file);
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'unet/model.onnx' });
  });
});

it('says which execution providers could not be started', async () => {
  const promise = loadModel(dir, { providers: ['nonsense', 'nowhere'] });
  await expect(promise).rejects.toMatchObject({
    code: 'provider',
    message: expect.stringMatching(/nonsense.*nowhere/),
  });
});

it('goes on with the next provider only with a word about the first', async () => {
  const model = await loadModel(dir, { providers: ['nowhere', 'cpu'], threads: 1 });
  expect(model.info.provider).toBe('cpu');
  expect(model.info.providersMissing).toEqual([expect.stringMatching(/^nowhere: .+/)]);
  await model.release();
  const own = await loadModel(dir, { providers: ['cpu', 'nowhere'], threads: 1 });
  expect(own.info.providersMissing).toEqual([]);
  await own.release();
});

describe('weights outside of the file', () => {
  beforeEach(async () => {
    dir = await copyOf('sd15-external-data');
  });

  it('are refused when they are missing', async () => {
    await rm(path.join(dir, 'unet/model.onnx_data'));
    expect(await failure()).toMatchObject({ code: 'missing-file', file: 'unet/model.onnx_data' });
  });

  it('are refused when they are cut short', async () => {
    await truncate(path.join(dir, 'unet/model.onnx_data'), 1000);
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'unet/model.onnx_data' });
  });

  it('are refused when they lie outside of the folder', async () => {
    const file = path.join(dir, 'unet/model.onnx');
    const bytes = await readFile(file);
    const name = Buffer.from('model.onnx_data');
    const away = Buffer.from('../../../../etc');
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at)) away.copy(bytes, at);
    await writeFile(file, bytes);
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'unet/model.onnx' });
  });

  it('are refused when a link leads them out of the folder', async () => {
    const file = path.join(dir, 'unet/model.onnx_data');
    await rm(file);
    await symlink(path.join(modelDir('sd15-external-data'), 'unet/model.onnx_data'), file);
    expect(await failure()).toMatchObject({ code: 'bad-model', file: 'unet/model.onnx_data' });
  });
});

it('says what it cannot paint with: transformers', async () => {
  await cp(path.join(dir, 'unet'), path.join(dir, 'transformer'), { recursive: true });
  expect(await failure()).toMatchObject({ code: 'unsupported' });
});

it('describes what it has loaded', async () => {
  const parts: string[] = [];
  const model = await loadModel(modelDir('sdxl'), { threads: 1, onProgress: (part) => parts.push(part) });
  expect(parts).toEqual(['text_encoder', 'text_encoder_2', 'unet', 'vae_decoder', 'vae_encoder', 'ready']);
  expect(model.info).toMatchObject({
    family: 'stable-diffusion-xl',
    nativeSize: 64,
    multiple: 16,
    latentChannels: 4,
    latentFactor: 8,
    scheduler: 'EulerDiscreteScheduler',
    provider: 'cpu',
    inpaint: false,
    imageToImage: true,
    upscaler: false,
  });
  await expect(model.upscale({ width: 1, height: 1, data: new Float32Array(3) }, 2)).rejects.toMatchObject({
    code: 'unsupported',
  });
  await model.release();
});
