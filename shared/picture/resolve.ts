import type { ModelCard, Params, RenderRequest } from '../queue/job.ts';
import { UserError } from '../service/errors.ts';
import { bucketFor, frameSize, isEdit, paintable, type Size } from './editFrame.ts';
import { type EmbeddingUse, embeddingsIn, findAdapter, fits, type LoraCard, type LoraUse } from './lora.ts';
import { PARAMETERS, type ParameterSpec, parameterFor, parameterOf, SAMPLERS, samplerOf } from './params.ts';
import { type Action, lineage, MAX_LINEAGE, type Recipe, type Reword, seedOf } from './recipe.ts';
import { styleStrength } from './styleNumber.ts';

/**
 * What each parameter means on a diffusion model. Pure and deterministic: the same request and card give the
 * same recipe, the same recipe the same engine settings. `docs/prompt.md` describes it in words.
 */

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value));
const rounded = (value: number, digits = 4): number => Number(value.toFixed(digits));

/** Longest side of any picture, the recipe's own limit. */
const MAX_SIDE = 4096;
const MAX_GUIDANCE = 30;

/** @throws UserError where the model does not take a parameter, or not this value. */
export const resolveRecipe = (request: RenderRequest, card: ModelCard): Recipe => {
  checkParameters(request.params, card);
  const { action } = request;
  const params = withDefaults(request.params, card);
  const { width, height } = sizeFor(request, card);
  const loras = lorasOf(params.loras, card);
  const quick = quickest(loras, card);
  const usual = usualWith(quick, card);
  const embeddings = embeddingsOf(request, card);
  const image = imagePrompt(request, params.iw);
  const meaning = meaningOf(request, params.iw, card);
  return {
    v: 1,
    action,
    model: card.name,
    modelHash: card.hash,
    prompt: request.prompt,
    parts: request.parts,
    negative: request.negative,
    seed: request.seed,
    count: isUpscale(action) ? 1 : request.count,
    width,
    height,
    steps: stepsFor(params, usual),
    guidance: guidanceFor(params, usual.defaults.guidance),
    scheduler: schedulerFor(params.scheduler, usual),
    ...(quick?.spacing ? { spacing: quick.spacing } : {}),
    chaos: params.chaos / 100,
    weird: params.weird / 3000,
    stop: params.stop / 100,
    tile: (params.tile ?? false) && !isEdit(action),
    ...(loras.length > 0 ? { loras } : {}),
    ...(embeddings.length > 0 ? { embeddings } : {}),
    ...(params.draft && !isUpscale(action) ? { draft: true } : {}),
    ...(image === undefined ? {} : { image }),
    ...(action === 'vary-region' ? { cells: request.cells ?? 0xffff } : {}),
    ...(action === 'zoom-out' ? { zoom: request.zoom ?? 2 } : {}),
    ...(action === 'blend' && request.blend ? { blend: request.blend } : {}),
    ...styleFor(params),
    ...(meaning === undefined ? {} : { meaning }),
    ...(request.parent === undefined ? {} : { parent: shortened(request.parent) }),
  };
};

/** The wanted LoRAs with their sha256. @throws UserError for a LoRA that is not there, or for another base */
export const lorasOf = (wanted: Params['loras'] = [], card: ModelCard): LoraUse[] =>
  wanted
    .filter(({ weight }) => weight !== 0)
    .map(({ name, weight }) => {
      const parameter = '--lora';
      if (card.base === undefined) throw new UserError('lora-model', { parameter, model: card.name });
      const known = findAdapter(card.loras, name);
      const fitting = card.loras?.filter((lora) => fits(lora, card.base)).map((lora) => lora.name) ?? [];
      if (known === undefined || !fits(known, card.base))
        throw new UserError('unknown-lora', {
          parameter,
          value: name,
          loras: fitting.slice(0, 25).join(', ') || '–',
        });
      return { name: known.name, weight, sha256: known.sha256 };
    });

/** The card of the last wanted LoRA for few steps. */
const quickest = (loras: readonly LoraUse[], card: ModelCard): LoraCard | undefined =>
  loras.map(({ name }) => findAdapter(card.loras, name)).findLast((lora) => lora?.steps !== undefined);

/** The card with the steps, guidance and scheduler that a LoRA for few steps wants. */
const usualWith = (wish: LoraCard | undefined, card: ModelCard): ModelCard => {
  if (!wish) return card;
  const {
    steps = card.defaults.steps,
    guidance = card.defaults.guidance,
    scheduler = card.defaults.scheduler,
  } = wish;
  return {
    ...card,
    defaults: { steps, guidance, scheduler },
    draft: { steps: Math.min(steps, card.draft.steps) },
  };
};

