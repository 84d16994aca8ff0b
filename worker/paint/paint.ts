import { type Edit, frameOf, isEdit, paintable } from '../../shared/picture/editFrame.ts';
import { lineage, type Recipe, sharesOf } from '../../shared/picture/recipe.ts';
import { engineSettings } from '../../shared/picture/resolve.ts';
import { pictureKeys, type Store } from '../../shared/picture/store.ts';
import { styledParts } from '../../shared/picture/styleNumber.ts';
import { wayOfPainting } from '../../shared/picture/wayOfPainting.ts';
import { PermanentError } from '../../shared/service/errors.ts';
import type { AdapterKind, AdapterStore } from '../models/adapterStore.ts';
import type { InstalledModel } from '../models/installed.ts';
import type { Engine, PaintOptions } from '../process/enginePool.ts';
import type { PaintRequest, StepNews } from '../process/protocol.ts';
import { blendInit } from './blend.ts';
import { decodePng, encodePng, fitImage, resizePixels } from './grid.ts';
import type { Pixels } from './pixels.ts';
import { lay, prepare, windowOf } from './repaint.ts';
import { guard, type SafetySwitch } from './safety.ts';

/**
 * From a recipe to pixels. The picture that a recipe starts from comes out of the store; if it is gone it is painted
 * again from its own recipe, to the same bytes, however many ancestors that takes.
 */
export interface PaintDeps {
  engine: Engine;
  store: Store;
  model(name: string): InstalledModel | undefined;
  /** Where LoRAs and embeddings lie; without it a recipe that names one cannot be painted. */
  adapters?: AdapterStore | undefined;
  /** What happens to pictures that the model's safety checker flags; nothing where left out. */
  safety?: SafetySwitch;
}

export interface Painting {
  pictures: Pixels[];
  /** Latents as the sampler left them; none after an upscaler. */
  latents: Float32Array[];
  /** Which pictures the safety checker flagged. */
  flagged?: number[];
  ms: number;
}

/** Creative upscaling paints a last quarter of the schedule again before it enlarges. */
const CREATIVE_STRENGTH = 0.25;

/** The safety checker has passed every picture that is returned or that another one starts from. */
export async function paint(deps: PaintDeps, recipe: Recipe, options: PaintOptions = {}): Promise<Painting> {
  const model = deps.model(recipe.model);
  if (!model) throw new PermanentError('no-model', { model: recipe.model });
  const painting = await paintUnchecked(deps, model, recipe, options);
  return { ...painting, ...(await guard(deps.engine, model, painting.pictures, deps.safety, options)) };
}

async function paintUnchecked(
  deps: PaintDeps,
  model: InstalledModel,
  recipe: Recipe,
  options: PaintOptions,
): Promise<Painting> {
  switch (recipe.action) {
    case 'imagine':
      if (recipe.meaning && recipe.image)
        return paintMeaning(deps, model, recipe, [await storedPicture(deps, recipe.image.key)], options);
      return generate(deps, model, recipe, await imageInit(deps, recipe), options);
    case 'blend': {
      if (recipe.meaning && recipe.blend) {
        const pictures = await Promise.all(recipe.blend.map(({ key }) => storedPicture(deps, key)));
        return paintMeaning(deps, model, recipe, pictures, options, sharesOf(recipe.blend));
      }
      const init = await blendInit(deps, recipe, engineSettings(recipe).strength ?? 1);
      return generate(deps, model, recipe, init, options);
    }
    case 'vary-region':
    case 'zoom-out':
    case 'pan-left':
    case 'pan-right':
    case 'pan-up':
    case 'pan-down':
    case 'make-square':
      return repaint(deps, model, { ...recipe, action: recipe.action }, options);
    case 'vary-subtle':
    case 'vary-strong': {
      const start = await parentStart(deps, recipe, options);
      if (recipe.meaning) return paintMeaning(deps, model, recipe, [start.picture], options);
      const init = await startInit(recipe, start, engineSettings(recipe).strength);
      return generate(deps, model, recipe, init, options);
    }
    case 'reword': {
      return paintMeaning(deps, model, recipe, [await rewordedPicture(deps, recipe, options)], options);
    }
    case 'upscale-subtle': {
      const start = await parentStart(deps, recipe, options);
      return enlarge(deps, model, recipe, start.picture, 0, options);
    }
    case 'upscale-creative': {
      const start = await parentStart(deps, recipe, options);
      // At a size the model paints: an enlarged or panned picture is larger than a GPU can paint over.
      const { width, height } = paintable(lineage(recipe).find(isPainted) ?? start.picture, model.manifest);
      const image = await resizePixels(start.picture, width, height);
      const init = { image, strength: engineSettings(recipe).strength ?? CREATIVE_STRENGTH };
      const again = await generate(deps, model, { ...recipe, width, height }, init, options);
      return enlarge(deps, model, recipe, again.pictures[0] as Pixels, again.ms, options);
    }
  }
}

