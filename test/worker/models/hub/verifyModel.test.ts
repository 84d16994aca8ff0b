import { readdirSync } from 'node:fs';
import {
  appendFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { modelCommands } from '../../../../worker/cli/modelStore.ts';
import { readModels } from '../../../../worker/models/installed.ts';
import { type FakeHub, readFolder, startHub } from './fakeHub.ts';

const reference = resolve(import.meta.dirname, '../../../data/reference/pipelines');
const model = (kind: string) => join(reference, kind, 'model');

let models: string;
let hub: FakeHub | undefined;
let printed = '';

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-store-'));
  vi.stubEnv('MODELS_DIR', models);
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await hub?.close();
  hub = undefined;
  await rm(models, { recursive: true, force: true });
});

const run = async (...line: string[]): Promise<{ code: number; text: string }> => {
  printed = '';
  const [name, ...args] = line as [string, ...string[]];
  const code = await modelCommands[name]!(args);
  return { code, text: printed };
};
const json = async (...line: string[]) => JSON.parse((await run(...line, '--json')).text);
const names = async () => {
  const { all, problems } = await readModels(models);
  return [...all.map(({ name }) => name), ...problems];
};

describe('dreamgrid models', () => {
  it('pulls from the hub that HF_ENDPOINT names, lists, verifies and removes', async () => {
    hub = await startHub(readFolder(model('sd15')));
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    expect(await json('pull', hub.id, '--yes')).toMatchObject({
      name: 'tiny-model',
      family: 'sd1',
      commit: hub.commit,
    });
    expect(await json('list')).toMatchObject({
      root: models,
      models: [{ name: 'tiny-model', family: 'sd1', defaults: { steps: 30 }, default: false }],
      problems: [],
      unfinished: [],
    });
    expect((await run('list')).text).toMatch(
      /tiny-model +sd1 +64x64 +\d\.\d+ MB +30 steps, guidance 7.5, PNDMScheduler/,
    );
    expect((await run('verify')).text).toMatch(/tiny-model: 1\d files are as they should be/);
    expect((await run('remove', 'tiny-model', '--yes')).code).toBe(0);
    expect(await readdir(models)).toEqual([]);
  });

  it('optimises a model once, says how much disk that takes, and undoes it', async () => {
    await run('add', model('sd-turbo'), '--as', 'turbo');
    const before = await json('list');
    const made = await json('optimise', 'turbo');
    expect(made).toMatchObject({ name: 'turbo', optimised: true });
    expect(made.bytes).toBeGreaterThan(100_000);
    expect(await json('list')).toEqual(before);
    expect((await run('verify', 'turbo')).code).toBe(0);
    expect(await names()).toEqual(['turbo']);
    expect(await json('optimise', 'turbo', '--undo')).toMatchObject({ optimised: false });
    expect(await readdir(join(models, 'turbo'))).not.toContain('optimised');
    expect((await run('optimise', 'nobody')).code).toBe(1);
  });

  it('asks before it fetches; where nobody can answer, --yes is needed', async () => {
    hub = await startHub(readFolder(model('sd15')));
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    const { code, text } = await run('pull', hub.id);
    expect(code).toBe(2);
    expect(text).toMatch(/license: creativeml-openrail-m · 1\d files, \d\.\d+ MB/);
    expect(text).toContain('--yes');
    expect(await readdir(models)).toEqual([]);
  });

  it('answers errors in JSON where JSON was asked for', async () => {
    expect(await json('pull', 'nonsense')).toMatchObject({ error: { code: 'usage' } });
    expect(await json('verify', 'nobody')).toMatchObject({ error: { code: 'unknown-model' } });
    expect((await run('list', '--wrong')).code).toBe(2);
    expect((await run('remove', '../x', '--yes')).code).toBe(1);
  });

  it('shows an interrupted pull, and removes what it left', async () => {
    hub = await startHub(readFolder(model('sd15')));
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    hub.faults.instead = new Map([['vae_decoder/model.onnx', Buffer.alloc(9)]]);
    hub.faults.refusals = [];
    const other = new Map(hub.files).get('vae_decoder/model.onnx')!;
    hub.faults.instead.set('vae_decoder/model.onnx', Buffer.alloc(other.length));
    expect((await run('pull', `${hub.id}@refs/pr/1`, '--as', 'mine', '--yes')).text).toContain(
      'another content',
    );
    expect((await run('list')).text).toContain('dreamgrid models pull acme/Tiny-Model@refs/pr/1 --as mine');
    expect((await run('remove', 'mine', '--yes')).code).toBe(0);
    expect(await readdir(models)).toEqual([]);
  });
});

