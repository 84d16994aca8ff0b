import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const git = (...args: string[]) =>
  spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.split('\n').filter(Boolean);

/** Which rooms a room may import from; survives a change of linter. */
const allowed: Record<string, readonly string[]> = {
  'worker/engine': ['worker/engine'],
  worker: ['worker', 'worker/engine', 'shared'],
  bot: ['bot', 'shared'],
  shared: ['shared'],
  playground: ['playground'],
};
const roomOf = (path: string): string =>
  path.startsWith('worker/engine/') ? 'worker/engine' : (path.split('/')[0] as string);

describe('the house', () => {
  it('keeps the import rule', () => {
    const broken: string[] = [];
    for (const room of ['bot', 'worker', 'shared', 'playground']) {
      for (const entry of readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })) {
        if (!entry.endsWith('.ts')) continue;
        const file = join(room, entry);
        const text = readFileSync(join(root, file), 'utf8');
        for (const [, from] of text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g)) {
          const target = relative(root, resolve(root, dirname(file), from as string));
          if (!allowed[roomOf(file)]?.includes(roomOf(target))) broken.push(`${file} imports ${target}`);
        }
      }
    }
    expect(broken).toEqual([]);
  });

  it('has nothing half-done, no secrets and no paths of one machine in what git tracks', () => {
    const files = git('ls-files', '*.ts', '*.mjs', '*.md', '*.json', '*.yml').filter(
      (file) => !file.includes('package-lock'),
    );
    const bad = files.filter((file) => {
      if (file === 'test/house.test.ts') return false;
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
