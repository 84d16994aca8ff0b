import { UserError } from '../shared/errors.ts';
import { cancelJob } from '../shared/queue.ts';
import { keys } from '../shared/redis.ts';
import type { App, Asker } from './app.ts';
import { onRedis } from './redisAway.ts';

/** Stops a waiting or running job; the worker then says so on its message. @throws UserError */
export async function cancel(
  app: App,
  jobId: string,
  asker: Pick<Asker, 'user' | 'moderator'>,
): Promise<void> {
  const owner = await onRedis(app.redis.get(keys.owner(jobId)));
  if (owner !== asker.user.id && !asker.moderator) throw new UserError('not-yours');
  const stopped = await onRedis(cancelJob(app.queues, app.redis, jobId));
  if (!stopped) throw new UserError('already-done');
  app.log.info({ jobId, by: asker.user.id }, 'cancelled');
}
