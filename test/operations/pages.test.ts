import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { envTable } from '../../shared/service/env.ts';

/** What the pages for owners name is there: files, links, settings, alerts' neighbours. */
const docs = join(resolve(import.meta.dirname, '../..'), 'docs');
const root = resolve(docs, '..');
const elsewhere = [
  'REDIS_PASSWORD',
  'CUDA_VISIBLE_DEVICES',
  'HF_TOKEN',
  'CIVITAI_TOKEN',
  'COMPOSE_PROFILES',
  'PLAYGROUND_HOST',
  'PRIVATE_ADDRESS',
  'BUCKET_JOBS',
];

describe.each(['security.md', 'operations.md'])('docs/%s', (name) => {
  const text = readFileSync(join(docs, name), 'utf8');

  it('names only files that are there', () => {
    const named = [...text.matchAll(/`((?:bot|worker|shared|test|playground|docs)\/[\w./-]+)`/g)];
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path]) =>
      join(docs, path as string),
    );
    const paths = [...named.map(([, path]) => join(root, path as string)), ...links];
    expect(paths.length).toBeGreaterThan(3);
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  });

  it('names only settings that there are', () => {
    const named = [...text.matchAll(/`([A-Z][A-Z]+_[A-Z_]+)(?:=[^`]*)?`/g)].map(
      ([, setting]) => setting as string,
    );
    const known = [...Object.keys(envTable), ...elsewhere];
    expect(named.filter((setting) => !known.includes(setting))).toEqual([]);
  });

  it('counts on rows of faults that have a test', () => {
    const folder = join(root, 'test/faults');
    const sources = [
      ...readdirSync(folder),
      '../shared/picture/uploadedImage.test.ts',
      '../shared/queue/fairness.test.ts',
    ]
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .join('\n');
    for (const [, rows] of text.matchAll(/\brows? ((?:\d+(?:, | and )?)+)/g))
      for (const [row] of (rows as string).matchAll(/\d+/g)) expect(sources).toContain(`'row ${row}:`);
  });
});
