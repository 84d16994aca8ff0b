import { readJobs } from '../../shared/memory/jobRecords.ts';
import { deliverId } from '../../shared/queue/job.ts';
import { cancelJob } from '../../shared/queue/queue.ts';
import { keys } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';

/**
 * Stops a waiting or running job; the worker says so on its message. For its owner, and members who manage
 * messages in the job's own channel: a custom id can be forged, so the click may come from any channel.
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

/** Stops the waiting jobs of a blocked member, on one server or everywhere. @returns how many were stopped */
export async function stopJobs(
  { redis, queues }: Pick<App, 'redis' | 'queues'>,
  userId: string,
  guildId?: string,
): Promise<number> {
  const open = await onRedis(redis.zrange(keys.open(userId), '0', '-1'));
  const stopped = await Promise.all(
    open.map(async (jobId) => {
      const job = await queues.deliver.getJob(deliverId(jobId));
      const meant = guildId === undefined || job?.data.deliver.guildId === guildId;
      return meant && (await onRedis(cancelJob(queues, redis, jobId)));
    }),
  );
  return stopped.filter(Boolean).length;
}