const isPainted = ({ action }: Recipe): boolean => !action.startsWith('upscale');
/** An edit takes part of its picture from another one, so its latents do not describe the whole. */
const leavesLatents = (recipe: Recipe): boolean => isPainted(recipe) && !isEdit(recipe.action);

type Init = NonNullable<PaintRequest['init']>;

/** Keeps a part of the parent's picture, bit for bit, and paints the rest. */
async function repaint(
  deps: PaintDeps,
  model: InstalledModel,
  recipe: Recipe & { action: Edit },
  options: PaintOptions,
): Promise<Painting> {
  const source = await keptPicture(deps, recipe, options);
  const frame = frameOf(recipe, source, model.manifest);
  const { canvas, mask, share } = await prepare(source, frame, recipe.action === 'vary-region');
  const init = { image: windowOf(canvas, frame), strength: engineSettings(recipe).strength ?? 1 };
  const { width, height } = frame.window;
  // A preview of the model's window alone would be stretched over the whole frame.
  const whole = width === frame.width && height === frame.height;
  const quiet: PaintOptions = { ...options, onStep: ({ step, steps }) => options.onStep?.({ step, steps }) };
  const asked = { ...recipe, width, height };
  const { pictures, ms } = await generate(deps, model, asked, init, whole ? options : quiet, mask);
  const laid = await Promise.all(pictures.map((picture) => lay(canvas, picture, share, frame)));
  return { pictures: laid, latents: [], ms };
}

/** The parent as it was painted: U only enlarges, so below it lies the same picture. */
async function keptPicture(deps: PaintDeps, recipe: Recipe, options: PaintOptions): Promise<Pixels> {
  let at = recipe;
  while (at.parent?.recipe.action === 'upscale-subtle' && at.parent.recipe.parent) at = at.parent.recipe;
  return (await parentStart(deps, at, options)).picture;
}

async function generate(
  { engine, adapters }: PaintDeps,
  model: InstalledModel,
  recipe: Recipe,
  init: Init | undefined,
  options: PaintOptions,
  mask?: Uint8Array,
  meaning?: AskedMeaning,
): Promise<Painting> {
  const adapted = adaptersOf(adapters, recipe);
  const requests = engineRequests(recipe).map((request, i, all) => ({
    ...request,
    ...adapted,
    ...(init ? { init } : {}),
    ...(mask ? { mask } : {}),
    ...(meaning ? { meaning: all.length === 1 ? meaning : meaningOf(meaning, i) } : {}),
  }));
  const painting: Painting = { pictures: [], latents: [], ms: 0 };
  const previews: Pixels[] = [];
  for (const [i, request] of requests.entries()) {
    const onStep = (news: StepNews): void => {
      if (requests.length === 1) {
        options.onStep?.(news);
        return;
      }
      const { step, steps, stage, preparing } = news;
      if (news.previews?.[0]) previews[i] = news.previews[0];
      const shown = news.previews?.[0] && { previews: padded(previews, requests.length) };
      options.onStep?.({
        step: i * steps + step,
        steps: requests.length * steps,
        ...(stage ? { stage } : {}),
        ...(preparing ? { preparing } : {}),
        ...shown,
      });
    };
    const { pictures, latents, ms } = await engine.generate(model, request, { ...options, onStep });
    painting.pictures.push(...pictures);
    painting.latents.push(...latents);
    painting.ms += ms;
  }
  return painting;
}

