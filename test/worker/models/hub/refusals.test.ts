import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../../../../worker/models/hub/errors.ts';
import { type Hub, hubFrom } from '../../../../worker/models/hub/http.ts';
import { planPull, pull } from '../../../../worker/models/hub/pull.ts';
import { type FakeHub, readFolder, startHub } from './fakeHub.ts';

const model = resolve(import.meta.dirname, '../../../data/reference/pipelines/sd-turbo/model');
const UNET = 'unet/model.onnx';

let hub: FakeHub;
let models: string;

beforeEach(async () => {
  hub = await startHub(readFolder(model));
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-hub-'));
});

afterEach(async () => {
  await hub.close();
  await rm(models, { recursive: true, force: true });
});

const fetchModel = async (over: Partial<Hub> = {}, text = hub.id, folder = models) => {
  const port = hub.hub(over);
  return pull(port, folder, await planPull(port, folder, text));
};

/** The error's code and sentence. */
const failure = async (work: Promise<unknown>): Promise<StoreError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
};

describe('the token', () => {
  it('goes to the hub and never to the host that it sends us to', async () => {
    hub.faults.token = 'hf_secret';
    await fetchModel({ token: 'hf_secret' });
    const [cdn, own] = [
      hub.seen.filter((each) => each.host === 'cdn'),
      hub.seen.filter((each) => each.host === 'hub'),
    ];
    expect(cdn.length).toBeGreaterThanOrEqual(4);
    expect(new Set(cdn.map((each) => each.authorization))).toEqual(new Set([undefined]));
    expect(new Set(own.map((each) => each.authorization))).toEqual(new Set(['Bearer hf_secret']));
  });

  it('follows a repository that was renamed', async () => {
    hub.faults.oldId = 'acme/old-name';
    await fetchModel({ token: 'hf_secret' }, 'acme/old-name');
    expect(await readdir(models)).toEqual(['old-name']);
  });
});

describe('what the hub refuses', () => {
  it.each([
    ['an unknown model, without a token', { id: 'acme/nothing' }, 'no-access', /no such model.*HF_TOKEN/],
    ['an unknown model, with one', { id: 'acme/nothing', token: 'hf_x' }, 'not-found', /spelling/],
    ['an unknown revision', { id: 'acme/Tiny-Model@v9' }, 'not-found', /no revision "v9"/],
    [
      'a private model and the wrong token',
      { token: 'hf_x', own: 'hf_y' },
      'no-access',
      /does not accept HF_TOKEN/,
    ],
    [
      'a gated model, without a token',
      { gated: true, own: 'hf_y' },
      'gated',
      /accept its terms.*set HF_TOKEN/,
    ],
    [
      'a gated model, not yet accepted',
      { gated: true, own: 'hf_y', token: 'hf_x' },
      'gated',
      /owner of HF_TOKEN/,
    ],
  ] as const)('%s', async (_, given, code, words) => {
    const { id, token, own, gated } = {
      id: undefined,
      token: undefined,
      own: undefined,
      gated: false,
      ...given,
    };
    if (own) hub.faults.token = own;
    hub.faults.gated = gated;
    const error = await failure(fetchModel(token ? { token } : {}, id));
    expect(error.message).toMatch(words);
    expect(error.code).toBe(code);
  });

  it('waits as long as a busy hub asks, and tries again', async () => {
    hub.faults.refusals = [{ status: 429, headers: { 'retry-after': '7' } }, { status: 503 }];
    const asked: (number | undefined)[] = [];
    await fetchModel({ pause: async (_, askedMs) => void asked.push(askedMs) });
    expect(asked).toEqual([7000, undefined]);
  });

  it('says which host cannot be reached', async () => {
    await hub.close();
    const error = await failure(fetchModel());
    expect(error.code).toBe('connection');
    expect(error.message).toContain(new URL(hub.endpoint).host);
    hub = await startHub(new Map());
  });

  it('recognises what is no hub at all', async () => {
    hub.faults.refusals = [{ status: 200 }];
    expect((await failure(fetchModel())).message).toContain('HF_ENDPOINT');
    expect(() => hubFrom({ HF_ENDPOINT: 'ftp://models' })).toThrow(/HF_ENDPOINT/);
    expect(hubFrom({ HF_ENDPOINT: 'https://mirror.example/hf/', HF_TOKEN: ' hf_a ' })).toEqual({
      endpoint: 'https://mirror.example/hf',
      token: 'hf_a',
    });
  });
});

