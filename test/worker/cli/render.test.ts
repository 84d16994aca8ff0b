import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { render } from '../../../worker/cli/render.ts';
import {
  meanDifference,
  modelDir,
  readCases,
  readExpected,
  readPicture,
  referenceDir,
} from '../../support/reference.ts';

let out: string;
const lines = { out: [] as string[], error: [] as string[] };
beforeAll(async () => {
  out = await mkdtemp(path.join(os.tmpdir(), 'dreamgrid-render-'));
  vi.spyOn(console, 'log').mockImplementation((line) => void lines.out.push(String(line)));
  vi.spyOn(console, 'error').mockImplementation((line) => void lines.error.push(String(line)));
});
afterEach(() => {
  lines.out = [];
  lines.error = [];
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rm(out, { recursive: true, force: true });
});

describe('dreamgrid render', () => {
  for (const [family, name] of [
    ['sd15', 'img2img-60'],
    ['inpaint', 'region'],
    ['sd15', 'euler-wide'],
  ] as const) {
    it(`paints ${family}/${name} from the command line`, async () => {
      const one = readCases(family).find((candidate) => candidate.name === name)!;
      const side = (what: string): string =>
        path.join(referenceDir, 'pipelines', family, `expected/${name}-${what}.png`);
      const dir = path.join(out, name);
      const code = await render([
        ...['--model-dir', modelDir(family), '--prompt', one.prompt, '--negative', one.negative ?? ''],
        ...[
          '--seed',
          `${one.seed}`,
          '--steps',
          `${one.steps}`,
          '--guidance',
          `${one.guidance}`,
          '--count',
          '2',
        ],
        ...[
          '--width',
          `${one.width}`,
          '--height',
          `${one.height}`,
          '--out',
          dir,
          '--raw',
          '--json',
          '--threads',
          '1',
        ],
        ...['--scheduler', String(one.scheduler_config['_class_name'])],
        ...['--scheduler-config', JSON.stringify(one.scheduler_config)],
        ...(one.kind === 'text-to-image' ? [] : ['--init', side('source'), '--strength', `${one.strength}`]),
        ...(one.kind === 'inpaint' ? ['--mask', side('mask')] : []),
      ]);
      expect(lines.error).toEqual([]);
      expect(code).toBe(0);
      const bytes = await readFile(path.join(dir, 'images.f32'));
      const raw = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      expect(meanDifference(raw, readExpected(family, one))).toBeLessThan(1e-4);
      const first = await readPicture(path.join(dir, '0.png'));
      expect(meanDifference(first.data, raw.subarray(0, first.data.length))).toBeLessThan(1 / 255);
      expect(JSON.parse(lines.out[0]!)).toMatchObject({ seeds: [one.seed, one.seed + 1] });
    });
  }

  const model = ['--model-dir', modelDir('sd15')];
  for (const [what, args] of Object.entries({
    'an unknown option': [...model, '--prompt', 'x', '--out', 'o', '--quality', '2'],
    'no prompt': [...model, '--out', 'o'],
    'a number that is none': [...model, '--prompt', 'x', '--out', 'o', '--steps', 'ten'],
    'half a seed': [...model, '--prompt', 'x', '--out', 'o', '--seed', '1.5'],
    'a scheduler config that is no JSON': [
      ...model,
      '--prompt',
      'x',
      '--out',
      'o',
      '--scheduler-config',
      '{',
    ],
    'a scheduler that is none': [...model, '--prompt', 'x', '--out', 'o', '--scheduler', 'Best'],
    'strength without a picture': [...model, '--prompt', 'x', '--out', 'o', '--strength', '0.5'],
    'a picture that is none': [
      ...model,
      '--prompt',
      'x',
      '--out',
      'o',
      '--init',
      path.join(modelDir('sd15'), 'model_index.json'),
    ],
    'a size that is no multiple': [...model, '--prompt', 'x', '--out', 'o', '--width', '65'],
  })) {
    it(`refuses ${what} in one line`, async () => {
      expect(await render(args)).toBe(2);
      expect(lines.error.length).toBe(1);
      expect(lines.error[0]).not.toContain('\n');
    });
  }

  it('says so where another provider paints than the first one asked for', async () => {
    const args = ['--model-dir', modelDir('sd-turbo'), '--prompt', 'x', '--steps', '1', '--out', out];
    expect(await render([...args, '--provider', 'nowhere,cpu', '--threads', '1'])).toBe(0);
    expect(lines.error).toEqual([expect.stringMatching(/painting on cpu: nowhere: .+/)]);
  });

  it('refuses a model of which one bit differs from its manifest, by the name of the file', async () => {
    const dir = path.join(out, 'pocket-copy');
    const pocket = path.join(import.meta.dirname, '../../../models/pocket');
    const { files } = JSON.parse(await readFile(path.join(pocket, 'manifest.json'), 'utf8'));
    for (const name of ['manifest.json', ...Object.keys(files)])
      await cp(path.join(pocket, name), path.join(dir, name));
    const args = ['--model-dir', dir, '--prompt', 'x', '--out', out, '--steps', '1', '--width', '64'];
    expect(await render([...args, '--height', '64', '--threads', '1'])).toBe(0);
    const file = path.join(dir, 'unet/model.onnx');
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file, bytes);
    expect(await render(args)).toBe(1);
    expect(lines.error).toEqual([expect.stringContaining('unet/model.onnx is damaged')]);
  });

  it('fails with 1 where the model is at fault', async () => {
    expect(await render(['--model-dir', out, '--prompt', 'x', '--out', out])).toBe(1);
    expect(lines.error[0]).toContain('model_index.json');
  });
});
