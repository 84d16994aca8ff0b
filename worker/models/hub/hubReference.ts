import { isAbsolute, resolve, sep } from 'node:path';
import { StoreError } from './errors.ts';

/** `owner/name[@revision]` on a hub. */
export interface Reference {
  readonly owner: string;
  readonly name: string;
  readonly revision: string;
}

const part = /^[A-Za-z0-9][\w.-]{0,95}$/;

/** A reference, and a single file of it where one is named. */
export interface FileReference extends Reference {
  readonly file?: string;
}

/**
 * `owner/name`, `owner/name@revision`, `owner/name/file.safetensors`, `owner/name@revision/file.safetensors`, and the
 * hub's own pages of them.
 * @throws StoreError('usage')
 */
export function parseReference(text: string): FileReference {
  const page = /^https:\/\/huggingface\.co\/([^/]+\/[^/]+)\/(?:resolve|blob)\/([^/?]+)\/([^?]+)/.exec(
    text.trim(),
  );
  if (page) return parseReference(`${page[1]}@${page[2]}/${page[3]}`);
  const trimmed = text.trim().replace(/^https:\/\/huggingface\.co\//, '');
  const whole = /^([^/@]+)\/([^/@]+)(?:@(.+?))??(?:\/([^@]+\.safetensors))?$/.exec(trimmed);
  const [, owner, name, revision = 'main', file] = whole ?? [];
  if (!owner || !name || !part.test(owner) || !part.test(name)) {
    throw new StoreError('usage', `"${text}" is no model on a hub: give owner/name or owner/name@revision.`);
  }
  if (!/^[\w][\w./-]{0,127}$/.test(revision) || revision.includes('..')) {
    throw new StoreError('usage', `"${revision}" is no revision: give a branch, a tag or a commit.`);
  }
  if (file !== undefined) pathBelow('/model', file);
  return { owner, name, revision, ...(file === undefined ? {} : { file }) };
}

export const idOf = ({ owner, name }: Reference): string => `${owner}/${name}`;

const modelName = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/** A model's name is its folder's name, what `--model` takes, and part of every recipe. */
export function checkModelName(name: string): string {
  if (!modelName.test(name) || name.endsWith('.')) {
    throw new StoreError(
      'bad-name',
      `"${name}" is no name for a model: letters, digits and . _ - (at most 64), the first a letter or digit.`,
    );
  }
  return name;
}

/** The name for a folder or a repository whose own name may hold more than a model's name may. */
export const modelNameFrom = (text: string): string =>
  checkModelName(
    text
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[^a-z0-9]+/, '')
      .slice(0, 64)
      .replace(/[.-]+$/, ''),
  );

/** The path below `root` of a file in a listing. @throws for a name that leads out of `root` */
export function pathBelow(root: string, name: string): string {
  const base = resolve(root);
  const path = resolve(base, name);
  const odd =
    name === '' ||
    isAbsolute(name) ||
    /[\\\0]/.test(name) ||
    name.split('/').some((piece) => piece === '' || piece === '.' || piece === '..');
  if (odd || !path.startsWith(base + sep)) {
    throw new StoreError(
      'unsafe-path',
      `The file name ${JSON.stringify(name)} leads out of the model's folder.`,
    );
  }
  return path;
}
