import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokenImports } from './imports.ts';
import { ROOMS } from './rooms.ts';

const root = resolve(import.meta.dirname, '../..');
const git = (...args: string[]) =>
  spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.split('\n').filter(Boolean);

describe('the house', () => {
  it('has a row in the table for every room, and imports along its edges and doors only', () => {
    expect(brokenImports(root)).toEqual([]);
    const edges = Object.values(ROOMS).flat();
    const unknown = edges.filter((edge) => !edge.endsWith('/*') && !Object.hasOwn(ROOMS, edge));
    expect(unknown).toEqual([]);
  });

  it('has nothing half-done, no secrets and no paths of one machine in what git tracks', () => {
    const files = git('ls-files', '*.ts', '*.mjs', '*.md', '*.json', '*.yml').filter(
      (file) => !file.includes('package-lock'),
    );
    const bad = files.filter((file) => {
      if (file === 'test/house/house.test.ts') return false;
      const text = readFileSync(join(root, file), 'utf8');
      return /\b(TODO|FIXME)\b|\bit\.only\(|\bdescribe\.only\(|@ts-ignore|\/(?:root|home\/[a-z]+|opt\/venv)\//.test(
        text,
      );
    });
    expect(bad).toEqual([]);
  });

  it.each([
    ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
    ['format and lint', ['node_modules/@biomejs/biome/bin/biome', 'ci', '.']],
  ])('is clean: %s', (_, [tool, ...args]) => {
    const done = spawnSync(process.execPath, [tool as string, ...args], { cwd: root, encoding: 'utf8' });
    expect(done.status, done.stdout + done.stderr).toBe(0);
  });
});
