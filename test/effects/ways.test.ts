import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { wayOfPainting } from '../../shared/picture/wayOfPainting.ts';
import { readModels } from '../../worker/models/installed.ts';
import { composeGrid } from '../../worker/paint/grid.ts';
import type { Pixels } from '../../worker/paint/pixels.ts';
import { strip } from './strip.ts';
import { openStudio } from './studio.ts';

/**
 * The comparison of docs/ways.md: one prompt and one seed on the first model of each way of painting that is here.
 * `UPDATE_DOCS=1 npm test -- test/effects/ways.test.ts` paints it anew, and writes which models those were.
 */
const docs = resolve(import.meta.dirname, '../../docs');
const folder = join(docs, 'images/ways');
const page = join(docs, 'ways.md');
const SIDE = 256;
/** By the file's name. */
const PROMPTS: Readonly<Record<string, string>> = {
  fox: 'a fox in the snow at night',
  lighthouse: 'a lighthouse on a cliff, oil painting',
  penguins: 'two penguins in the snow',
  pair: 'a red mushroom and a cat in a meadow',
  avocado: 'an armchair in the shape of an avocado',
  horse: 'an astronaut riding a horse',
};
const heading = (prompt: string): string => `**${prompt}**`;

async function waysHere(): Promise<string[]> {
  const models = await readModels(resolve(import.meta.dirname, '../../models'));
  const found = new Map<string, string>();
  const names = models.all.map(({ name, manifest }) => ({ name, way: wayOfPainting(manifest.family) }));
  // Ours before what somebody else put there.
  for (const { name, way } of [...names.filter((one) => one.name.startsWith('pocket')), ...names])
    if (!found.has(way)) found.set(way, name);
  return [...found.values()];
}

async function paintAll(names: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const grids = new Map<string, Pixels[]>(Object.keys(PROMPTS).map((file) => [file, []]));
  for (const name of names) {
    const studio = await openStudio(name);
    for (const [file, prompt] of Object.entries(PROMPTS)) {
      const { pictures } = await studio.paint(prompt);
      grids.get(file)?.push(await composeGrid(pictures));
      console.log(`${name}: ${prompt}`);
    }
    await studio.close();
  }
  for (const [file, pictures] of grids)
    await writeFile(join(folder, `${file}.webp`), await strip(pictures, SIDE));
  const columns = `Columns: ${names.map((name) => `\`${name}\``).join(', ')}.`;
  const text = await readFile(page, 'utf8');
  await writeFile(
    page,
    text.replace(/(<!-- columns -->\n\n)[^\n]*/, (_, mark: string) => mark + columns),
  );
}

it('docs/ways.md shows one prompt by every way of painting that is here', {
  timeout: 1_800_000,
}, async () => {
  if (process.env['UPDATE_DOCS'] === '1') await paintAll(await waysHere());
  const text = await readFile(page, 'utf8');
  for (const [file, prompt] of Object.entries(PROMPTS)) {
    expect(text).toContain(heading(prompt));
    expect(text).toContain(`(images/ways/${file}.webp)`);
    expect(existsSync(join(folder, `${file}.webp`)), file).toBe(true);
  }
});
