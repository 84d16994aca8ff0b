import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Env } from '../../shared/service/env.ts';
import { messageOf } from '../../shared/service/errors.ts';

/** A command was called wrongly: the message is one line, the exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws UsageError in one line for an unknown or unfinished option */
export function readArgs<T extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: T,
  usage: string,
) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    const why = messageOf(error).split('. To specify')[0];
    throw new UsageError(`${why}. Usage: ${usage}`);
  }
}

/** `npm run` changes into the package's folder; paths are resolved from where the user typed them. */
export function pathFromUser(path: string): string {
  const typedIn =
    process.env.npm_lifecycle_event === 'dreamgrid' ? (process.env.INIT_CWD ?? process.cwd()) : process.cwd();
  return isAbsolute(path) ? path : resolve(typedIn, path);
}

/** MODELS_DIR, resolved from where the process was started; unset: the package's own models. */
export function modelsFolder(env: Env): string {
  const asked = resolve(process.cwd(), env.MODELS_DIR);
  if (process.env.MODELS_DIR || existsSync(asked)) return asked;
  for (const up of ['../../models', '../../../models']) {
    const own = fileURLToPath(new URL(up, import.meta.url));
    if (existsSync(own)) return own;
  }
  return asked;
}
