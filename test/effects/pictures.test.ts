import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { composeGrid } from '../../worker/paint/grid.ts';
import type { Pixels } from '../../worker/paint/pixels.ts';
import { strip } from './strip.ts';
import { openStudio, type Studio, type Work } from './studio.ts';

/**
 * The pictures of docs/prompt.md, painted by pocket. `UPDATE_DOCS=1 npm test -- test/effects/pictures.test.ts`
 * paints them anew, for example after pocket was trained again.
 */
const docs = resolve(import.meta.dirname, '../../docs');
const folder = join(docs, 'images/effects');
const MOST_BYTES = 600_000;
const FOX = 'a fox in the snow at night';
const CASTLE = 'a castle by the lake at sunset';
const one = { count: 1 };

type Scene = (studio: Studio) => Promise<Pixels[]>;
const first = ({ pictures }: Work): Pixels => pictures[0] as Pixels;
const each =
  (...prompts: string[]): Scene =>
  async (studio) => {
    const pictures: Pixels[] = [];
    for (const prompt of prompts) pictures.push(await painted(studio, prompt));
    return pictures;
  };
/** Many pairs begin with the same picture. */
const before = new Map<string, Promise<Pixels>>();
const painted = (studio: Studio, prompt: string): Promise<Pixels> => {
  const known = before.get(prompt) ?? studio.paint(prompt, one).then(first);
  before.set(prompt, known);
  return known;
};
const grids =
  (...prompts: string[]): Scene =>
  async (studio) => {
    const pictures: Pixels[] = [];
    for (const prompt of prompts) pictures.push(await composeGrid((await studio.paint(prompt)).pictures));
    return pictures;
  };
/** The picture, and what the buttons make of it. */
const edits =
  (prompt: string, ...wishes: Parameters<Studio['paint']>[1][]): Scene =>
  async (studio) => {
    const work = await studio.paint(prompt, one);
    const parent = { jobId: work.jobId, index: 0, recipe: work.recipe };
    const pictures = [first(work)];
    for (const wish of wishes)
      pictures.push(first(await studio.paint(prompt, { ...one, seed: 21, ...wish, parent })));
    return pictures;
  };

/** By the file's name; the page says what is seen. */
const SCENES: Readonly<Record<string, Scene>> = {
  seed: each(`${FOX} --seed 7`, `${FOX} --seed 7`, `${FOX} --seed 8`),
  ar: each(`${CASTLE} --ar 1:1`, `${CASTLE} --ar 2:1`),
  chaos: grids(CASTLE, `${CASTLE} --chaos 100`),
  stylize: each(`${CASTLE} --stylize 0`, CASTLE, `${CASTLE} --stylize 1000`),
  raw: each(CASTLE, `${CASTLE} --raw`),
  weird: each(CASTLE, `${CASTLE} --weird 1500`, `${CASTLE} --weird 2400`),
  quality: each(`${FOX} --quality .25`, FOX, `${FOX} --quality 2`),
  stop: each(`${CASTLE} --stop 20`, `${CASTLE} --stop 60`, CASTLE),
  tile: async (studio) => {
    const plain = first(await studio.paint('a red mushroom in a meadow', one));
    const tile = first(await studio.paint('a red mushroom in a meadow --tile', one));
    return Promise.all([plain, tile].map((picture) => composeGrid([picture, picture, picture, picture])));
  },
  no: each('a fox in the forest', 'a fox in the forest --no trees, forest, green'),
  draft: each(FOX, `${FOX} --draft`),
  weights: each('a castle:: the snow::', 'a castle::3 the snow::', 'a castle:: the snow::3'),
  iw: async (studio) => {
    const source = await studio.paint(CASTLE, one);
    const image = { key: `${source.jobId}/0.png` };
    const pictures = [first(source)];
    for (const iw of [0.5, 1, 2])
      pictures.push(first(await studio.paint(`${FOX} --iw ${iw}`, { ...one, image })));
    return pictures;
  },
  sref: each(
    ...[1, 4, 8, 16].flatMap((code) =>
      ['a fox in a meadow', 'a castle by the lake'].map((subject) => `${subject} --sref ${code}`),
    ),
  ),
  lora: each(...[0, 0.5, 1].map((weight) => `a castle by the lake, blueprint --lora blueprint:${weight}`)),
  scheduler: each(`${FOX} --sampler dpmpp-2m`, `${FOX} --sampler euler-a`, `${FOX} --sampler ddim`),
  vary: edits(FOX, { action: 'vary-subtle' }, { action: 'vary-strong' }),
  region: edits(FOX, {
    action: 'vary-region',
    cells: 0x0fff,
    parts: [{ text: 'a snowman in the snow at night', weight: 1 }],
  }),
  zoom: edits(CASTLE, { action: 'zoom-out', zoom: 1.5 }, { action: 'zoom-out', zoom: 2 }),
  pan: edits(CASTLE, { action: 'pan-right' }),
};

const wanted = Object.keys(SCENES).map((name) => `${name}.webp`);

it('docs/prompt.md shows a picture of each effect', { timeout: 1_800_000 }, async () => {
  if (process.env['UPDATE_DOCS'] === '1') {
    await mkdir(folder, { recursive: true });
    const studio = await openStudio();
    for (const [name, scene] of Object.entries(SCENES)) {
      await writeFile(join(folder, `${name}.webp`), await strip(await scene(studio)));
      console.log(`painted ${name}`);
    }
    await studio.close();
  }
  const page = await readFile(join(docs, 'prompt.md'), 'utf8');
  const shown = [...page.matchAll(/\]\(images\/effects\/([\w-]+\.webp)\)/g)].map(
    ([, name]) => name as string,
  );
  expect(shown.sort()).toEqual([...wanted].sort());
  for (const name of shown) expect(existsSync(join(folder, name)), name).toBe(true);
  const sizes = await Promise.all(
    (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(MOST_BYTES);
});
