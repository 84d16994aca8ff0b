import type { Redis } from 'ioredis';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../shared/picture/resolve.ts';
import { waitingFor } from '../../shared/picture/retryingStore.ts';
import { pictureKeys, type StoreAwayError } from '../../shared/picture/store.ts';
import { repaintsParts } from '../../shared/picture/wayOfPainting.ts';
import {
  parseRender,
  type RenderRequest,
  type RenderResult,
  SCHEMA_VERSION,
} from '../../shared/queue/job.ts';
import { keys, RECIPE_TTL_S } from '../../shared/queue/redis.ts';
import { recordPace } from '../../shared/queue/registry.ts';
import { readResultIfThere } from '../../shared/queue/results.ts';
import { PermanentError, UserError } from '../../shared/service/errors.ts';
import { faultPoint } from '../faultInjection.ts';
import { hasChecker, type InstalledModel, toCard } from '../models/installed.ts';
import { EngineFailure } from '../process/engineProcess.ts';
import type { StepNews } from '../process/protocol.ts';
import { worded } from './blend.ts';
import { composeGrid, encodePng } from './grid.ts';
import { type PaintDeps, type Painting, paint, rewordedPicture, storePainting } from './paint.ts';
import { type SafetySwitch, strictest } from './safety.ts';

/** One render job. A job may run more than once: pictures that are stored are not painted again. */
export interface RenderDeps extends PaintDeps {
  redis: Redis;
  /** Whether one of the models here can reword a picture. */
  rewords?: boolean;
  /** For the message of a job that took too long. */
  deadlineS: number;
}

export interface RenderOptions {
  signal?: AbortSignal | undefined;
  onRecipe?: (recipe: Recipe) => void;
  /** The part of so many milliseconds of painting that was not spent on jobs beside this one. */
  ownMs?: (ms: number) => number;
  onStep?: (news: StepNews) => void;
  /** Called when the store is away; the painted pictures wait for it. */
  onStoreAway?: (error: StoreAwayError) => void;
}

/** So long painted pictures wait for the store; then the job is tried again, which paints them once more. */
const STORE_PATIENCE_MS = 15 * 60_000;

/** @throws PermanentError 'cancelled' | 'bad-job' | a code of shared/messages; anything else is worth a retry. */
export async function render(
  given: RenderDeps,
  data: unknown,
  options: RenderOptions = {},
): Promise<RenderResult> {
  const request = parseRequest(data);
  const { jobId } = request;
  await stopIfCancelled(given.redis, jobId);

  // While the store is away, stored pictures are painted again, to the same bytes: that wastes less than waiting.
  const known = await readResultIfThere(given.store, jobId);
  const store = waitingFor(given.store, {
    signal: options.signal,
    forMs: STORE_PATIENCE_MS,
    ...(options.onStoreAway ? { onWait: options.onStoreAway } : {}),
  });
  const deps: RenderDeps = { ...given, store };
  if (known) {
    await keep(deps, jobId, known.recipe);
    return { ...known, paintMs: 0 };
  }

  const model = deps.model(request.model);
  if (!model) throw new PermanentError('no-model', { model: request.model });
  const wish = resolved(deps, request, model);
  const start = () => rewordedPicture(deps, wish, { signal: options.signal });
  const recipe = await worded(deps, model, wish, start, options.signal).catch((error: unknown) => {
    throw explain(error, deps.deadlineS, request.model);
  });
  options.onRecipe?.(recipe);
  const safety = strictest(deps.safety ?? 'off', request.safety);
  const shy = safety !== 'off' && hasChecker(model);
  const painting = await paint({ ...deps, safety }, recipe, {
    signal: options.signal,
    onStep: ({ previews, ...news }) => {
      void faultPoint('mid-step');
      // The safety checker sees no previews, so none are shown where it checks the pictures.
      options.onStep?.(previews && !shy ? { ...news, previews } : news);
    },
  }).catch((error: unknown) => {
    throw explain(error, deps.deadlineS, recipe.model);
  });

  await stopIfCancelled(deps.redis, jobId);
  const result = await storeResult(deps, jobId, recipe, painting, safety, model.manifest.family);
  await faultPoint('after-store');
  await keep(deps, jobId, recipe);
  await recordPace(deps.redis, recipe.model, request.action, options.ownMs?.(painting.ms) ?? painting.ms);
  return result;
}

