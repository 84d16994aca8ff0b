/** Room in the models folder: under a name, and on the disk. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { StoreError } from './errors.ts';
import { formatBytes } from './format.ts';

export function refuseExisting(dir: string, name: string): void {
  if (!existsSync(dir)) return;
  throw new StoreError(
    'exists',
    `There is a model "${name}" already (${dir}). Remove it first (dreamgrid models remove ${name}), or give the new one another name with --as NAME.`,
  );
}

export async function needSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new StoreError(
    'disk-full',
    `${formatBytes(bytes)} are needed in ${folder}, but only ${formatBytes(free)} are free. Free some space, or set MODELS_DIR to another disk.`,
  );
}
