import { readFile, stat } from 'node:fs/promises';
import { type Foreign, inspectPicture } from '../../shared/picture/foreign/index.ts';
import { messageOf } from '../../shared/service/errors.ts';
import { pathFromUser, readArgs, UsageError } from './usage.ts';

const USAGE = 'dreamgrid inspect FILE [--json]';
const MAX_BYTES = 256 << 20;

/**
 * `dreamgrid inspect`: how a picture was painted, by the metadata that we or another program wrote into its file.
 *
 * @returns the exit code: 0, or 1 where the file cannot be read or has no such metadata
 */
export async function inspect(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, { json: { type: 'boolean' } }, USAGE);
  const [file, more] = positionals;
  if (file === undefined || more !== undefined)
    throw new UsageError(`inspect takes one file, not ${positionals.length}. Usage: ${USAGE}`);
  const bytes = await readBytes(pathFromUser(file)).catch((error: unknown) => {
    process.stderr.write(`dreamgrid inspect: ${file} cannot be read: ${messageOf(error)}\n`);
  });
  if (bytes === undefined) return 1;
  const found = await inspectPicture(bytes);
  if (!found) {
    process.stderr.write(`dreamgrid inspect: ${file} does not say how it was painted\n`);
    if (values.json) process.stdout.write('{}\n');
    return 1;
  }
  process.stdout.write(values.json ? `${JSON.stringify(found, null, 2)}\n` : printed(found));
  return 0;
}

async function readBytes(path: string): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, at most ${MAX_BYTES} are read`);
  return readFile(path);
}

/** One line for each known fact. */
const printed = ({ loras = [], ...rest }: Foreign): string => {
  const lines = Object.entries(rest).filter(([, value]) => value !== '');
  const names = loras.map(({ name, weight }) => (weight === undefined ? name : `${name} (${weight})`));
  if (names.length > 0) lines.push(['loras', names.join(', ')]);
  return lines.map(([name, value]) => `${name.padEnd(10)} ${String(value)}\n`).join('');
};
