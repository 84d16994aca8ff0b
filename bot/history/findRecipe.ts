import { readRecipe } from '../../shared/picture/png.ts';
import { type Recipe, recipeSchema } from '../../shared/picture/recipe.ts';
import { fetchPicture } from '../../shared/picture/uploadedImage.ts';
import { deliverId, type RenderRequest } from '../../shared/queue/job.ts';
import { keys } from '../../shared/queue/redis.ts';
import { readResultIfThere } from '../../shared/queue/results.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { fetchRules } from '../submit/imagePrompt.ts';

/**
 * How a picture was painted: from Redis, and where Redis forgot it, from the store or the message's own file. So
 * buttons never die. @throws UserError('recipe-gone')
 */
export async function findRecipe(app: App, jobId: string, files: readonly string[]): Promise<Recipe> {
  const kept = await onRedis(app.redis.get(keys.recipe(jobId)));
  const parsed = kept === null ? undefined : recipeSchema.safeParse(JSON.parse(kept));
  if (parsed?.success) return parsed.data;
  const stored = await readResultIfThere(app.store, jobId);
  if (stored) return stored.recipe;
  for (const url of files) {
    const bytes = await fetchPicture(url, fetchRules(app.env)).catch(() => undefined);
    const recipe = bytes && readRecipe(bytes);
    if (recipe) return recipe;
  }
  throw new UserError('recipe-gone');
}

/** The request of a job that has no recipe, from the queue, which keeps it for a day. */
export async function findRequest(app: App, jobId: string): Promise<RenderRequest | undefined> {
  const job = await onRedis(app.queues.deliver.getJob(deliverId(jobId)));
  return job?.data.render;
}