/** The recipe's files, by their hash: another file of the same name would paint another picture. */
function adaptersOf(
  adapters: PaintDeps['adapters'],
  { loras = [], embeddings = [] }: Recipe,
): Pick<PaintRequest, 'loras' | 'embeddings'> {
  const fileOf = (kind: AdapterKind, name: string, sha256: string): string => {
    const file = adapters?.find(kind, name, sha256);
    if (file === undefined) throw new PermanentError('adapter-gone', { name });
    return file;
  };
  return {
    ...(loras.length > 0
      ? { loras: loras.map(({ name, ...use }) => ({ ...use, file: fileOf('loras', name, use.sha256) })) }
      : {}),
    ...(embeddings.length > 0
      ? {
          embeddings: embeddings.map(({ name, sha256 }) => ({
            token: name,
            sha256,
            file: fileOf('embeddings', name, sha256),
          })),
        }
      : {}),
  };
}

/** Paints what the pictures' embeddings say, mixed with words as the recipe says. */
function paintMeaning(
  deps: PaintDeps,
  model: InstalledModel,
  recipe: Recipe,
  pictures: readonly Pixels[],
  options: PaintOptions,
  shares: readonly number[] = pictures.map(() => 1 / pictures.length),
): Promise<Painting> {
  const { text, layout, reword } = recipe.meaning ?? { text: 0 };
  return generate(deps, model, recipe, undefined, options, undefined, {
    pictures,
    weights: shares.map((share) => (1 - text) * share),
    text,
    ...(layout ? { keepLayout: true } : {}),
    ...(reword ? { reword } : {}),
  });
}

type AskedMeaning = NonNullable<PaintRequest['meaning']>;

/** The meaning of picture i of a grid whose pictures are painted one by one. */
const meaningOf = (meaning: AskedMeaning, i: number): AskedMeaning =>
  meaning.reword
    ? { ...meaning, reword: { ...meaning.reword, strengths: [meaning.reword.strengths[i] ?? 0] } }
    : meaning;

/** The picture that a rewording starts from: an upload, or a painted one. */
export const rewordedPicture = async (
  deps: PaintDeps,
  recipe: Recipe,
  options: PaintOptions = {},
): Promise<Pixels> =>
  recipe.image ? storedPicture(deps, recipe.image.key) : (await parentStart(deps, recipe, options)).picture;

/** A stored picture in its own size: an embedding of it does not depend on the size. */
async function storedPicture({ store }: PaintDeps, key: string): Promise<Pixels> {
  const bytes = await store.get(key);
  if (!bytes) throw new PermanentError('no-parent');
  return decodePng(bytes);
}

/** The seed of weird's direction in every prompt, so that picture i painted alone with seed S + i is the same. */
const WEIRD_SEED = 3000;

/** One request for the whole grid; with chaos one a picture, because each moves its prompt's embedding differently. */
function engineRequests(recipe: Recipe): PaintRequest[] {
  const { seeds, guidances, sharedNoise, perturb, perturbs } = engineSettings(recipe);
  const common = {
    prompt: styledParts(recipe.parts, recipe.style),
    negative: recipe.negative,
    width: recipe.width,
    height: recipe.height,
    steps: recipe.steps,
    scheduler: {
      name: recipe.scheduler,
      ...(recipe.spacing ? { config: { timestep_spacing: recipe.spacing } } : {}),
    },
    stop: recipe.stop,
    tile: recipe.tile,
    ...(recipe.draft ? { decoder: 'tiny' as const } : {}),
    ...(sharedNoise > 0 ? { sharedNoise } : {}),
  };
  if (perturbs.every((amount) => amount === 0)) {
    const noise = perturb > 0 ? { noise: { perturb, seed: WEIRD_SEED } } : {};
    return [{ ...common, ...noise, seeds, guidance: guidances }];
  }
  return seeds.map((seed, i) => ({
    ...common,
    seeds: [seed],
    guidance: guidances[i] as number,
    // Two independent directions add up to the hypotenuse of their lengths.
    noise: { perturb: Math.min(1, Math.hypot(perturb, perturbs[i] as number)), seed },
  }));
}

