/** Killed in the middle, on another disk, in a folder that is not to be written to, under a file that is replaced. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import {
  access,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadModel } from '../../../../worker/engine/index.ts';
import { sweepStaging } from '../../../../worker/models/hub/stagingFolder.ts';
import { listModels, verifyModel } from '../../../../worker/models/hub/verifyModel.ts';
import { importModel } from '../../../../worker/models/import/importModel.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { data } from './cases.ts';

let work: string;
let models: string;
/** A copy: the model's weights are links to it, and some are damaged here. */
let source: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'dreamgrid-hardship-'));
  models = join(work, 'models');
  source = join(work, 'source');
  await mkdir(models);
  await cp(join(data, 'folders/sd15/model'), source, { recursive: true });
  await importModel(models, source, 'sd15');
});
afterAll(() => rm(work, { recursive: true, force: true }));

const paint = async (model: Awaited<ReturnType<typeof loadModel>>, lora?: string) => {
  const loras = lora === undefined ? [] : [[{ source: await readSafetensors(lora), weight: 0.8 }]];
  const size = { width: 64, height: 64, steps: 2, guidance: 5 };
  return (await model.generate({ prompt: 'a fox', seeds: [3, 4], ...size, loras })).pictures;
};

// While the folder is made, and while its networks are tried.
it.each(['files/unet/weights.safetensors', 'files/scheduler/scheduler_config.json'])(
  'killed as soon as %s is there, it is on no list, and the next look sweeps it away',
  async (moment) => {
    const root = resolve(import.meta.dirname, '../../../..');
    const bin = join(root, 'worker/cli/bin.mjs');
    const child = spawn(process.execPath, [bin, 'models', 'add', source, '--as', 'killed', '--yes'], {
      env: { ...process.env, MODELS_DIR: models },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    const mark = join(models, '.add-killed', moment);
    while (child.exitCode === null && !existsSync(mark)) await new Promise((done) => setImmediate(done));
    child.kill('SIGKILL');
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect((await listModels(models)).map(({ name }) => name)).toEqual(['sd15']);
    expect(await sweepStaging(models)).toEqual(new Map());
    expect(await readdir(models)).toEqual(['sd15']);
  },
);

it('another disk gets a copy, and its owner is told', async () => {
  const shared = await access('/dev/shm').then(
    () => '/dev/shm',
    () => tmpdir(),
  );
  const elsewhere = await mkdtemp(join(shared, 'dreamgrid-elsewhere-'));
  try {
    const said: string[] = [];
    await importModel(elsewhere, source, 'moved', { say: (note) => said.push(note) });
    const file = 'unet/diffusion_pytorch_model.safetensors';
    const [from, to] = [
      statSync(join(source, file)),
      statSync(join(elsewhere, 'moved/unet/weights.safetensors')),
    ];
    const copied = from.dev !== to.dev;
    expect(from.ino === to.ino && !copied).toBe(!copied);
    expect(said.some((note) => note.startsWith(`${join(source, file)} cannot be linked`))).toBe(copied);
    const [here, there] = [
      await loadModel(join(models, 'sd15'), { threads: 1 }),
      await loadModel(join(elsewhere, 'moved'), { threads: 1 }),
    ];
    expect(await paint(there)).toEqual(await paint(here));
    for (const model of [here, there]) await model.release();
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
});

it('a place that nothing can be written into is named in one line', async () => {
  const nowhere = join(source, 'model_index.json');
  await expect(importModel(nowhere, source, 'lost')).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(`^Nothing can be written into ${nowhere} \\(\\w+\\): .+$`),
  });
});

it('painting writes nothing into the folder, with a LoRA neither', async () => {
  const dir = join(models, 'sd15');
  const state = async (): Promise<Record<string, number>> => {
    const names = await readdir(dir, { recursive: true });
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, (await stat(join(dir, name))).mtimeMs])),
    );
  };
  const before = await state();
  const model = await loadModel(dir, { threads: 1 });
  const plain = await paint(model);
  expect(await paint(model, join(data, 'lora/sd15/kohya.safetensors'))).not.toEqual(plain);
  await model.release();
  expect(await state()).toEqual(before);
});

it('with several threads, too, a picture does not depend on its company', async () => {
  const model = await loadModel(join(models, 'sd15'), { threads: 3 });
  for (const guidance of [1, 5]) {
    const request = { prompt: 'a fox', width: 128, height: 128, steps: 2, guidance, stop: 1 };
    const { latents: together } = await model.generate({ ...request, seeds: [1, 2, 3] });
    for (const [i, latents] of together.entries())
      expect((await model.generate({ ...request, seeds: [i + 1] })).latents).toEqual([latents]);
  }
  await model.release();
});

it('a file replaced by another of its name goes on painting; changed in place, it is refused', async () => {
  const dir = join(models, 'sd15');
  const weights = join(dir, 'unet/weights.safetensors');
  const model = await loadModel(dir, { threads: 1 });
  const before = await paint(model);
  const whole = await readFile(weights);
  await writeFile(`${weights}.new`, Buffer.from(whole).fill(1, whole.length >> 1));
  await rename(`${weights}.new`, weights);
  expect(await paint(model)).toEqual(before);
  await model.release();
  const verify = async () => verifyModel((await listModels(models)).find(({ name }) => name === 'sd15')!);
  expect(JSON.stringify((await verify()).problems)).toContain('unet/weights.safetensors');

  const decoder = await open(join(dir, 'vae_decoder/weights.safetensors'), 'r+');
  await decoder.write(Buffer.from([255]), 0, 1, 100);
  await decoder.close();
  expect(JSON.stringify((await verify()).problems)).toContain('vae_decoder/weights.safetensors');
});
