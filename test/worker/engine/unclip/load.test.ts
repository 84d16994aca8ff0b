import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../../../worker/engine/index.ts';
import { addModel } from '../../../../worker/models/hub/add.ts';
import { selectFiles } from '../../../../worker/models/hub/select.ts';
import { importUnclip } from '../../../../worker/models/import/unclip.ts';
import { readSource, sourceOf, writeModel } from './models.ts';

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'unclip-'));
  await writeModel('karlo', path.join(dir, 'karlo'));
  await writeModel('kandinsky22', path.join(dir, 'kandinsky22'));
}, 60_000);
afterAll(() => rm(dir, { recursive: true, force: true }));

/** The model without some of its parts. */
async function without(family: 'karlo' | 'kandinsky22', parts: readonly string[]): Promise<string> {
  const to = await mkdtemp(path.join(dir, 'cut-'));
  await cp(path.join(dir, family), to, { recursive: true });
  for (const part of parts) await rm(path.join(to, part), { recursive: true });
  return to;
}

const request = {
  prompt: 'a fox',
  seeds: [1],
  width: 128,
  height: 128,
  steps: 1,
  guidance: 1,
  prior: { steps: 1 },
  superRes: { steps: 1 },
};

describe('a folder that lacks a part', () => {
  it('without a prior varies pictures, and says that it reads no words', async () => {
    const model = await loadModel(await without('karlo', ['prior']));
    expect(model.info).toMatchObject({ textToImage: false, imageEncoder: true });
    const picture = await readSource('karlo', 'variation-as-encoded');
    const { pictures } = await model.generate({ ...request, meaning: { pictures: [picture] } });
    expect(pictures).toHaveLength(1);
    await expect(model.generate(request)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/prior\/model.onnx is missing: without a prior/),
    });
    await model.release();
  });

  it('without an image encoder paints words, and says that it takes no pictures', async () => {
    const model = await loadModel(await without('karlo', ['image_encoder']));
    const picture = await readSource('karlo', 'variation-as-encoded');
    // No file is opened for them.
    const source = { file: 'x.safetensors', tensors: new Map(), metadata: {} };
    await expect(model.generate({ ...request, loras: [[{ source, weight: 1 }]] })).rejects.toThrow(
      'no LoRAs',
    );
    await expect(model.generate({ ...request, embeddings: [{ token: 'word', source }] })).rejects.toThrow(
      'no embeddings for words',
    );
    await expect(model.generate({ ...request, meaning: { pictures: [picture] } })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/image_encoder\/model.onnx is missing: without an image encoder/),
    });
    await model.release();
  });

  it.each([
    ['karlo', ['prior', 'image_encoder'], /prior\/model.onnx is missing: words become/],
    ['karlo', ['text_proj'], /text_proj\/model.onnx is missing: models of the family unclip need it/],
    ['kandinsky22', ['prior_prior'], /decoder's half of Kandinsky 2.2.*kandinsky-2-2-prior/],
    ['kandinsky22', ['unet'], /prior's half of Kandinsky 2.2.*kandinsky-2-2-decoder/],
  ] as const)('%s without %j is refused with what to do', async (family, parts, message) => {
    await expect(loadModel(await without(family, parts))).rejects.toMatchObject({
      code: 'missing-file',
      message: expect.stringMatching(message),
    });
  });

  it('with another model’s network in place of its own is refused by the file’s name', async () => {
    const folder = await without('karlo', ['prior']);
    await rename(path.join(folder, 'super_res_last'), path.join(folder, 'prior'));
    await expect(loadModel(folder)).rejects.toMatchObject({
      code: 'bad-model',
      message: expect.stringMatching(/prior\/model.onnx has no input hidden_states/),
    });
  });
});

