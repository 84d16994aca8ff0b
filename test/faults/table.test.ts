import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { resultOf } from './results.ts';
import { FAULTS, findRowTests, PAGE, type RowTest, readResults, writeTable } from './table.ts';

it('every one of the 36 faults has a test', () => {
  expect(FAULTS).toHaveLength(36);
  const covered = new Set(findRowTests().map(({ row }) => row));
  expect(FAULTS.map((_, i) => i + 1).filter((row) => !covered.has(row))).toEqual([]);
});

/** The results in it are written by results.ts, from the tests' own run. */
it.skipIf(process.env['UPDATE_DOCS'])(
  'docs/reliability.md names every test of a row, and each passed or says why it could not be tried',
  () => {
    const page = readFileSync(PAGE, 'utf8');
    expect(page).toBe(writeTable(page, () => undefined));
    const results = [...readResults(page).values()];
    expect(results).toHaveLength(findRowTests().length);
    expect(results.filter((result) => !/^(?:passed|skipped: )/.test(result))).toEqual([]);
  },
);

it('results come from the run: a case that failed is a failure, what was not run keeps its word', () => {
  const all = findRowTests();
  const many = all.find(({ name }) => name.includes('%s')) as RowTest;
  const disk = all.find(({ file }) => file === 'faults/disk.test.ts') as RowTest;
  const ended = (test: RowTest, name: string, state: 'passed' | 'failed' | 'skipped', note?: string) => ({
    file: resolve(import.meta.dirname, '..', test.file),
    name: `row ${test.row}: ${name}`,
    state,
    note,
  });
  const run = [
    ended(many, many.name.replaceAll('%s', 'one'), 'passed'),
    ended(many, many.name.replaceAll('%s', 'another'), 'passed'),
    ended(disk, disk.name, 'skipped', 'no tmpfs: not root'),
  ];
  const empty = '<!-- faults:begin -->\n\n<!-- faults:end -->';
  const page = writeTable(empty, (test) => resultOf(test, run));
  const said = (text: string) => [...new Set(readResults(text).values())].sort();
  expect(said(page)).toEqual(['not run', 'passed, 2 cases', 'skipped: no tmpfs: not root']);
  const again = [ended(many, many.name.replaceAll('%s', 'another'), 'failed'), ...run.slice(0, 1)];
  expect(said(writeTable(page, (test) => resultOf(test, again)))).toEqual([
    'failed',
    'not run',
    'skipped: no tmpfs: not root',
  ]);
});
