import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import {
  type GenerateRequest,
  type GenerateResult,
  type LoraUse,
  loadModel,
} from '../../../../worker/engine/index.ts';
import type { GenerateHooks } from '../../../../worker/engine/types.ts';
import { importModel } from '../../../../worker/models/import/importModel.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { data } from '../../models/import/cases.ts';

/** Takes a folder of the reference in as a model, for one test file. */
export function installed(family: string): { dir: string; work: string } {
  const place = { dir: '', work: '' };
  beforeAll(async () => {
    place.work = await mkdtemp(join(tmpdir(), 'dreamgrid-adapters-'));
    await mkdir(join(place.work, 'models'));
    await importModel(join(place.work, 'models'), join(data, 'folders', family, 'model'), family, {});
    place.dir = join(place.work, 'models', family);
  });
  afterAll(() => rm(place.work, { recursive: true, force: true }));
  return place;
}

export const lora = async (file: string, weight = 1): Promise<LoraUse> => ({
  source: await readSafetensors(join(data, file)),
  weight,
});

/** Opens the model, paints, and closes it: nothing is left over from the painting before. */
export async function paintWith(
  dir: string,
  request: Partial<GenerateRequest>,
  hooks: GenerateHooks = {},
): Promise<GenerateResult> {
  const model = await loadModel(dir, { threads: 1 });
  try {
    return await model.generate(
      {
        prompt: 'a castle at night',
        negative: 'blurry',
        emphasis: false,
        seeds: [5],
        width: 64,
        height: 64,
        steps: 2,
        guidance: 6,
        ...request,
      },
      hooks,
    );
  } finally {
    await model.release();
  }
}

export function readExpected(folder: string, file: string): Float32Array {
  const bytes = readFileSync(resolve(data, folder, file));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