describe('what we refuse', () => {
  it.each(['../outside.json', 'unet/../../outside.json', '/etc/outside', 'unet\\..\\outside', 'unet//model'])(
    'a repository with a file called %s',
    async (name) => {
      hub.faults.extraNames = [name];
      expect((await failure(fetchModel())).code).toBe('unsafe-path');
      expect(await readdir(models)).toEqual([]);
    },
  );

  it.each(['tiny', 'a/b/c', '../x/y', 'acme/..', 'acme/tiny@../main', ''])(
    'the reference "%s"',
    async (text) => {
      expect((await failure(planPull(hub.hub(), models, text))).code).toBe('usage');
      expect(hub.seen).toEqual([]);
    },
  );

  it('a repository with neither ONNX files nor .safetensors, with what it lacks', async () => {
    for (const name of [...hub.files.keys()]) if (name.endsWith('.onnx')) hub.files.delete(name);
    const error = await failure(fetchModel());
    expect(error.code).toBe('not-onnx');
    expect(error.message).toContain('and no .safetensors instead');
    expect(error.message).toContain('text_encoder/model.onnx, vae_decoder/model.onnx, unet/model.onnx');
  });

  it('a transformer model, before fetching gigabytes of it', async () => {
    hub.files.set('transformer/model.onnx', hub.files.get(UNET)!);
    hub.files.delete(UNET);
    expect((await failure(fetchModel())).code).toBe('unsupported');
    expect(hub.seen).toHaveLength(1);
  });
});

/** A disk of 3 MB, which only root can make. */
const smallDisk = (folder: string): boolean =>
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder]).status === 0;

describe('a full disk', () => {
  let disk: string;
  let mounted = false;

  beforeEach(async () => {
    disk = join(models, 'disk');
    await mkdir(disk);
    mounted = smallDisk(disk);
  });
  afterEach(() => {
    if (mounted) spawnSync('umount', [disk]);
  });

  it('is noticed before the first byte', async (context) => {
    if (!mounted) return context.skip('needs root to mount a small disk');
    await writeFile(join(disk, 'filler'), Buffer.alloc(2_000_000));
    const error = await failure(fetchModel({}, hub.id, disk));
    expect(error.code).toBe('disk-full');
    expect(error.message).toMatch(/2\.\d+ MB are needed.*but only/);
    expect(hub.seen).toHaveLength(1);
  });

  it('is noticed on the way; with space again it goes on', async (context) => {
    if (!mounted) return context.skip('needs root to mount a small disk');
    const filler = join(disk, 'filler');
    hub.faults.atHalf = {
      path: UNET,
      run: async () => {
        const { bavail, bsize } = await statfs(disk);
        // The download takes some of it meanwhile; what is left over is full either way.
        await writeFile(filler, Buffer.alloc(bavail * bsize)).catch(() => undefined);
      },
    };
    const error = await failure(fetchModel({}, hub.id, disk));
    expect(error.code).toBe('disk-full');
    expect(error.message).toContain('goes on where it stopped');
    expect((await readdir(disk)).sort()).toEqual(['.pull-tiny-model', 'filler']);
    await rm(filler);
    delete hub.faults.atHalf;
    hub.seen.length = 0;
    await fetchModel({}, hub.id, disk);
    expect(await readdir(disk)).toEqual(['tiny-model']);
    expect(hub.seen.filter((each) => each.path.includes('text_encoder/model.onnx'))).toEqual([]);
  });
});
