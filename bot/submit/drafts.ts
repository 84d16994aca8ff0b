import { type Edit, isEdit } from '../../shared/picture/editFrame.ts';
import { lineage, MAX_LINEAGE, type Recipe, type Reword, seedOf } from '../../shared/picture/recipe.ts';
import { type ParsedPrompt, parsePrompt, printPrompt } from '../../shared/prompt/index.ts';
import type { Params, RenderRequest } from '../../shared/queue/job.ts';

/** A render request without job id, user and time. Without a seed it gets one derived from the job id. */
export type Draft = Omit<RenderRequest, 'v' | 'jobId' | 'user' | 'createdAt' | 'seed'> & {
  seed?: number | undefined;
};

/** Drafts from prompts and from finished pictures; all pure. GRID is the default count of pictures. */
export const GRID = 4;
const countOf = ({ count = GRID }: Params): number => count;

/** Drafts of all prompts, each repeated as its `--repeat` says; every draft becomes one job. */
export function draftsOf(
  prompts: readonly ParsedPrompt[],
  defaultModel: string,
  image?: { key: string },
): Draft[] {
  return prompts.flatMap((parsed) => {
    const { repeat = 1 } = parsed.params;
    const draft: Draft = {
      action: 'imagine',
      ...wishOf(parsed, defaultModel),
      count: countOf(parsed.params),
      ...(image === undefined ? {} : { image }),
    };
    return Array.from({ length: repeat }, () => draft);
  });
}

/** The draft of one parsed prompt. Its text is printed without repeat, lane and visibility. */
function wishOf(
  parsed: ParsedPrompt,
  defaultModel: string,
): Pick<Draft, 'prompt' | 'parts' | 'negative' | 'params' | 'model' | 'seed'> {
  const { repeat: _, ...params } = parsed.params;
  const { lane: _lane, visibility: _visibility, ...shown } = params;
  return {
    prompt: printPrompt({ ...parsed, params: shown }),
    parts: parsed.parts,
    negative: parsed.negative,
    params,
    model: params.model ?? defaultModel,
    ...(params.seed === undefined ? {} : { seed: params.seed }),
  };
}

/** The same draft with another prompt (Remix). */
export const remixOf = (draft: Draft, parsed: ParsedPrompt): Draft => {
  const { seed: _, ...old } = draft;
  const { count = draft.count } = parsed.params;
  return {
    ...old,
    ...wishOf(parsed, draft.model),
    count: draft.action.startsWith('upscale') ? draft.count : count,
  };
};

/** Variations of one picture, with a seed of their own. */
export const variationOf = (
  jobId: string,
  index: number,
  recipe: Recipe,
  action: 'vary-subtle' | 'vary-strong',
): Draft => {
  const wish = again(recipe);
  return { ...wish, action, count: countOf(wish.params), parent: parentOf(jobId, index, recipe) };
};

/** One picture, enlarged. The draft keeps the picture's seed, so that the same U gives the same bytes. */
export const upscaleOf = (
  jobId: string,
  index: number,
  recipe: Recipe,
  action: 'upscale-subtle' | 'upscale-creative',
): Draft => ({
  ...again(recipe),
  action,
  count: 1,
  seed: seedOf(recipe, index),
  parent: parentOf(jobId, index, recipe),
});

/**
 * A region, a zoom, a pan or Make Square. The new shape comes from the parent, not the prompt, so `--ar`
 * is dropped; one typed for this edit stays.
 */
export const editOf = (
  jobId: string,
  index: number,
  recipe: Recipe,
  { action, cells, zoom }: { action: Edit; cells?: number; zoom?: number },
): Draft => {
  const wish = again(recipe, withoutShape);
  return {
    ...wish,
    action,
    count: countOf(wish.params),
    ...(cells === undefined ? {} : { cells }),
    ...(zoom === undefined ? {} : { zoom }),
    parent: parentOf(jobId, index, recipe),
  };
};

const withoutDice = ({ seed: _seed, repeat: _repeat, ...params }: Params): Params => params;
const withoutShape = ({ aspect: _aspect, ...params }: Params): Params => withoutDice(params);

/**
 * One picture, moved from one text to another in four strengths. The parent's words stay in the
 * ancestor's recipe; this draft's prompt is the new text.
 * @param model a model with a picture embedding: the picture's own, or another where that has none
 */