/** The installed textual inversions that prompt and negative name. */
const embeddingsOf = ({ parts, negative }: RenderRequest, card: ModelCard): EmbeddingUse[] => {
  const known =
    (card.exported ? [] : card.embeddings)?.filter((embedding) => fits(embedding, card.base)) ?? [];
  const text = [...parts.map((part) => part.text), negative].join('\n');
  return embeddingsIn(text, known)
    .slice(0, 32)
    .map(({ name, sha256 }) => ({ name, sha256 }));
};

const NUMBERS = ['chaos', 'stylize', 'weird', 'quality', 'stop', 'iw', 'sw'] as const;
type Complete = Params & Record<(typeof NUMBERS)[number], number>;

/** Parameters with absent ones set to the card's own default, or the table's. */
const withDefaults = (params: Params, card: ModelCard): Complete => {
  const complete: Record<string, unknown> = { ...params };
  for (const name of NUMBERS) complete[name] ??= parameterFor(parameterOf(name)!, card).default;
  return complete as Complete;
};

/** The style of --sref; a `random` without a drawn number is dropped. */
const styleFor = ({ sref = [], sw }: Complete): Pick<Recipe, 'style'> => {
  const codes = sref.filter((code) => code !== 'random');
  return codes.length === 0 || sw === 0 ? {} : { style: { codes, strength: styleStrength(sw) } };
};

const isUpscale = (action: Action): boolean => action === 'upscale-subtle' || action === 'upscale-creative';

const checkParameters = (params: Params, card: ModelCard): void => {
  for (const spec of PARAMETERS as readonly ParameterSpec[]) {
    const value = spec.field === undefined ? undefined : params[spec.field];
    if (value === undefined || value === false) continue;
    if (spec.value !== undefined && spec.value !== value) continue;
    const parameter = `--${spec.print ?? spec.name}`;
    const { supported, min, max, instead = 'leave-out' } = parameterFor(spec, card);
    if (!supported) throw new UserError('unsupported-parameter', { parameter, instead, model: card.name });
    // Every repeat is a job of its own, so its count is not checked here.
    if (typeof value !== 'number' || spec.name === 'repeat' || min === undefined || max === undefined)
      continue;
    if (value < min || value > max)
      throw new UserError('out-of-range', { parameter, value, min, max, model: card.name });
  }
};

const schedulerFor = (typed: string | undefined, card: ModelCard): string => {
  if (typed === undefined) return card.defaults.scheduler;
  const sampler = samplerOf(typed);
  if (sampler === undefined)
    throw new UserError('unknown-sampler', {
      parameter: '--scheduler',
      value: typed,
      samplers: Object.keys(SAMPLERS).join(', '),
    });
  return SAMPLERS[sampler].scheduler;
};

/** quality × the model's own steps; two at least, where the model itself takes two. */
const stepsFor = ({ draft, quality }: Complete, card: ModelCard): number => {
  const usual = draft ? card.draft.steps : card.defaults.steps;
  return clamp(Math.round(usual * quality), Math.min(2, usual), 1000);
};

/**
 * stylize moves guidance g about the model's own: 1 + (g - 1)·f, with f = ½ at 0, 1 at 100 and 2 at 1000
 * (linear below 100, logarithmic above). raw takes a quarter off what lies above 1. A model made to run
 * without guidance (g ≤ 1) keeps it so.
 */
const guidanceFor = ({ stylize, raw = false }: Complete, usual: number): number => {
  if (usual <= 1) return usual;
  const f = stylize <= 100 ? 0.5 + stylize / 200 : 1 + Math.log10(stylize / 100);
  return rounded(clamp(1 + (usual - 1) * f * (raw ? 0.75 : 1), 1, Math.max(MAX_GUIDANCE, usual)));
};

/** Share of the schedule painted over an image prompt: 0.6^iw; iw 0 drops the image. 1 for a reword. */
const imagePrompt = ({ action, image }: RenderRequest, iw: number): Recipe['image'] => {
  if (action === 'reword' && image !== undefined) return { key: image.key, strength: 1 };
  if (action !== 'imagine' || image === undefined || iw === 0) return undefined;
  return { key: image.key, strength: rounded(0.6 ** iw) };
};

/** How strongly each picture of a reworded grid is moved towards the new words (unCLIP, section 3.3). */
export const REWORD_STRENGTHS = [0.15, 0.25, 0.35, 0.5] as const;

/**
 * How pictures and words make a picture embedding: an image prompt and the words share it, iw to 1; an image
 * prompt without words, a variation and a blend use the pictures alone.
 * @throws UserError('no-reword') where the model has none
 */
