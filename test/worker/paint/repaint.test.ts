import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame, Rect } from '../../../shared/picture/editFrame.ts';
import type { Recipe } from '../../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../../shared/picture/resolve.ts';
import { openFolderStore, type Store } from '../../../shared/picture/store.ts';
import type { ModelCard } from '../../../shared/queue/job.ts';
import { type InstalledModel, readModels, toCard } from '../../../worker/models/installed.ts';
import { decodePng, encodePng, resizePixels } from '../../../worker/paint/grid.ts';
import { type Painting, paint, storePainting } from '../../../worker/paint/paint.ts';
import type { Pixels } from '../../../worker/paint/pixels.ts';
import { featherOf, lay, prepare } from '../../../worker/paint/repaint.ts';
import { type Engine, openEngine } from '../../../worker/process/enginePool.ts';
import { makeRequest, snowflake } from '../../support/jobs.ts';

/** A network with mask channels and a plain one, both with random weights: what is kept does not hang on them. */
let root: string;
let store: Store;
let engine: Engine;
let models: Map<string, InstalledModel>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dreamgrid-repaint-'));
  const reference = resolve(import.meta.dirname, '../../data/reference/pipelines');
  for (const name of ['sd15', 'inpaint'])
    await symlink(join(reference, name, 'model'), join(root, name), 'dir');
  models = new Map((await readModels(root)).all.map((model) => [model.name, model]));
  store = await openFolderStore(join(root, '.store'));
  engine = openEngine({ providers: ['cpu'], threads: 1, deadlineMs: 120_000, maxLoaded: 2 });
});
afterAll(async () => {
  await engine?.close();
  await rm(root, { recursive: true, force: true });
});

const deps = () => ({ engine, store, model: (name: string) => models.get(name) });
const cardOf = (name: string): ModelCard => ({
  ...toCard(models.get(name) as InstalledModel),
  defaults: { steps: 3, guidance: 2, scheduler: 'DDIMScheduler' },
});

/** A picture that anybody might have made, in the store as `paint` leaves it. */
async function pictureOf(model: string): Promise<{ jobId: string; recipe: Recipe; picture: Pixels }> {
  const { width, height } = cardOf(model).native;
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7 + (i >> 5) * 13) % 251);
  const picture = { width, height, data };
  const jobId = snowflake();
  const recipe = resolveRecipe(makeRequest({ jobId, model, count: 1 }), cardOf(model));
  await storePainting(store, jobId, recipe, { pictures: [picture], latents: [new Float32Array(4)] });
  return { jobId, recipe, picture };
}

async function edited(
  model: string,
  parent: { jobId: string; recipe: Recipe },
  wish: Partial<Parameters<typeof makeRequest>[0]>,
): Promise<{ recipe: Recipe; painting: Painting; jobId: string }> {
  const jobId = snowflake();
  const request = makeRequest({ jobId, model, count: 2, parent: { ...parent, index: 0 }, ...wish });
  const recipe = resolveRecipe(request, cardOf(model));
  return { jobId, recipe, painting: await paint(deps(), recipe) };
}

const pixel = ({ data, width }: Pixels, x: number, y: number): string =>
  data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3).join();

describe.each(['sd15', 'inpaint'])('%s keeps', (model) => {
  it('every byte outside of a region, and paints inside of it', async () => {
    const parent = await pictureOf(model);
    const { painting } = await edited(model, parent, { action: 'vary-region', cells: 0b0000_0110_0110_0000 });
    const { width, height } = parent.picture;
    for (const picture of painting.pictures) {
      let changed = 0;
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const inside = x >= width / 4 && x < (3 * width) / 4 && y >= height / 4 && y < (3 * height) / 4;
          const same = pixel(picture, x, y) === pixel(parent.picture, x, y);
          if (!inside) expect(same, `${x},${y}`).toBe(true);
          else if (!same) changed++;
        }
      expect(changed).toBeGreaterThan((width * height) / 16);
    }
    expect(painting.pictures[0]?.data).not.toEqual(painting.pictures[1]?.data);
    expect(painting.latents).toEqual([]);
  });

  it('every byte of a picture that is panned, but for the feather', async () => {
    const parent = await pictureOf(model);
    const { painting } = await edited(model, parent, { action: 'pan-left' });
    const { width, height } = parent.picture;
    const [picture] = painting.pictures as [Pixels];
    const grown = picture.width - width;
    const feather = featherOf(picture, false);
    expect(grown).toBeGreaterThan(0);
    for (let y = 0; y < height; y++)
      for (let x = feather; x < width; x++)
        expect(pixel(picture, grown + x, y), `${x},${y}`).toBe(pixel(parent.picture, x, y));
  });

  it('the shrunk picture in the middle of a wider frame', async () => {
    const parent = await pictureOf(model);
    const { painting } = await edited(model, parent, { action: 'zoom-out', zoom: 2 });
    const [picture] = painting.pictures as [Pixels];
    const small = await resizePixels(parent.picture, picture.width / 2, picture.height / 2);
    const feather = featherOf(picture, false);
    for (let y = feather; y < small.height - feather; y++)
      for (let x = feather; x < small.width - feather; x++)
        expect(pixel(picture, picture.width / 4 + x, picture.height / 4 + y)).toBe(pixel(small, x, y));
  });

  it('gives the same bytes again, one at a time and from the recipe alone', async () => {
    const parent = await pictureOf(model);
    const { recipe, painting } = await edited(model, parent, { action: 'pan-down' });
    const again = await paint(deps(), JSON.parse(JSON.stringify(recipe)));
    expect(again.pictures).toEqual(painting.pictures);
    const second = await paint(deps(), { ...recipe, count: 1, seed: recipe.seed + 1 });
    expect(second.pictures[0]).toEqual(painting.pictures[1]);
  });
});

