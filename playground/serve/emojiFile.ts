import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PageFile } from './pageBundle.ts';

/**
 * An emoji's drawing from Twemoji (graphics CC-BY 4.0, Twitter and contributors), out of the installed packages.
 * @param path `/emoji/` and the code points in hex, joined by dashes
 * @returns undefined where there is none
 */
export async function emojiFile(path: string): Promise<PageFile | undefined> {
  const name = /^\/emoji\/([0-9a-f]{2,6}(?:-[0-9a-f]{2,6}){0,9})\.svg$/.exec(path)?.[1];
  if (name === undefined) return undefined;
  const folder = new URL('.', import.meta.resolve('@twemoji/svg/package.json'));
  const data = await readFile(fileURLToPath(new URL(`${name}.svg`, folder))).catch(() => undefined);
  return data && { type: 'image/svg+xml', data };
}
