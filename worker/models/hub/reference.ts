import { isAbsolute, resolve, sep } from 'node:path';
import { StoreError } from './errors.ts';

/** `owner/name[@revision]` on a hub. */
export interface Reference {
  readonly owner: string;
  readonly name: string;
  readonly revision: string;
}

const part = /^[A-Za-z0-9][\w.-]{0,95}$/;

export function parseReference(text: string): Reference {
  const trimmed = text.trim().replace(/^https:\/\/huggingface\.co\//, '');
  const at = trimmed.indexOf('@');
  const id = at < 0 ? trimmed : trimmed.slice(0, at);
  const revision = at < 0 ? 'main' : trimmed.slice(at + 1);
  const [owner, name, ...rest] = id.split('/');
  if (!owner || !name || rest.length > 0 || !part.test(owner) || !part.test(name)) {
    throw new StoreError('usage', `"${text}" is no model on a hub: give owner/name or owner/name@revision.`);
  }
  if (!/^[\w][\w./-]{0,127}$/.test(revision) || revision.includes('..')) {
    throw new StoreError('usage', `"${revision}" is no revision: give a branch, a tag or a commit.`);
  }
  return { owner, name, revision };
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

/** Where a file of a listing lies below `root`; refuses every name that would lead out of it. */
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
