import {
  appendFile,
  cp,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { needModel, readModels, toCard } from '../../../worker/models/installed.ts';
import { type ModelsFolder, makeModels } from '../../support/tinyModel.ts';

let folder: ModelsFolder;
beforeEach(async () => {
  folder = await makeModels();
});
afterEach(() => folder.remove());

const problemsOf = async (): Promise<string> => (await readModels(folder.root)).problems.join('\n');
const unet = (): string => join(folder.root, 'tiny', 'unet', 'model.onnx');

describe('sound models', () => {
  it('are read with their hash, and become cards', async () => {
    const models = await readModels(folder.root);
    expect(models.problems).toEqual([]);
    const model = needModel(models, 'tiny', folder.root);
    expect(model.hash).toMatch(/^[0-9a-f]{16}$/);
    expect(toCard(model)).toMatchObject({ name: 'tiny', native: { width: 64, height: 64 }, upscale: false });
  });

  it("hand on the manifest's own ranges, and refuse ranges that are none", async () => {
    const parameters = { chaos: { supported: false }, guidance: { min: 1, max: 2, default: 1.5 } };
    await folder.writeManifest('tiny', { parameters });
    expect(toCard(needModel(await readModels(folder.root), 'tiny', folder.root)).parameters).toEqual(
      parameters,
    );
    await folder.writeManifest('tiny', { parameters: { guidance: { min: 'low' } } });
    expect(await problemsOf()).toContain('parameters');
  });

  it('a plain export without a manifest gets defaults from its own configs', async () => {
    await rm(join(folder.root, 'tiny', 'manifest.json'));
    const { all } = await readModels(folder.root);
    expect(all[0]).toMatchObject({
      hash: '',
      manifest: {
        family: 'StableDiffusionPipeline',
        native: { width: 64, height: 64 },
        multiple: 16,
        defaults: { scheduler: 'PNDMScheduler' },
      },
    });
    for (const [width, height] of all[0]!.manifest.buckets) expect([width % 16, height % 16]).toEqual([0, 0]);
  });

  it('other folders are not models', async () => {
    await mkdir(join(folder.root, 'notes'));
    await writeFile(join(folder.root, 'README.md'), '# Models');
    await cp(join(folder.root, 'tiny'), join(folder.root, '.pull-tiny'), { recursive: true });
    expect((await readModels(folder.root)).all.map(({ name }) => name)).toEqual(['tiny']);
    expect(await problemsOf()).toBe('');
  });

  it('what was hashed before is not hashed again as long as its time and size are the same', async () => {
    const checks = join(folder.root, 'checks.json');
    await readModels(folder.root, checks);
    const known = JSON.parse(await readFile(checks, 'utf8')) as Record<string, string>;
    expect(Object.keys(known).some((key) => key.startsWith(`${unet()}|`))).toBe(true);
    for (const key of Object.keys(known)) known[key] = 'f'.repeat(64);
    await writeFile(checks, JSON.stringify(known));
    expect((await readModels(folder.root, checks)).problems).toHaveLength(1); // believed
    await utimes(unet(), new Date(), new Date());
    await writeFile(checks, 'half a fi');
    expect((await readModels(folder.root, checks)).problems).toEqual([]);
  });
});

describe('broken models are refused by the name of the file', () => {
  it.each([
    ['a missing file', async () => rm(unet()), /unet\/model\.onnx is missing\. Fetch/],
    ['a file cut short', async () => truncate(unet(), 1000), /unet\/model\.onnx has 1000 bytes instead of/],
    [
      'a damaged file',
      async () => {
        const bytes = await readFile(unet());
        bytes[500] = (bytes[500] as number) ^ 1;
        await writeFile(unet(), bytes);
      },
      /unet\/model\.onnx is damaged/,
    ],
    [
      'a link out of the folder',
      async () => {
        await rename(unet(), join(folder.root, 'elsewhere.onnx'));
        await symlink('../../elsewhere.onnx', unet());
      },
      /unet\/model\.onnx leads out/,
    ],
    [
      'a manifest that is not JSON',
      async () => appendFile(join(folder.root, 'tiny', 'manifest.json'), '}'),
      /manifest\.json is not JSON/,
    ],
    [
      'a path with ..',
      async () => folder.writeManifest('tiny', { files: { '../x': { sha256: 'a'.repeat(64), bytes: 1 } } }),
      /manifest\.json is not a manifest: files/,
    ],
    [
      'an upscaler outside',
      async () => folder.writeManifest('tiny', { upscaler: { path: '/etc/passwd', scale: 4 } }),
      /upscaler\.path/,
    ],
    ['another name', async () => folder.writeManifest('tiny', { name: 'other' }), /says name "other"/],
    [
      'a wrong number',
      async () => folder.writeManifest('tiny', { native: { width: 0, height: 64 } }),
      /native\.width/,
    ],
  ])('%s', async (_, damage, says) => {
    await damage();
    expect(await problemsOf()).toMatch(says);
    await expect(async () => needModel(await readModels(folder.root), 'tiny', folder.root)).rejects.toThrow(
      says,
    );
  });
});

describe('a missing model', () => {
  it('is one line that names what there is', async () => {
    const models = await readModels(folder.root);
    expect(() => needModel(models, 'pocket', folder.root)).toThrow(
      /no model "pocket" in .* \(there are: tiny\)/,
    );
    await expect(readModels('/nowhere/at/all')).rejects.toThrow(/MODELS_DIR: cannot read/);
  });
});
