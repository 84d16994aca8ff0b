import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadModel } from '../../../../worker/engine/index.ts';
import { StoreError } from '../../../../worker/models/hub/errors.ts';
import type { Hub } from '../../../../worker/models/hub/http.ts';
import { planPull, pull } from '../../../../worker/models/hub/pull.ts';
import { listModels } from '../../../../worker/models/hub/verifyModel.ts';
import { readModels } from '../../../../worker/models/installed.ts';
import { type FakeHub, readFolder, startHub } from './fakeHub.ts';

const reference = resolve(import.meta.dirname, '../../../data/reference/pipelines');
const UNET = 'unet/model.onnx';

let hub: FakeHub;
let models: string;

beforeEach(async () => {
  const files = readFolder(join(reference, 'sd-turbo', 'model'));
  // What published repositories carry beside the model, and what is not to be fetched.
  for (const decoy of [
    'README.md',
    '.gitattributes',
    'picture.png',
    'sd-turbo.safetensors',
    'unet/diffusion_pytorch_model.safetensors',
    'unet/diffusion_flax_model.msgpack',
    'unet/openvino_model.bin',
    'unet/model_fp16.onnx',
    'unet/model_fp16.onnx_data',
    'text_encoder/deeper/model.onnx',
    'onnx/other.onnx',
  ]) {
    files.set(decoy, Buffer.from(decoy));
  }
  hub = await startHub(files);
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-hub-'));
});

afterEach(async () => {
  await hub.close();
  await rm(models, { recursive: true, force: true });
});

const fetchModel = async (over: Partial<Hub> = {}, name?: string) => {
  const port = hub.hub(over);
  const plan = await planPull(port, models, hub.id, name === undefined ? {} : { as: name });
  return pull(port, models, plan);
};

const failure = async (work: Promise<unknown>): Promise<StoreError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
};

/** What a worker would see. */
const installed = async () => {
  const { all, problems } = await readModels(models);
  expect(problems).toEqual([]);
  return all.map((model) => model.name);
};

const sentOf = (path: string) => hub.seen.filter((each) => each.host === 'cdn' && each.path.includes(path));

