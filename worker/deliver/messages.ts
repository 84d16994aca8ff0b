import type { Redis } from 'ioredis';
import type { Envelope } from '../../shared/queue/job.ts';
import { keys, RECIPE_TTL_S } from '../../shared/queue/redis.ts';
import type { Target } from './discord.ts';

/** Which message is the job's: the token and ids that the bot left in Redis when it acknowledged. */
export interface Places {
  /** Edited by the interaction's token while it lives: without the bot token, also in servers the bot is not in. */
  byToken: Target | undefined;
  byId: Target | undefined;
}

export async function findPlaces(redis: Redis, { render, deliver }: Envelope): Promise<Places> {
  const [token, message] = await redis.mget(keys.token(render.jobId), keys.message(render.jobId));
  const [channelId, messageId] = message?.split(':') ?? [];
  const known = channelId !== undefined && messageId !== undefined;
  const { applicationId } = deliver;
  return {
    byToken:
      token && (deliver.original || known)
        ? { by: 'token', applicationId, token, messageId: deliver.original ? undefined : messageId }
        : undefined,
    // An ephemeral message cannot be reached by its id.
    byId: known && !deliver.stealth ? { by: 'message', channelId, messageId } : undefined,
  };
}

/** Kept as long as the recipe: /mydata erase finds a job's message by this key alone. */
export const rememberMessage = (redis: Redis, jobId: string, channelId: string, messageId: string) =>
  redis.set(keys.message(jobId), `${channelId}:${messageId}`, 'EX', RECIPE_TTL_S);

/**
 * Set once the final edit is made. A worker that was cut off from Redis, and paints a job that another worker has
 * delivered, must not put a preview over the grid.
 */
export const markDelivered = (redis: Redis, jobId: string) =>
  redis.set(keys.delivered(jobId), '1', 'EX', 24 * 3600);
export const isDelivered = async (redis: Redis, jobId: string): Promise<boolean> =>
  (await redis.exists(keys.delivered(jobId))) === 1;

/** Marks that Discord may still apply the last preview: `latePreview.ts` checks. @param looks checks made so far */
export const markUnsure = (redis: Redis, jobId: string, looks = 0) =>
  redis.set(keys.unsure(jobId), String(looks), 'EX', 3600);
