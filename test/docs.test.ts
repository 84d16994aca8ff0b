import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { envTable } from '../shared/service/env.ts';

const readme = join(resolve(import.meta.dirname, '..'), 'README.md');

/** The settings table of the README, made from the table that the processes read. */
function settingsTable(): string {
  const rows = Object.entries(envTable).map(([name, { schema, help }]) => {
    const parsed = schema.safeParse(undefined);
    const shown = parsed.success && parsed.data !== undefined ? String(parsed.data) : '';
    const value = shown === '' ? '' : `\`${shown}\``;
    return `| \`${name}\` | ${value} | ${help} |`;
  });
  return ['| setting | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** `UPDATE_DOCS=1 npm test -- test/docs.test.ts` writes the table anew. */
it('the README lists the settings as they are', () => {
  const text = readFileSync(readme, 'utf8');
  const fresh = text.replace(
    /(<!-- settings:begin -->\n)[\s\S]*?(<!-- settings:end -->)/,
    (_, begin: string, end: string) => `${begin}${settingsTable()}\n${end}`,
  );
  if (process.env.UPDATE_DOCS) writeFileSync(readme, fresh);
  else expect(text).toBe(fresh);
});
