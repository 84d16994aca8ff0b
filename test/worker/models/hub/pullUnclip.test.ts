import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planPull, pull } from '../../../../worker/models/hub/pull.ts';
import { priorOf } from '../../../../worker/models/hub/selectUnclip.ts';
import { sourceOf } from '../../engine/unclip/models.ts';
import { readFolder, startHub } from './fakeHub.ts';

let models: string;
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-pull-'));
});
afterEach(() => rm(models, { recursive: true, force: true }));

describe('a repository of a model with a picture embedding', () => {
  it.each([
    ['karlo', 'acme/tiny-karlo', 'unclip'],
    ['kandinsky22', 'acme/tiny-kandinsky', 'kandinsky-2.2'],
  ] as const)('%s is fetched without pickles and taken in', async (source, id, family) => {
    const files = readFolder(sourceOf(source));
    for (const decoy of ['prior/diffusion_pytorch_model.bin', 'README.md', 'all-in-one.safetensors'])
      files.set(decoy, Buffer.from(decoy));
    const hub = await startHub(files, id);
    try {
      const plan = await planPull(hub.hub(), models, id);
      expect(plan.kind).toBe('unclip');
      expect(plan.files.filter(({ path }) => /bin$|README|all-in-one/.test(path))).toEqual([]);
      const manifest = await pull(hub.hub(), models, plan, undefined, { load: { providers: ['cpu'] } });
      expect(manifest).toMatchObject({
        family,
        pictureEmbedding: true,
        license: 'creativeml-openrail-m',
        source: { repository: id, commit: hub.commit },
      });
      expect(await readdir(models)).toEqual([plan.name]);
    } finally {
      await hub.close();
    }
  });

  it('half of Kandinsky looks for the other half by its publisher’s name, and says what it did not find', async () => {
    expect(priorOf('kandinsky-2-2-decoder')).toBe('kandinsky-2-2-prior');
    const half = [...readFolder(sourceOf('kandinsky22'))].filter(([path]) => !path.startsWith('prior_'));
    const hub = await startHub(new Map(half), 'acme/tiny-decoder');
    try {
      await expect(planPull(hub.hub(), models, 'acme/tiny-decoder')).rejects.toThrow(/acme\/tiny-prior/);
    } finally {
      await hub.close();
    }
  });
});
