import { UserError } from '../shared/errors.ts';
import { readJobs } from '../shared/memory/pictures.ts';
import { cancelJob } from '../shared/queue.ts';
import { keys } from '../shared/redis.ts';
import type { App, Asker } from './app.ts';
import { onRedis } from './redisAway.ts';

/**
 * Stops a waiting or running job; the worker then says so on its message. For its owner, and for those who manage
 * messages in the very channel that the job is of: an id can be forged, so the click may come from anywhere.
 * @throws UserError not-yours, already-done
 */
export async function cancel(
  app: App,
  jobId: string,
  asker: Pick<Asker, 'user' | 'moderator' | 'guildId' | 'channelId'>,
): Promise<void> {
  const owner = await onRedis(app.redis.get(keys.owner(jobId)));
  if (owner !== asker.user.id && !(await moderates(app, jobId, asker))) throw new UserError('not-yours');
  const stopped = await onRedis(cancelJob(app.queues, app.redis, jobId));
  if (!stopped) throw new UserError('already-done');
  app.log.info({ jobId, by: asker.user.id }, 'cancelled');
}

async function moderates(
  app: App,
  jobId: string,
  { moderator, guildId, channelId }: Pick<Asker, 'moderator' | 'guildId' | 'channelId'>,
): Promise<boolean> {
  if (!moderator || guildId === undefined) return false;
  const [job] = await onRedis(readJobs(app.redis, [jobId]));
  return job?.guildId === guildId && job.channelId === channelId;
}