const meaningOf = (
  { action, image, reword, count, parts }: RenderRequest,
  iw: number,
  card: ModelCard,
): Recipe['meaning'] => {
  if (action === 'reword' && (!card.pictureEmbedding || !reword))
    throw new UserError('no-reword', { model: card.name });
  if (!card.pictureEmbedding) return undefined;
  switch (action) {
    case 'imagine':
      if (image === undefined || iw === 0) return undefined;
      return { text: parts.some(({ text }) => text.trim() !== '') ? rounded(1 / (1 + iw)) : 0 };
    case 'blend':
    case 'vary-strong':
      return { text: 0 };
    case 'vary-subtle':
      return { text: 0, layout: true };
    case 'reword':
      return {
        text: 0,
        layout: true,
        reword: { ...(reword as Reword), strengths: REWORD_STRENGTHS.slice(0, count) },
      };
    default:
      return undefined;
  }
};

/**
 * A new picture: the model's size whose shape is nearest to the asked one. A variation: as large as its parent
 * was painted, if the model paints that much at once. An edit: see editFrame.ts.
 * An upscale: the parent's size times two, or four with an upscaling model.
 */
export const sizeFor = (
  request: Pick<RenderRequest, 'action' | 'params' | 'parent' | 'zoom'>,
  card: ModelCard,
): Size => {
  const { action, params, parent } = request;
  if (parent === undefined) return params.aspect ? bucketFor(params.aspect, card) : card.native;
  if (isUpscale(action)) {
    const { width, height } = parent.recipe;
    const longest = Math.max(width, height);
    const wanted = card.upscale && longest <= 512 ? 4 : 2;
    const factor = Math.max(1, Math.min(wanted, MAX_SIDE / longest));
    return { width: Math.round(width * factor), height: Math.round(height * factor) };
  }
  const painted = lineage(parent.recipe).find((recipe) => !isUpscale(recipe.action)) ?? parent.recipe;
  const { width, height } = painted;
  if (isEdit(action)) return frameSize(action, painted, card, { aspect: params.aspect, zoom: request.zoom });
  if (painted.model !== card.name) return bucketFor([width, height], card);
  return isEdit(painted.action) ? paintable(painted, card) : { width, height };
};

/** A parent with at most MAX_LINEAGE ancestors, since recipes travel inside PNGs and jobs. */
const shortened = (parent: NonNullable<RenderRequest['parent']>): NonNullable<Recipe['parent']> => {
  const cut = (recipe: Recipe, depth: number): Recipe => {
    const { parent: above, ...rest } = recipe;
    if (above === undefined || depth <= 1) return rest;
    return { ...rest, parent: { ...above, recipe: cut(above.recipe, depth - 1) } };
  };
  return { jobId: parent.jobId, index: parent.index, recipe: cut(parent.recipe, MAX_LINEAGE - 1) };
};

/** Settings for the engine; lists have one entry for each picture. */
export interface EngineSettings {
  /** Picture i is painted exactly as it would be alone: seed S + i, whatever stands beside it. */
  seeds: number[];
  guidances: number[];
  /** 0..1: how much of each picture's noise comes from the first seed. Always 0: a grid has four seeds. */
  sharedNoise: number;
  /** Weird, 0..1: one direction for the whole grid. */
  perturb: number;
  /** Chaos, 0..1: a direction of each picture's own, from its seed. */
  perturbs: number[];
  /** Share of the schedule painted over the start picture; absent where painting starts from noise. */
  strength?: number;
}

/** How much of the parent an action paints over. `upscale-subtle` paints nothing: it only enlarges. */
const STRENGTHS: Readonly<Partial<Record<Action, number>>> = {
  'vary-subtle': 0.45,
  'vary-strong': 0.75,
  'upscale-creative': 0.25,
  blend: 0.8,
  'vary-region': 1,
  'zoom-out': 0.95,
  'pan-left': 0.95,
  'pan-right': 0.95,
  'pan-up': 0.95,
  'pan-down': 0.95,
  'make-square': 0.95,
};

/** The full chaos doubles or halves guidance, and moves each picture's words by this much. */
const CHAOS_PERTURB = 0.35;

/**
 * In [-1, 1], from the seed alone, so that a grid's picture can be painted again by itself. Multiples of the
 * golden ratio spread neighbouring seeds evenly (Weyl sequence), so four of them never fall together.
 */
const offsetOf = (seed: number): number => (Math.imul(seed, 0x9e3779b9) >>> 0) / 0x80000000 - 1;

/** What the engine paints for a recipe. Pure; throws nothing. */
export const engineSettings = (recipe: Recipe): EngineSettings => {
  const seeds = Array.from({ length: recipe.count }, (_, i) => seedOf(recipe, i));
  const { guidance, chaos } = recipe;
  const guidances = seeds.map((seed) =>
    guidance <= 1 || chaos === 0 ? guidance : rounded(1 + (guidance - 1) * 2 ** (chaos * offsetOf(seed))),
  );
  const strength = STRENGTHS[recipe.action] ?? recipe.image?.strength;
  return {
    seeds,
    guidances,
    sharedNoise: 0,
    perturb: recipe.weird,
    perturbs: seeds.map(() => rounded(chaos * CHAOS_PERTURB)),
    ...(strength === undefined ? {} : { strength }),
  };
};
