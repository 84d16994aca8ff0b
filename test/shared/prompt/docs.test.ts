import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PARAMETERS, type ParameterSpec } from '../../../shared/picture/params.ts';
import { parameterTable, samplerTable, unsupportedTable } from '../../../shared/prompt/docTables.ts';
import { parsePrompt } from '../../../shared/prompt/index.ts';

const path = fileURLToPath(new URL('../../../docs/prompt.md', import.meta.url));

const tables = { parameters: parameterTable, unsupported: unsupportedTable, samplers: samplerTable };

const withTables = (text: string): string =>
  Object.entries(tables).reduce(
    (page, [name, table]) =>
      page.replace(
        new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`),
        (_, head: string, tail: string) => `${head}\n${table()}\n\n${tail}`,
      ),
    text,
  );

/** Each prompt in the page's boxes, with the lines that it is said to be read as. */
const examples = (text: string): [string, string[]][] => {
  const found: [string, string[]][] = [];
  for (const [, box = ''] of text.matchAll(/```text\n([\s\S]*?)```/g))
    for (const line of box.trimEnd().split('\n'))
      if (line.startsWith('→ ')) found.at(-1)?.[1].push(line.slice(2));
      else found.push([line, []]);
  return found;
};

describe('docs/prompt.md', () => {
  const page = readFileSync(path, 'utf8');

  it('has the tables of the parser (UPDATE_DOCS=1 writes them)', () => {
    const fresh = withTables(page);
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, fresh);
    else expect(page).toBe(fresh);
  });

  it('has enough examples', () => {
    expect(examples(page).length).toBeGreaterThan(12);
  });

  it.each(examples(page))('%s', (input, expected) => {
    const result = parsePrompt(input);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    if (expected.length > 0) expect(result.prompts.map(({ text }) => text)).toEqual(expected);
  });

  it('sets ours beside every parameter and button of Midjourney', () => {
    const section = page.slice(page.indexOf('## Coming from Midjourney'));
    const names =
      'aspect ar chaos c stylize s weird w quality q seed repeat r stop tile no raw draft iw version v niji sref sw sv cref cw oref ow dref dw p profile exp hd sd edit video motion loop end bs fast relax turbo stealth public';
    for (const name of names.split(' ')) expect(section, name).toMatch(new RegExp(`\`--${name}[\` ]`));
    for (const button of [
      'U1–U4',
      'V1–V4',
      '🔄',
      'Upscale',
      'Vary',
      'Zoom Out',
      'Make Square',
      'Enhance',
      '❤️',
      '❌',
      '✉️',
    ])
      expect(section).toContain(button);
  });

  it('says what each parameter does', () => {
    for (const { name, print = name, instead } of PARAMETERS as readonly ParameterSpec[])
      if (instead === undefined) expect(page, name).toMatch(new RegExp(`\`--${print}`));
  });
});
