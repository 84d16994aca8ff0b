import type { Redis } from 'ioredis';
import type { Envelope } from '../../shared/queue/job.ts';
import { keys, RECIPE_TTL_S } from '../../shared/queue/redis.ts';
import type { Target } from './discord.ts';

/** Which message is the job's: what the bot left in Redis when it acknowledged. */
export interface Places {
  /** Edited by token while that lives: works without the bot token and in servers the bot is not in. */
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
    // What one person alone sees cannot be reached by its id.
    byId: known && !deliver.stealth ? { by: 'message', channelId, messageId } : undefined,
  };
}

/** As long as its recipe: /mydata erase finds messages by this alone. */
export const rememberMessage = (redis: Redis, jobId: string, channelId: string, messageId: string) =>
  redis.set(keys.message(jobId), `${channelId}:${messageId}`, 'EX', RECIPE_TTL_S);

/**
 * Set once the final edit is made. A worker that was cut off from Redis, and paints what another has delivered
 * long ago, must not put a preview over the grid.
 */
export const markDelivered = (redis: Redis, jobId: string) =>
  redis.set(keys.delivered(jobId), '1', 'EX', 24 * 3600);
export const isDelivered = async (redis: Redis, jobId: string): Promise<boolean> =>
  (await redis.exists(keys.delivered(jobId))) === 1;

/** Whatever was sent last may still come: `latePreview.ts` looks for it. @param looks how often it did */
export const markUnsure = (redis: Redis, jobId: string, looks = 0) =>
  redis.set(keys.unsure(jobId), String(looks), 'EX', 3600);