/** @throws PermanentError where the model does not take what the member asks: a retry would not help */
function resolved({ adapters }: RenderDeps, request: RenderRequest, model: InstalledModel): Recipe {
  try {
    return resolveRecipe(request, toCard(model, adapters));
  } catch (error) {
    throw error instanceof UserError ? new PermanentError(error.code, error.params, { cause: error }) : error;
  }
}

function parseRequest(data: unknown): RenderRequest {
  const request = parseRender(data);
  if (!request)
    throw new PermanentError('failed', {}, { cause: new Error('render job of another version, or forged') });
  return request;
}

async function stopIfCancelled(redis: Redis, jobId: string): Promise<void> {
  if ((await redis.exists(keys.cancelled(jobId))) === 1) throw new PermanentError('cancelled');
}

async function storeResult(
  { store, rewords }: RenderDeps,
  jobId: string,
  recipe: Recipe,
  painting: Painting,
  safety: SafetySwitch,
  family: string,
): Promise<RenderResult> {
  const { pictures, flagged = [] } = painting;
  const stored = await storePainting(store, jobId, recipe, painting);
  const shown = await composeGrid(pictures);
  const grid = pictures.length > 1 ? pictureKeys.grid(jobId) : undefined;
  if (grid) await store.put(grid, await encodePng(shown, recipe, 0));
  const result: RenderResult = {
    v: SCHEMA_VERSION,
    jobId,
    recipe,
    pictures: stored,
    ...(grid ? { grid } : {}),
    ...(flagged.length > 0 && safety !== 'off' ? { flagged, safety } : {}),
    ...(rewords ? { reword: true } : {}),
    ...(repaintsParts(family) ? {} : { repaints: false }),
    width: shown.width,
    height: shown.height,
    paintMs: Math.round(painting.ms),
  };
  await store.put(pictureKeys.result(jobId), Buffer.from(JSON.stringify(result)));
  return result;
}

/**
 * Remembers the recipe of stored pictures; if their owner erased them meanwhile, deletes pictures and recipe.
 * @throws PermanentError 'cancelled'
 */
async function keep({ redis, store }: RenderDeps, jobId: string, recipe: Recipe): Promise<void> {
  await redis.set(keys.recipe(jobId), JSON.stringify(recipe), 'EX', RECIPE_TTL_S);
  if ((await redis.exists(keys.erased(jobId))) === 0) return;
  await redis.del(keys.recipe(jobId));
  await store.remove(jobId);
  throw new PermanentError('cancelled');
}

/**
 * The engine has tried twice where that could help, so its failures are final; whether a stop was a cancellation or a
 * shutdown is for the caller to say.
 */
export function explain(error: unknown, deadlineS: number, model: string): unknown {
  if (error instanceof UserError) return new PermanentError(error.code, error.params, { cause: error });
  if (!(error instanceof EngineFailure)) return error;
  const because = { cause: error };
  switch (error.code) {
    case 'aborted':
      return error;
    case 'crashed':
    case 'internal':
    case 'provider':
      return new PermanentError('engine', {}, because);
    case 'hung':
      return new PermanentError('deadline', { seconds: deadlineS }, because);
    case 'out-of-memory':
      return new PermanentError('too-large', {}, because);
    case 'unsupported':
      return new PermanentError('not-able', { model }, because);
    case 'bad-adapter':
      return new PermanentError('adapter', { model }, because);
    case 'not-a-number':
      return new PermanentError('blank', {}, because);
    default:
      return new PermanentError('failed', {}, because);
  }
}
