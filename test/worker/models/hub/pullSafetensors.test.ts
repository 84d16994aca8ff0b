import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoreError } from '../../../../worker/models/hub/errors.ts';
import { planPull, pull } from '../../../../worker/models/hub/pull.ts';
import { listModels } from '../../../../worker/models/hub/verifyModel.ts';
import { data, unpackSingle } from '../import/cases.ts';
import { type FakeHub, readFolder, startHub } from './fakeHub.ts';

let models: string;
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-pull-'));
});
afterEach(() => rm(models, { recursive: true, force: true }));

const failure = (work: Promise<unknown>): Promise<StoreError> =>
  work.then(
    () => expect.unreachable('it was fetched'),
    (error) => error as StoreError,
  );

describe("a diffusers repository's safetensors", () => {
  let hub: FakeHub;
  beforeEach(async () => {
    const files = readFolder(join(data, 'folders/sd15/model'));
    for (const [path, bytes] of readFolder(join(data, 'folders/sd15-fp16/model'))) {
      if (path.endsWith('.fp16.safetensors')) files.set(path, bytes);
    }
    for (const decoy of [
      'unet/diffusion_pytorch_model.bin',
      'unet/diffusion_pytorch_model.non_ema.safetensors',
      'v1-5.safetensors',
      'README.md',
    ])
      files.set(decoy, Buffer.from(decoy));
    hub = await startHub(files, 'acme/Tiny');
  });
  afterEach(() => hub.close());

  it('are fetched in one size, never pickles, and installed', async () => {
    const plan = await planPull(hub.hub(), models, 'acme/Tiny');
    expect(plan).toMatchObject({ kind: 'diffusers', name: 'tiny', variant: { taken: 'full' } });
    expect(plan.files.map(({ path }) => path).sort()).toEqual([
      'model_index.json',
      'scheduler/scheduler_config.json',
      'text_encoder/config.json',
      'text_encoder/model.safetensors',
      'tokenizer/tokenizer.json',
      'tokenizer/tokenizer_config.json',
      'unet/config.json',
      'unet/diffusion_pytorch_model.safetensors',
      'vae/config.json',
      'vae/diffusion_pytorch_model.safetensors',
    ]);
    const manifest = await pull(hub.hub(), models, plan);
    expect(manifest).toMatchObject({
      title: 'Tiny',
      license: 'creativeml-openrail-m',
      source: { repository: 'acme/Tiny', commit: hub.commit },
    });
    expect(await readdir(models)).toEqual(['tiny']);
    expect((await listModels(models))[0]).toMatchObject({ name: 'tiny', described: true });
  });

  it('are taken in half floats where the memory is short or the owner says so', async () => {
    const whole = await planPull(hub.hub(), models, 'acme/Tiny');
    const { bytes } = whole.variant!;
    expect(bytes.fp16).toBeLessThan(bytes.full);
    const short = await planPull(hub.hub(), models, 'acme/Tiny', { memory: bytes.full });
    expect(short).toMatchObject({ bytes: bytes.fp16, variant: { taken: 'fp16' } });
    const told = await planPull(hub.hub(), models, 'acme/Tiny', { variant: 'fp16' });
    await pull(hub.hub(), models, told);
    expect(await readdir(join(models, 'tiny/unet'))).toContain('weights.safetensors');
  });
});

describe('a single file', () => {
  let file: Buffer;
  let server: Server;
  let address: string;
  const seen: { authorization: string | undefined; range: string | undefined }[] = [];
  let broken = 0;
  beforeEach(async () => {
    const path = join(models, '.single');
    await unpackSingle(path);
    file = await readFile(path);
    await rm(path);
    seen.length = 0;
    broken = 0;
    server = createServer((request, response) => {
      const { authorization, range } = request.headers;
      seen.push({ authorization, range });
      if (request.url === '/page') return response.setHeader('content-type', 'text/html').end('<html>');
      if (request.url === '/members') return response.writeHead(401).end();
      const start = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
      response.writeHead(206, {
        'content-range': `bytes ${start}-${file.length - 1}/${file.length}`,
        'content-disposition': 'attachment; filename="dreamshaper_8.safetensors"',
      });
      if (broken-- > 0) {
        response.write(file.subarray(start, start + 1_000_000), () => response.destroy());
        return undefined;
      }
      return response.end(file.subarray(start));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const port = (over = {}) => ({
    endpoint: 'http://127.0.0.1:9',
    token: 'hub-token',
    civitaiToken: 'civitai-token',
    pause: async () => undefined,
    ...over,
  });

  it('comes from any address, goes on after a break, and no token goes where it does not belong', async () => {
    const plan = await planPull(port(), models, `${address}/api/download/models/128713?type=Model`);
    expect(plan).toMatchObject({
      kind: 'file',
      name: 'dreamshaper_8',
      bytes: file.length,
      license: 'not stated',
    });
    broken = 1;
    const manifest = await pull(port(), models, plan);
    expect(manifest).toMatchObject({ title: 'dreamshaper_8', file: { name: 'dreamshaper_8.safetensors' } });
    expect(seen.at(-1)!.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(seen.every(({ authorization }) => authorization === undefined)).toBe(true);
    expect(await readdir(models)).toEqual(['dreamshaper_8']);
  });

  it('comes from a repository by its name', async () => {
    const hub = await startHub(
      new Map([
        ['dreamshaper_8.safetensors', file],
        ['README.md', Buffer.from('x')],
      ]),
      'acme/Files',
    );
    try {
      for (const text of [
        'acme/Files/dreamshaper_8.safetensors',
        'acme/Files@main/dreamshaper_8.safetensors',
      ]) {
        const plan = await planPull(hub.hub(), models, text);
        expect(plan).toMatchObject({
          kind: 'file',
          name: 'dreamshaper_8',
          files: [{ path: 'dreamshaper_8.safetensors' }],
        });
      }
      const page = 'https://huggingface.co/acme/Files/resolve/main/dreamshaper_8.safetensors?download=true';
      await pull(hub.hub(), models, await planPull(hub.hub(), models, page, { as: 'mine' }));
      expect(await readdir(models)).toEqual(['mine']);
      const error = await failure(planPull(hub.hub(), models, 'acme/Files'));
      expect(error.message).toContain('owner/name/dreamshaper_8.safetensors');
    } finally {
      await hub.close();
    }
  });

  it('is refused in one line where the address brings none', async () => {
    expect((await failure(planPull(port(), models, `${address}/page`))).message).toContain(
      'is a page, no file',
    );
    expect(await failure(planPull(port(), models, `${address}/members`))).toMatchObject({
      code: 'no-access',
    });
    expect(await failure(planPull(port(), models, 'http://example.org/x.safetensors'))).toMatchObject({
      code: 'usage',
    });
    await writeFile(join(models, 'keep'), '');
    expect(await readdir(models)).toEqual(['keep']);
  });
});