describe('pull', () => {
  it('fetches the ONNX model and nothing else, byte for byte, and describes it', async () => {
    const manifest = await fetchModel();
    const dir = join(models, 'tiny-model');
    const wanted = readFolder(join(reference, 'sd-turbo', 'model'));
    const got = readFolder(dir);
    got.delete('manifest.json');
    expect([...got.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [path, bytes] of wanted) expect(got.get(path)!.equals(bytes), path).toBe(true);
    expect(manifest).toMatchObject({
      name: 'tiny-model',
      license: 'creativeml-openrail-m',
      family: 'sd-turbo',
      native: { width: 64, height: 64 },
      multiple: 16,
      defaults: { steps: 4, guidance: 0, scheduler: 'EulerDiscreteScheduler' },
      source: { repository: 'acme/Tiny-Model', commit: hub.commit },
    });
    expect(Object.keys(manifest.files).sort()).toEqual([...wanted.keys()].sort());
    expect(await installed()).toEqual(['tiny-model']);
    expect(await readdir(models)).toEqual(['tiny-model']);
  });

  it('gives a model that paints what diffusers paints', async () => {
    const manifest = await fetchModel();
    const cases = JSON.parse(await readFile(join(reference, 'sd-turbo', 'cases.json'), 'utf8'));
    const [first] = cases.cases;
    const bytes = await readFile(join(reference, 'sd-turbo', first.expected));
    const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const model = await loadModel(join(models, 'tiny-model'), { providers: ['cpu'] });
    try {
      const { pictures } = await model.generate({
        prompt: first.prompt,
        negative: first.negative,
        seeds: [first.seed],
        width: first.width,
        height: first.height,
        steps: first.steps,
        guidance: manifest.defaults.guidance,
        scheduler: { name: manifest.defaults.scheduler },
      });
      const { data } = pictures[0]!;
      let difference = 0;
      for (const [i, value] of data.entries()) difference += Math.abs(value - expected[i]!) / data.length;
      expect(difference).toBeLessThan(1e-4);
    } finally {
      await model.release();
    }
  });

  it('shows sizes before the first byte, and takes a revision and a name', async () => {
    const plan = await planPull(hub.hub(), models, `${hub.id}@refs/pr/1`, { as: 'mine' });
    expect(plan).toMatchObject({ name: 'mine', dir: join(models, 'mine'), commit: hub.commit, present: 0 });
    const wanted = [...readFolder(join(reference, 'sd-turbo', 'model')).values()];
    expect(plan.bytes).toBe(wanted.reduce((sum, bytes) => sum + bytes.length, 0));
    expect(hub.seen).toHaveLength(1);
    await pull(hub.hub(), models, plan);
    expect(await installed()).toEqual(['mine']);
  });

  it('continues at the byte where the connection broke', async () => {
    hub.faults.cut = { path: UNET, after: 500_000, times: 2 };
    await fetchModel();
    expect(await installed()).toEqual(['tiny-model']);
    const asked = sentOf(UNET);
    expect(asked.length).toBeGreaterThanOrEqual(2);
    expect(asked[0]!.range).toBeUndefined();
    for (const { range } of asked.slice(1)) expect(range).toMatch(/^bytes=[1-9]\d*-$/);
    // Bytes that were on their way when it broke are lost; what arrived is not asked for again.
    const start = Number(/\d+/.exec(asked.at(-1)!.range!)![0]);
    expect(asked.at(-1)!.sent).toBe(hub.files.get(UNET)!.length - start);
  });

  it('gives up on a host that never delivers; nothing is listed, and the next pull goes on', async () => {
    hub.faults.cut = { path: UNET, after: 500_000, times: Number.POSITIVE_INFINITY };
    const error = await failure(fetchModel());
    expect(error.code).toBe('connection');
    expect(await installed()).toEqual([]);
    expect(await listModels(models)).toMatchObject([
      { name: 'tiny-model', unfinished: { from: hub.id, as: 'tiny-model' } },
    ]);
    delete hub.faults.cut;
    hub.seen.length = 0;
    const plan = await planPull(hub.hub(), models, hub.id);
    expect(plan.present).toBeGreaterThan(0);
    await pull(hub.hub(), models, plan);
    expect(await installed()).toEqual(['tiny-model']);
    expect(sentOf(UNET)).toHaveLength(1);
    expect(sentOf(UNET)[0]!.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(sentOf('text_encoder/model.onnx')).toHaveLength(0);
  });

  it('takes up a connection that has gone silent', async () => {
    hub.faults.silent = { path: UNET, times: 1 };
    await fetchModel({ stallMs: 250 });
    expect(await installed()).toEqual(['tiny-model']);
    expect(sentOf(UNET)).toHaveLength(2);
  });

  it('starts over where a host does not know ranges', async () => {
    hub.faults.cut = { path: UNET, after: 400_000, times: 1 };
    hub.faults.ignoreRange = true;
    await fetchModel();
    expect(await installed()).toEqual(['tiny-model']);
  });

  it('stops when told to, leaves nothing listed, and goes on later', async () => {
    const controller = new AbortController();
    hub.faults.atHalf = { path: UNET, run: () => controller.abort() };
    const error = await failure(fetchModel({ signal: controller.signal }));
    expect(error.code).toBe('stopped');
    expect(await installed()).toEqual([]);
    delete hub.faults.atHalf;
    await fetchModel();
    expect(await installed()).toEqual(['tiny-model']);
    expect(await readdir(models)).toEqual(['tiny-model']);
  });

  it.each([
    ['a large file', UNET],
    ['a small file', 'unet/config.json'],
  ])('refuses other bytes than were promised: %s', async (_, path) => {
    const bad = Buffer.from(hub.files.get(path)!);
    bad[bad.length >> 1]! ^= 1;
    hub.faults.instead = new Map([[path, bad]]);
    const error = await failure(fetchModel());
    expect(error.code).toBe('wrong-hash');
    expect(error.message).toContain(path);
    expect(await installed()).toEqual([]);
    delete hub.faults.instead;
    await fetchModel();
    expect(await installed()).toEqual(['tiny-model']);
  });

  it('refuses a file that is longer than promised', async () => {
    hub.faults.instead = new Map([[UNET, Buffer.concat([hub.files.get(UNET)!, Buffer.alloc(100)])]]);
    expect((await failure(fetchModel())).code).toBe('wrong-hash');
    expect(await installed()).toEqual([]);
  });

  it('does not build upon the leftover of another revision', async () => {
    hub.faults.cut = { path: UNET, after: 300_000, times: 5 };
    await failure(fetchModel({ pause: () => Promise.reject(new StoreError('stopped', 'enough')) }));
    const part = join(models, '.pull-tiny-model', 'files', `${UNET}.part`);
    const kept = await readFile(part);
    await writeFile(part, Buffer.alloc(kept.length, 7));
    hub.faults.cut.times = 0;
    await fetchModel();
    expect(await installed()).toEqual(['tiny-model']);
  });

  it('will not overwrite a model', async () => {
    await fetchModel();
    const error = await failure(fetchModel());
    expect(error.code).toBe('exists');
    expect(error.message).toContain('--as');
  });

  it('finds weights in files beside the model, and misses them when they are not there', async () => {
    await hub.close();
    hub = await startHub(readFolder(join(reference, 'sd15-external-data', 'model')));
    const data = [...hub.files.keys()].find((name) => name.startsWith('unet/model.onnx') && name !== UNET)!;
    const bytes = hub.files.get(data)!;
    await fetchModel();
    expect(existsSync(join(models, 'tiny-model', data))).toBe(true);

    hub.files.delete(data);
    const missing = await failure(fetchModel({}, 'missing'));
    expect([missing.code, missing.message.includes(data)]).toEqual(['damaged', true]);

    hub.files.set(data, bytes.subarray(0, bytes.length - 64));
    const short = await failure(fetchModel({}, 'short'));
    expect([short.code, short.message.includes('cut short')]).toEqual(['damaged', true]);
    expect(await installed()).toEqual(['tiny-model']);
  });
});
