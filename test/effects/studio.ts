import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../shared/picture/resolve.ts';
import { openFolderStore, type Store } from '../../shared/picture/store.ts';
import { parsePrompt } from '../../shared/prompt/index.ts';
import type { RenderRequest } from '../../shared/queue/job.ts';
import { openAdapterStore } from '../../worker/models/adapterStore.ts';
import { type InstalledModel, readModels, toCard } from '../../worker/models/installed.ts';
import { paint, storePainting } from '../../worker/paint/paint.ts';
import type { Pixels } from '../../worker/paint/pixels.ts';
import { openEngine } from '../../worker/process/enginePool.ts';
import { makeRequest, snowflake } from '../support/jobs.ts';

/** A model that is here, from a prompt as it is typed to pixels: the whole way but for the queue. */
export interface Work {
  jobId: string;
  recipe: Recipe;
  pictures: Pixels[];
  /** Milliseconds in the engine. */
  ms: number;
}

export interface Studio {
  store: Store;
  paint(typed: string, over?: Partial<RenderRequest>): Promise<Work>;
  /** What the image tower sees, and the text tower reads: vectors of length one. */
  see(
    pictures: readonly Pixels[],
    texts?: readonly string[],
  ): Promise<{ pictures: Float32Array[]; texts: Float32Array[] }>;
  close(): Promise<void>;
}

/** @param name of the installed model that paints */
export async function openStudio(name = 'pocket'): Promise<Studio> {
  const root = await mkdtemp(join(tmpdir(), 'dreamgrid-studio-'));
  const folder = resolve(import.meta.dirname, '../../models');
  const models = await readModels(folder, join(root, 'checks.json'));
  const model = models.get(name) as InstalledModel;
  const adapters = await openAdapterStore(folder);
  const card = toCard(model, adapters);
  const store = await openFolderStore(join(root, 'store'));
  const engine = openEngine({ providers: ['cpu'], threads: 0, deadlineMs: 300_000 });
  return {
    store,
    async paint(typed, over = {}) {
      const parsed = parsePrompt(typed, { models: new Map([[card.name, card]]), defaultModel: card.name });
      if (!parsed.ok || parsed.prompts.length !== 1) throw new Error(`not one prompt: ${typed}`);
      const [{ text, parts, negative, params }] = parsed.prompts as [(typeof parsed.prompts)[0]];
      const jobId = snowflake();
      const request = makeRequest({
        jobId,
        prompt: text,
        parts,
        negative,
        params,
        model: model.name,
        seed: params.seed ?? 7,
        ...over,
      });
      const recipe = resolveRecipe(request, card);
      const painting = await paint({ engine, store, model: models.get, adapters }, recipe);
      await storePainting(store, jobId, recipe, painting);
      return { jobId, recipe, pictures: painting.pictures, ms: painting.ms };
    },
    see: (pictures, texts = []) => engine.embed(model, texts, pictures),
    close: async () => {
      await engine.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean absolute difference of two pictures of one size, 0..255. */
export function difference(a: Pixels, b: Pixels): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs((a.data[i] as number) - (b.data[i] as number));
  return sum / a.data.length;
}

export const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Mean of 1 - cosine over all pairs. */
export function spread(vectors: readonly Float32Array[]): number {
  const pairs = vectors.flatMap((a, i) => vectors.slice(i + 1).map((b) => 1 - dot(a, b)));
  return mean(pairs);
}

const grey = ({ data }: Pixels, i: number): number =>
  0.299 * (data[3 * i] as number) + 0.587 * (data[3 * i + 1] as number) + 0.114 * (data[3 * i + 2] as number);

/** Mean size of the Laplacian: how much fine detail there is. */
export function detail(picture: Pixels): number {
  const { width, height } = picture;
  let sum = 0;
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      const around =
        grey(picture, at - 1) + grey(picture, at + 1) + grey(picture, at - width) + grey(picture, at + width);
      sum += Math.abs(4 * grey(picture, at) - around);
    }
  return sum / ((width - 2) * (height - 2));
}

/** How far pixels lie from the picture's mean, 0..255: contrast and colour together. */
export function boldness({ data }: Pixels): number {
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i++) sums[i % 3] = (sums[i % 3] as number) + (data[i] as number);
  const means = sums.map((sum) => sum / (data.length / 3));
  return Math.sqrt(mean(Array.from(data, (value, i) => (value - (means[i % 3] as number)) ** 2)));
}

/** Mean difference of opposite edges, of what neighbouring rows and columns differ: 1 = no seam. */
export function seam({ data, width, height }: Pixels): number {
  const at = (x: number, y: number): number[] =>
    Array.from(data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3));
  const off = (a: number[], b: number[]): number =>
    mean(a.map((value, c) => Math.abs(value - (b[c] as number))));
  const across = (x1: number, x2: number): number =>
    mean(Array.from({ length: height }, (_, y) => off(at(x1, y), at(x2, y))));
  const down = (y1: number, y2: number): number =>
    mean(Array.from({ length: width }, (_, x) => off(at(x, y1), at(x, y2))));
  const inside = mean(
    [0.2, 0.4, 0.6, 0.8].flatMap((part) => {
      const [x, y] = [Math.round(part * width), Math.round(part * height)];
      return [across(x, x + 1), down(y, y + 1)];
    }),
  );
  return mean([across(0, width - 1), down(0, height - 1)]) / inside;
}