it('a picture that was enlarged is edited as it was painted', async () => {
  const parent = await pictureOf('sd15');
  const jobId = snowflake();
  const request = makeRequest({
    jobId,
    model: 'sd15',
    action: 'upscale-subtle',
    count: 1,
    parent: { jobId: parent.jobId, index: 0, recipe: parent.recipe },
  });
  const recipe = resolveRecipe(request, cardOf('sd15'));
  expect(recipe.width).toBe(2 * parent.recipe.width);
  const direct = await edited('sd15', parent, { action: 'pan-right', seed: 5 });
  const { painting } = await edited('sd15', { jobId, recipe }, { action: 'pan-right', seed: 5 });
  expect(painting.pictures).toEqual(direct.painting.pictures);
});

it('picture i of a weird grid is painted alone with its seed', async () => {
  const recipe = resolveRecipe(makeRequest({ model: 'sd15', params: { weird: 900 } }), cardOf('sd15'));
  const grid = await paint(deps(), recipe);
  const alone = await paint(deps(), { ...recipe, count: 1, seed: recipe.seed + 2 });
  expect(alone.pictures[0]).toEqual(grid.pictures[2]);
});

it('an edited picture is stored whole: nothing is missing that another picture starts from', async () => {
  const parent = await pictureOf('sd15');
  const { jobId, recipe, painting } = await edited('sd15', parent, { action: 'pan-up' });
  await storePainting(store, jobId, recipe, painting);
  const varied = await edited('sd15', { jobId, recipe }, { action: 'vary-subtle' });
  expect(varied.painting.pictures).toHaveLength(2);
  const kept = await decodePng(await encodePng(painting.pictures[0] as Pixels, recipe, 0));
  expect(Buffer.from(kept.data).equals(Buffer.from(painting.pictures[0]?.data as Uint8Array))).toBe(true);
});

/** A frame that is given to the model whole, with what is new at its right, or in its middle. */
const frameWith = (width: number, height: number, inward: boolean): Frame => {
  const all = { left: 0, top: 0, width, height };
  const kept = inward ? all : { ...all, width: (width * 3) / 4 };
  const middle: Rect = { left: width / 4, top: height / 4, width: width / 2, height: height / 2 };
  const fresh = inward ? [middle] : [{ ...all, left: kept.width, width: width / 4 }];
  return { width, height, kept, window: all, fresh };
};
const flat = (width: number, height: number): Pixels => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(90),
});

describe('the seam', () => {
  it.each([true, false])('is as its distance says, pixel by pixel (inward: %s)', async (inward) => {
    const frame = frameWith(160, 96, inward);
    const { mask, share } = await prepare(flat(frame.kept.width, frame.kept.height), frame, inward);
    const feather = featherOf(frame, inward);
    const isFresh = (x: number, y: number): boolean =>
      frame.fresh.some(
        ({ left, top, width, height }) => x >= left && y >= top && x < left + width && y < top + height,
      );
    const expected = { mask: new Uint8Array(mask.length), share: new Float32Array(share.length) };
    for (let y = 0; y < frame.height; y++)
      for (let x = 0; x < frame.width; x++) {
        // By definition: the greater of both differences to the nearest pixel beyond the seam.
        let distance = feather + 8;
        for (let b = Math.max(0, y - distance); b <= Math.min(frame.height - 1, y + distance); b++)
          for (let a = Math.max(0, x - distance); a <= Math.min(frame.width - 1, x + distance); a++)
            if (isFresh(a, b) !== inward)
              distance = Math.min(distance, Math.max(Math.abs(a - x), Math.abs(b - y)));
        const i = y * frame.width + x;
        const near = Math.min(1, distance / feather);
        const part = inward ? near : 1 - near;
        const along = Math.ceil(distance / 8) / (feather / 8 + 1);
        const seam = isFresh(x, y) === inward;
        expected.share[i] = seam ? part * part * (3 - 2 * part) : isFresh(x, y) ? 1 : 0;
        const masked = inward ? (along < 1 ? 216 : 255) : along < 1 ? Math.round(153 * (1 - along)) : 0;
        expected.mask[i] = seam ? masked : isFresh(x, y) ? 255 : 0;
      }
    expect(mask).toEqual(expected.mask);
    expect([...new Set(mask)].sort((a, b) => a - b)).toEqual(
      expect.arrayContaining(inward ? [0, 216, 255] : [0, 255]),
    );
    expect(share).toEqual(expected.share);
  });

  it('of a large frame leaves the event loop its turns', async () => {
    const frame = frameWith(3072, 2048, false);
    const source = flat(frame.kept.width, frame.kept.height);
    let longest = 0;
    let began = process.cpuUsage();
    // By the processor and not by the clock: others may work on the same cores.
    const timer = setInterval(() => {
      longest = Math.max(longest, process.cpuUsage(began).user / 1000);
      began = process.cpuUsage();
    });
    const { canvas, share } = await prepare(source, frame, false);
    await lay(canvas, flat(frame.width, frame.height), share, frame);
    await new Promise((oneMore) => setTimeout(oneMore, 10));
    clearInterval(timer);
    expect(longest).toBeGreaterThan(0);
    expect(longest).toBeLessThan(500);
  });
});
