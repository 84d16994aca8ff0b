import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { FAULTS, findRowTests } from './table.ts';

const page = join(resolve(import.meta.dirname, '../..'), 'docs/reliability.md');

/** The table of docs/reliability.md, made from the tests' own names. */
function table(): string {
  const tests = findRowTests();
  const rows = FAULTS.map(([fault, outcome], i) => {
    const own = tests.filter(({ row }) => row === i + 1);
    const names = own.map(({ file, name }) => `${name} (\`${file}\`)`.replaceAll('|', '\\|')).join('<br>');
    return `| ${i + 1} | ${fault} | ${outcome} | ${names} |`;
  });
  return ['| # | fault | expected | tests, each passing |', '|---|---|---|---|', ...rows].join('\n');
}

it('every one of the 36 faults has a test', () => {
  expect(FAULTS).toHaveLength(36);
  const covered = new Set(findRowTests().map(({ row }) => row));
  expect(FAULTS.map((_, i) => i + 1).filter((row) => !covered.has(row))).toEqual([]);
});

/** `UPDATE_DOCS=1 npm test -- test/faults/table.test.ts` writes the table anew. */
it('docs/reliability.md lists them as they are', () => {
  const text = readFileSync(page, 'utf8');
  const fresh = text.replace(
    /(<!-- faults:begin -->\n)[\s\S]*?(<!-- faults:end -->)/,
    (_, begin: string, end: string) => `${begin}${table()}\n${end}`,
  );
  if (process.env['UPDATE_DOCS']) writeFileSync(page, fresh);
  else expect(text).toBe(fresh);
});
