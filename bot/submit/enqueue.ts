import { setTimeout as pause } from 'node:timers/promises';
import { type JobRecord, recordJob, recordUpload } from '../../shared/memory/jobRecords.ts';
import { type DeliverJob, deliverId } from '../../shared/queue/job.ts';
import { addJob } from '../../shared/queue/queue.ts';
import { keys, RECIPE_TTL_S, TOKEN_TTL_S } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { isRedisAway, isUnknown, onRedis } from '../interaction/redisAway.ts';

/** Queues a job exactly once, also over a broken connection, and again where a killed Redis lost it. */

/** BullMQ priority; smaller is served sooner. */
export interface Turn {
  priority: number;
  /** Jobs that are served before this one. */
  ahead: number;
}

/** Milliseconds for which an interrupted addition to the queue is tried again. */
export const SETTLE_MS = 20_000;
export const AGAIN_MS = 250;

/** The record of a job, made when it is queued, before its recipe exists. */
export const recordOf = ({ render, deliver }: DeliverJob): JobRecord => ({
  jobId: render.jobId,
  userId: render.user.id,
  action: render.action,
  ...(render.parent ? { parent: { jobId: render.parent.jobId, index: render.parent.index } } : {}),
  prompt: render.prompt,
  ...(render.image ? { image: render.image.key } : {}),
  channelId: deliver.channelId,
  ...(deliver.guildId === undefined ? {} : { guildId: deliver.guildId }),
  locale: deliver.locale,
  stealth: deliver.stealth ?? false,
  at: render.createdAt,
});

/** Keeps a job's owner, record and token. The token edits the interaction's own messages, an id the others. */
export async function remember(app: App, asker: Asker, job: DeliverJob): Promise<void> {
  const { jobId } = job.render;
  const both = app.redis.multi().set(keys.owner(jobId), asker.user.id, 'EX', RECIPE_TTL_S);
  if (job.deliver.original || job.deliver.stealth)
    both.set(keys.token(jobId), asker.token, 'EX', TOKEN_TTL_S);
  await onRedis(both.exec());
  await onRedis(recordJob(app.redis, recordOf(job)));
  for (const { key } of job.render.blend ?? []) await onRedis(recordUpload(app.redis, asker.user.id, key));
}

/** @throws UserError redis, redis-unknown */
export async function enqueue(app: App, asker: Asker, job: DeliverJob, place: Turn): Promise<void> {
  await onRedis(addSurely(app, job, place));
  app.again.keep(() => queueAgain(app, asker, job, place));
  app.metrics.queued(job.render.action);
  app.log.info({ jobId: job.render.jobId, action: job.render.action, ahead: place.ahead }, 'queued');
}

/** Queues a job again that a killed Redis lost; not a job that its member erased meanwhile. */
async function queueAgain(app: App, asker: Asker, job: DeliverJob, place: Turn): Promise<void> {
  const { jobId } = job.render;
  if ((await app.redis.exists(app.queues.deliver.toKey(deliverId(jobId)), keys.erased(jobId))) > 0) return;
  await remember(app, asker, job);
  await addJob(app.queues, job, place.priority);
  app.log.warn({ jobId }, 'lost by Redis; queued again');
}

/**
 * Where the connection breaks before Redis answers, the job may be queued or not. Adding it again settles that, as
 * a job's id is unique; "nothing was queued" would be a guess.
 * @throws UserError('redis-unknown') where Redis stays away meanwhile
 */
async function addSurely(app: App, job: DeliverJob, { priority }: Turn): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  for (let unknown = false; ; await pause(AGAIN_MS)) {
    try {
      return await addJob(app.queues, job, priority);
    } catch (error) {
      unknown ||= isUnknown(error);
      if (!unknown || !isRedisAway(error)) throw error;
      app.log.warn({ err: error, jobId: job.render.jobId }, 'perhaps queued; adding it again');
      if (performance.now() > end) throw new UserError('redis-unknown');
    }
  }
}
