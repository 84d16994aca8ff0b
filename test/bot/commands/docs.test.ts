import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { commands, messageApps } from '../../../bot/commands/index.ts';

const page = join(resolve(import.meta.dirname, '../../..'), 'docs/commands.md');

interface Part {
  name: string;
  type?: number;
  description?: string;
  name_localizations?: Partial<Record<string, string | null>> | null | undefined;
  options?: readonly Part[];
}

/** A command with subcommands is a line for each of them. */
const lines = (part: Part, path: string[] = [], local: string[] = []): string[] => {
  const here = [...path, part.name];
  const there = [...local, part.name_localizations?.['vi'] ?? part.name];
  const below = (part.options ?? []).filter(({ type = 0 }) => type === 1 || type === 2);
  if (below.length > 0) return below.flatMap((one) => lines(one, here, there));
  return [`| \`/${here.join(' ')}\` | \`/${there.join(' ')}\` | ${part.description} |`];
};

const tables = {
  commands: [
    '| command | tiếng Việt | what it does |',
    '|---|---|---|',
    ...[...commands.values()].flatMap(({ definition }) => lines(definition as Part)),
  ],
  apps: [
    '| app | tiếng Việt |',
    '|---|---|',
    ...[...messageApps.values()].map(
      ({ definition }) => `| ${definition.name} | ${definition.name_localizations?.vi} |`,
    ),
  ],
};

/** `UPDATE_DOCS=1 npm test -- test/bot/commands/docs.test.ts` writes the tables anew. */
it('docs/commands.md lists every command in both languages', () => {
  const text = readFileSync(page, 'utf8');
  const fresh = Object.entries(tables).reduce(
    (all, [name, rows]) =>
      all.replace(
        new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`),
        (_, begin: string, end: string) => `${begin}${rows.join('\n')}\n${end}`,
      ),
    text,
  );
  if (process.env['UPDATE_DOCS']) writeFileSync(page, fresh);
  else expect(text).toBe(fresh);
});