export const rewordOf = (
  jobId: string,
  index: number,
  recipe: Recipe,
  model: string,
  reword: Reword,
): Draft => ({
  action: 'reword',
  prompt: reword.to,
  parts: [{ text: reword.to, weight: 1 }],
  negative: recipe.negative,
  params: {},
  model,
  count: GRID,
  reword,
  parent: parentOf(jobId, index, recipe),
});

/** The same draft with another seed; an upscale keeps its own. */
export function rerollOf(recipe: Recipe): Draft {
  const { action, count, image, parent, seed, cells, zoom, blend, meaning } = recipe;
  const reword = meaning?.reword;
  return {
    ...again(recipe, isEdit(action) && zoom === undefined ? withoutShape : withoutDice),
    action,
    count,
    ...(cells === undefined ? {} : { cells }),
    ...(zoom === undefined ? {} : { zoom }),
    ...(blend === undefined ? {} : { blend }),
    ...(reword === undefined ? {} : { reword: { from: reword.from, to: reword.to } }),
    ...(action.startsWith('upscale') ? { seed } : {}),
    ...(image === undefined ? {} : { image: { key: image.key } }),
    ...(parent === undefined ? {} : { parent }),
  };
}

/** The recipe's job once more, with the same seed. */
export const repaintOf = (recipe: Recipe): Draft => ({
  ...rerollOf(recipe),
  ...again(recipe, ({ repeat: _, ...params }) => params),
  seed: recipe.seed,
});

/** A draft's pictures, the same seed, with all their steps. */
export const enhanceOf = (recipe: Recipe): Draft => ({
  ...rerollOf(recipe),
  ...again(recipe, ({ repeat: _repeat, draft: _draft, ...params }) => params),
  seed: recipe.seed,
});

/** The draft of a failed job, from its request: a failed job has no recipe. */
export function retryOf(request: RenderRequest): Draft {
  const { v: _v, jobId: _jobId, user: _user, createdAt: _at, compare: _compare, seed, ...rest } = request;
  const fixed = request.params.seed !== undefined || request.action.startsWith('upscale');
  return { ...rest, ...(fixed ? { seed } : {}) };
}

/** Prompt and parameters of a recipe for a new picture; by default without the seed. */
function again(
  recipe: Recipe,
  kept: (params: Params) => Params = withoutDice,
): Pick<Draft, 'prompt' | 'parts' | 'negative' | 'params' | 'model'> {
  const { parts, negative, model } = recipe;
  const parsed = parsePrompt(recipe.prompt);
  const prompt = parsed.ok && parsed.prompts.length === 1 ? parsed.prompts[0] : undefined;
  if (!prompt) return { prompt: recipe.prompt, parts, negative, params: kept(paramsOf(recipe)), model };
  const params = kept(prompt.params);
  return { prompt: printPrompt({ ...prompt, params }), parts, negative, params, model };
}

/** The parameters that a recipe's fields give where its prompt no longer parses. */
const paramsOf = ({ width, height, tile, model }: Recipe): Params => {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  const by = gcd(width, height);
  const aspect: [number, number] = [width / by, height / by];
  return { ...(Math.max(...aspect) < 1000 ? { aspect } : {}), model, ...(tile ? { tile } : {}) };
};

/**
 * A recipe carries its ancestors; the oldest are cut off, so that recipes stay small: each is kept half a
 * dozen times in Redis, and prompts can be long.
 */
function parentOf(jobId: string, index: number, recipe: Recipe): NonNullable<Draft['parent']> {
  const chain = youngest(lineage(recipe).slice(0, MAX_LINEAGE - 1));
  const trimmed = chain.reduceRight<Recipe | undefined>((older, at) => {
    const { parent, ...own } = at;
    return older && parent ? { ...own, parent: { ...parent, recipe: older } } : own;
  }, undefined);
  return { jobId, index, recipe: trimmed as Recipe };
}

/** Characters of JSON that the ancestors of a job may have together; the nearest is never left out. */
const MAX_ANCESTRY = 32_000;

function youngest(chain: readonly Recipe[]): Recipe[] {
  let left = MAX_ANCESTRY;
  const fit = chain.findIndex(({ parent, ...own }, i) => {
    left -= JSON.stringify(own).length;
    return i > 0 && left < 0;
  });
  return chain.slice(0, fit < 0 ? chain.length : fit);
}
