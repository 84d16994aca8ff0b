/**
 * WebGPU without a GPU: Chromium brings a Vulkan that computes on the processor (SwiftShader). It takes a minute or
 * two for one step of the smallest model, so it runs when it is asked for: TEST_WEBGPU=1.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { meanDifference, modelDir, readCases, readExpected } from '../../support/reference.ts';

const chromium = '/usr/lib/chromium';
const driver = path.join(chromium, 'vk_swiftshader_icd.json');
const asked = process.env['TEST_WEBGPU'] === '1';

it.runIf(asked && existsSync(driver))(
  'paints on WebGPU what diffusers paints',
  async () => {
    const out = await mkdtemp(path.join(os.tmpdir(), 'dreamgrid-webgpu-'));
    const one = readCases('sd-turbo')[0]!;
    const cli = path.join(import.meta.dirname, '../../../worker/cli/bin.mjs');
    const args = [
      ...['render', '--model-dir', modelDir('sd-turbo'), '--prompt', one.prompt, '--negative', '', '--json'],
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
        out,
        '--raw',
        '--provider',
        'webgpu',
      ],
    ];
    const env = {
      ...process.env,
      ...{ LD_LIBRARY_PATH: chromium, VK_ICD_FILENAMES: driver, XDG_RUNTIME_DIR: out },
    };
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args], { env });
    expect(JSON.parse(stdout).info).toMatchObject({ provider: 'webgpu', providersMissing: [] });
    const bytes = await readFile(path.join(out, 'images.f32'));
    const pixels = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    expect(meanDifference(pixels, readExpected('sd-turbo', one))).toBeLessThan(1e-4);
    await rm(out, { recursive: true, force: true });
  },
  600_000,
);