describe('makers’ folders that cannot be taken in', () => {
  const take = (from: string, to: string): Promise<void> => cp(from, to);

  it('half of Kandinsky’s two repositories asks for the other', async () => {
    const half = await mkdtemp(path.join(dir, 'half-'));
    for (const part of ['unet', 'movq', 'scheduler'])
      await cp(path.join(sourceOf('kandinsky22'), part), path.join(half, part), { recursive: true });
    await writeFile(path.join(half, 'model_index.json'), '{"_class_name":"KandinskyV22Pipeline"}');
    const target = await mkdtemp(path.join(dir, 'to-'));
    await expect(importUnclip({ folder: half }, target, take)).rejects.toThrow(
      /decoder's half of Kandinsky 2.2.*--prior/,
    );

    const prior = await mkdtemp(path.join(dir, 'prior-'));
    for (const part of [
      'prior',
      'text_encoder',
      'image_encoder',
      'tokenizer',
      'scheduler',
      'image_processor',
    ])
      await cp(path.join(sourceOf('kandinsky22'), `prior_${part}`), path.join(prior, part), {
        recursive: true,
      });
    await writeFile(path.join(prior, 'model_index.json'), '{"_class_name":"KandinskyV22PriorPipeline"}');
    await importUnclip({ folder: half, prior }, target, take);
    const model = await loadModel(target);
    expect(model.info).toMatchObject({
      family: 'kandinsky-2.2',
      imageConditioned: true,
      imageToImage: false,
    });
    await model.release();
  });

  it('half of a folder that had both, and a prior that is none, are called so', async () => {
    const half = await mkdtemp(path.join(dir, 'half-'));
    await cp(sourceOf('kandinsky22'), half, { recursive: true });
    await rm(path.join(half, 'unet'), { recursive: true });
    const target = await mkdtemp(path.join(dir, 'to-'));
    await expect(importUnclip({ folder: half }, target, take)).rejects.toThrow(
      /prior's half of Kandinsky 2.2.*kandinsky-2-2-decoder.*--prior/,
    );
    await writeFile(path.join(half, 'model_index.json'), '{"_class_name":"KandinskyV22Pipeline"}');
    await rm(path.join(half, 'prior_prior'), { recursive: true });
    await expect(importUnclip({ folder: half, prior: target }, target, take)).rejects.toThrow(
      /is not the prior's half of Kandinsky 2.2/,
    );
  });

  it.each([
    ['karlo', 'prior', /no prior: it paints from pictures/],
    ['karlo', 'image_encoder', /no image encoder: it reads no pictures/],
  ] as const)('%s without %s is taken in, and its owner told what it cannot', async (family, part, note) => {
    const folder = await mkdtemp(path.join(dir, 'less-'));
    await cp(sourceOf(family), folder, { recursive: true });
    await rm(path.join(folder, part), { recursive: true });
    const notes: string[] = [];
    const models = await mkdtemp(path.join(dir, 'models-'));
    await addModel(models, folder, 'less', { link: false, onNote: (text) => notes.push(text) });
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  it('half of Kandinsky as ONNX is chosen from, so that the engine names the other', () => {
    const files = ['model_index.json', 'unet/model.onnx', 'movq_decoder/model.onnx'];
    const chosen = selectFiles(
      files.map((path) => ({ path, bytes: 1 })),
      'half',
    );
    expect(chosen.map(({ path }) => path).sort()).toEqual([...files].sort());
  });

  it('weights as a pickle, and a config that is not built, are refused by name', async () => {
    const folder = await mkdtemp(path.join(dir, 'odd-'));
    await cp(sourceOf('karlo'), folder, { recursive: true });
    const target = await mkdtemp(path.join(dir, 'to-'));
    const config = path.join(folder, 'prior/config.json');
    const json = JSON.parse(await readFile(config, 'utf8')) as object;
    await writeFile(config, JSON.stringify({ ...json, added_emb_type: 'other' }));
    await expect(importUnclip({ folder }, target, take)).rejects.toThrow(/prior: added_emb_type is "other"/);
    await writeFile(config, JSON.stringify(json));
    const weights = path.join(folder, 'prior/diffusion_pytorch_model');
    await rename(`${weights}.safetensors`, `${weights}.bin`);
    await expect(importUnclip({ folder }, await mkdtemp(path.join(dir, 'to-')), take)).rejects.toThrow(
      /is a pickle/,
    );
  });
});
