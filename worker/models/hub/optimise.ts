import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../shared/service/errors.ts';
import { optimise, optimisedDir } from '../../engine/index.ts';
import { fileNames } from './describeModel.ts';
import { diskError, StoreError } from './errors.ts';
import { needSpace } from './stagingFolder.ts';
import type { StoredModel } from './verifyModel.ts';

/** Writes a model's optimised files beside it. @returns their bytes */
export async function optimiseModel(
  models: string,
  { name, dir, bytes }: StoredModel,
  onPart: (part: string, index: number, total: number) => void,
): Promise<number> {
  await needSpace(models, bytes);
  try {
    return await optimise(dir, onPart);
  } catch (error) {
    const disk = diskError(error, models);
    if (disk !== error) throw disk;
    throw new StoreError('damaged', `${name} cannot be optimised: ${messageOf(error)}`, { cause: error });
  }
}

/** Deletes a model's optimised files. @returns the bytes that were freed */
export async function forgetOptimised({ dir }: StoredModel): Promise<number> {
  const own = optimisedDir(dir);
  let bytes = 0;
  for (const name of await fileNames(own).catch(() => [])) bytes += (await stat(join(own, name))).size;
  await rm(own, { recursive: true, force: true });
  return bytes;
}