/** The grey of a picture that has not begun; black would look like a failure. */
const NOT_BEGUN = 128;

/** Previews for the whole grid: pictures that have not begun are grey. */
function padded(previews: readonly Pixels[], count: number): Pixels[] {
  const { width, height } = previews.find(Boolean) as Pixels;
  return Array.from(
    { length: count },
    (_, i) => previews[i] ?? { width, height, data: new Uint8Array(width * height * 3).fill(NOT_BEGUN) },
  );
}

async function imageInit({ store }: PaintDeps, recipe: Recipe): Promise<Init | undefined> {
  if (!recipe.image) return undefined;
  const bytes = await store.get(recipe.image.key);
  if (!bytes) throw new PermanentError('no-parent');
  return {
    image: await fitImage(bytes, recipe.width, recipe.height),
    strength: recipe.image.strength,
  };
}

interface Start {
  picture: Pixels;
  latents: Float32Array | undefined;
}

/** Latents carry more than pixels do, but fit only a picture of the same size. */
async function startInit(
  { width, height }: Recipe,
  { picture, latents }: Start,
  strength = 0.5,
): Promise<Init> {
  const same = picture.width === width && picture.height === height;
  if (latents && same) return { latents: [latents], strength };
  return { image: await resizePixels(picture, width, height), strength };
}

async function parentStart(deps: PaintDeps, recipe: Recipe, options: PaintOptions): Promise<Start> {
  const { parent } = recipe;
  if (!parent) throw new PermanentError('no-parent');
  const { jobId, index } = parent;
  // Another model's latents are noise to this one; models with a picture embedding start from pixels.
  const family = deps.model(recipe.model)?.manifest.family ?? '';
  const sameModel = parent.recipe.model === recipe.model && wayOfPainting(family) === 'latent-diffusion';
  const [png, raw] = await Promise.all([
    deps.store.get(pictureKeys.picture(jobId, index)),
    deps.store.get(pictureKeys.latents(jobId, index)),
  ]);
  if (png && (raw || !leavesLatents(parent.recipe)))
    return { picture: await decodePng(png), latents: sameModel && raw ? readLatents(raw) : undefined };
  const painting = await paint(deps, parent.recipe, { signal: options.signal });
  await storePainting(deps.store, jobId, parent.recipe, painting);
  const picture = painting.pictures[index];
  if (!picture) throw new PermanentError('no-parent');
  return { picture, latents: sameModel ? painting.latents[index] : undefined };
}

async function enlarge(
  { engine }: PaintDeps,
  model: InstalledModel,
  recipe: Recipe,
  picture: Pixels,
  msBefore: number,
  { signal }: PaintOptions,
): Promise<Painting> {
  const began = performance.now();
  const factor = recipe.width / picture.width > 2 ? 4 : 2;
  const larger = recipe.width > picture.width;
  const large =
    model.manifest.upscaler && larger ? await engine.upscale(model, picture, factor, { signal }) : picture;
  // The recipe gives the size; without an upscaler a resampling filter enlarges.
  const pictures = [await resizePixels(large, recipe.width, recipe.height)];
  return { pictures, latents: [], ms: msBefore + performance.now() - began };
}

const readLatents = (bytes: Buffer): Float32Array => {
  const copy = new Uint8Array(bytes); // aligned to 4, which Float32Array needs and a pooled buffer may not be
  return new Float32Array(copy.buffer);
};

/** Stores PNGs with their recipe, and the latents that V starts from. @returns the keys of the pictures */
export async function storePainting(
  store: Store,
  jobId: string,
  recipe: Recipe,
  { pictures, latents }: Pick<Painting, 'pictures' | 'latents'>,
): Promise<string[]> {
  await Promise.all(
    latents.map((values, i) =>
      store.put(
        pictureKeys.latents(jobId, i),
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      ),
    ),
  );
  return Promise.all(
    pictures.map(async (picture, i) => {
      const key = pictureKeys.picture(jobId, i);
      await store.put(key, await encodePng(picture, recipe, i));
      return key;
    }),
  );
}