describe('add', () => {
  it.each(readdirSync(reference))('takes what an exporter wrote: %s', async (kind) => {
    expect(await json('add', model(kind), '--as', kind)).toMatchObject({ name: kind });
    expect(await names()).toEqual([kind]);
    expect(await run('verify', kind)).toMatchObject({ code: 0 });
  });

  it('links instead of copying where that was asked for, and leaves the source as it was', async () => {
    const source = join(models, '..', `${models.split('/').at(-1)}-source`);
    for (const [path, bytes] of readFolder(model('sd-turbo'))) {
      await mkdir(join(source, path, '..'), { recursive: true });
      await writeFile(join(source, path), bytes);
    }
    try {
      expect((await run('add', source, '--as', 'linked', '--link')).code).toBe(0);
      const [a, b] = await Promise.all(
        [source, join(models, 'linked')].map((dir) => stat(join(dir, 'unet/model.onnx'))),
      );
      expect(a!.ino).toBe(b!.ino);
      await expect(stat(join(source, 'manifest.json'))).rejects.toThrow('ENOENT');
      expect((await run('remove', 'linked', '--yes')).code).toBe(0);
      expect((await stat(join(source, 'unet/model.onnx'))).size).toBe(a!.size);
    } finally {
      await rm(source, { recursive: true, force: true });
    }
  });

  it('follows the links of a download cache', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'dreamgrid-cache-'));
    try {
      let blob = 0;
      for (const [path, bytes] of readFolder(model('sd-turbo'))) {
        const real = join(cache, 'blobs', String(blob++));
        await mkdir(join(cache, 'blobs'), { recursive: true });
        await mkdir(join(cache, 'snapshot', path, '..'), { recursive: true });
        await writeFile(real, bytes);
        await symlink(real, join(cache, 'snapshot', path));
      }
      expect((await run('add', join(cache, 'snapshot'), '--as', 'cached')).code).toBe(0);
      expect(await names()).toEqual(['cached']);
    } finally {
      await rm(cache, { recursive: true, force: true });
    }
  });

  it('refuses what does not load, and leaves nothing behind', async () => {
    const source = await mkdtemp(join(tmpdir(), 'dreamgrid-broken-'));
    try {
      for (const [path, bytes] of readFolder(model('sd-turbo'))) {
        await mkdir(join(source, path, '..'), { recursive: true });
        await writeFile(join(source, path), bytes);
      }
      const decoder = join(source, 'vae_decoder/model.onnx');
      const whole = await readFile(decoder);
      await truncate(decoder, whole.length - 1000);
      expect(await json('add', source, '--as', 'broken')).toMatchObject({ error: { code: 'damaged' } });
      // Whole by its lengths, but no network that ONNX Runtime knows.
      await writeFile(decoder, Buffer.from([0x3a, 0x02, 0x12, 0x00]));
      expect(await json('add', source, '--as', 'broken')).toMatchObject({
        error: { code: 'damaged', message: expect.stringContaining('vae_decoder/model.onnx') },
      });
      await rm(decoder);
      expect(await json('add', source, '--as', 'broken')).toMatchObject({ error: { code: 'not-onnx' } });
      expect(await json('add', join(source, 'nowhere'))).toMatchObject({ error: { code: 'usage' } });
      expect(await json('add', source, '--as', '../x')).toMatchObject({ error: { code: 'bad-name' } });
      expect(await readdir(models)).toEqual([]);
    } finally {
      await rm(source, { recursive: true, force: true });
    }
  });
});

describe('verify', () => {
  beforeEach(async () => {
    await run('add', model('sd-turbo'), '--as', 'mine', '--no-load');
  });
  const unet = () => join(models, 'mine', 'unet/model.onnx');

  it('finds a flipped bit, a cut file and a missing one', async () => {
    const bytes = await readFile(unet());
    bytes[1000]! ^= 1;
    await writeFile(unet(), bytes);
    await truncate(join(models, 'mine', 'vae_decoder/model.onnx'), 100);
    await rm(join(models, 'mine', 'model_index.json'));
    const { code, text } = await run('verify', 'mine');
    expect(code).toBe(1);
    expect(text).toMatch(/unet\/model\.onnx is damaged/);
    expect(text).toMatch(/vae_decoder\/model\.onnx has 100 bytes instead of/);
    expect(text).toMatch(/model_index\.json is missing/);
  });

  it('says how to have a pulled model again', async () => {
    hub = await startHub(readFolder(model('sd15')));
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    await run('pull', hub.id, '--yes');
    await appendFile(join(models, 'tiny-model', 'model_index.json'), ' ');
    const { code, text } = await run('verify', 'tiny-model');
    expect(code).toBe(1);
    expect(text).toContain(`dreamgrid models pull acme/Tiny-Model@${hub.commit} --as tiny-model`);
    expect((await run('list')).text).toContain('tiny-model is broken: model_index.json has');
  });

  it('keeps a hard link apart from a link that leads out', async () => {
    const outside = join(models, 'outside.onnx');
    await link(unet(), outside);
    await rm(unet());
    await symlink(outside, unet());
    expect((await names())[0]).toContain("leads out of the model's folder");
  });
});
