import { createHash } from 'node:crypto';
import { Routes } from 'discord.js';
import { UserError } from '../shared/errors.ts';
import { release, reserve } from '../shared/fairness.ts';
import { type DeliverJob, type RenderRequest, SCHEMA_VERSION } from '../shared/job.ts';
import { presentQueued } from '../shared/present.ts';
import { addJob } from '../shared/queue.ts';
import { keys, RECIPE_TTL_S, TOKEN_TTL_S } from '../shared/redis.ts';
import { expectedWait } from '../shared/registry.ts';
import type { Answer } from './answer.ts';
import type { App, Asker } from './app.ts';
import { onRedis } from './redisAway.ts';

/** A wish that has everything but its place in the queue. Without a seed it gets one of its own. */
export type Draft = Omit<RenderRequest, 'v' | 'jobId' | 'user' | 'createdAt' | 'seed'> & {
  seed?: number | undefined;
};

interface Place {
  priority: number;
  ahead: number;
  waitMs: number | undefined;
}

/**
 * Admission. The first job's id is the interaction's own, further ones are `<interaction>.n`; so an interaction
 * that is delivered twice, or to two bots, makes the same jobs and the same messages.
 */
export async function submit(
  app: App,
  asker: Asker,
  answer: Answer,
  drafts: readonly Draft[],
): Promise<void> {
  for (const { prompt } of drafts) await app.moderate(prompt, asker);
  const jobs = drafts.map((draft, i) => jobOf(asker, draft, i));
  const places = await reserveAll(app, asker, jobs);
  for (const [i, job] of jobs.entries()) {
    try {
      if (job.deliver.original) await queueOriginal(app, asker, answer, job, places[i] as Place);
      else await queueFurther(app, asker, job, places[i] as Place);
    } catch (error) {
      await releaseAll(app, asker, jobs.slice(i));
      throw error;
    }
  }
}

function jobOf(asker: Asker, draft: Draft, position: number): DeliverJob {
  const jobId = position === 0 ? asker.interactionId : `${asker.interactionId}.${position}`;
  return {
    render: {
      ...draft,
      v: SCHEMA_VERSION,
      jobId,
      seed: draft.seed ?? seedFrom(jobId),
      user: { id: asker.user.id, name: asker.user.name.slice(0, 100) },
      createdAt: Date.now(),
    },
    deliver: {
      v: SCHEMA_VERSION,
      jobId,
      applicationId: asker.applicationId,
      channelId: asker.channelId,
      guildId: asker.guildId,
      locale: asker.locale,
      attachmentLimit: asker.attachmentLimit,
      original: position === 0,
    },
  };
}

/** A seed nobody chose, but the same one for the same job. */
export const seedFrom = (jobId: string): number =>
  createHash('sha256').update(`seed ${jobId}`).digest().readUInt32BE(0);

/** All or none: a prompt that asks for four jobs is not half done. */
async function reserveAll(app: App, asker: Asker, jobs: readonly DeliverJob[]): Promise<Place[]> {
  const { redis, env } = app;
  const places: Place[] = [];
  for (const { render } of jobs) {
    const reserved = await onRedis(
      reserve(redis, {
        userId: asker.user.id,
        jobId: render.jobId,
        maxPerUser: env.MAX_OPEN_JOBS,
        maxAll: env.MAX_QUEUE,
      }),
    );
    if (!reserved.ok) {
      await releaseAll(app, asker, jobs.slice(0, places.length));
      throw new UserError(`queue-${reserved.why}`, {
        n: reserved.open,
        max: reserved.why === 'user' ? env.MAX_OPEN_JOBS : env.MAX_QUEUE,
      });
    }
    const ahead = places.length + (await onRedis(countAhead(app, reserved.priority)));
    const waitMs = await onRedis(expectedWait(redis, render.model, ahead));
    places.push({ priority: reserved.priority, ahead, waitMs });
  }
  return places;
}

/** Jobs that are served sooner than one of this priority, and those that are being painted. */
async function countAhead({ queues, redis }: App, priority: number): Promise<number> {
  // BullMQ scores a waiting job priority * 2^32 + counter (getPriorityScore.lua).
  const [sooner, active] = await Promise.all([
    redis.zcount(queues.render.toKey('prioritized'), '-inf', `(${(priority + 1) * 2 ** 32}`),
    redis.llen(queues.render.toKey('active')),
  ]);
  return sooner + active;
}

const look = (asker: Asker, job: DeliverJob, { ahead, waitMs }: Place) =>
  presentQueued({ render: job.render, locale: asker.locale, ahead, waitMs });

/** The acknowledgement is the message. */
async function queueOriginal(
  app: App,
  asker: Asker,
  answer: Answer,
  job: DeliverJob,
  place: Place,
): Promise<void> {
  await remember(app, asker, job);
  const payload = look(asker, job, place);
  // A deferred message can be edited by the worker as soon as the job is queued; ours must come before.
  const edited = answer.state === 'deferred' ? await answer.send(payload) : undefined;
  try {
    await enqueue(app, job, place);
  } catch (error) {
    if (edited) await answer.retract();
    throw error;
  }
  try {
    const messageId = edited ?? (await answer.sendUnlessDeferred(payload));
    if (messageId) await rememberMessage(app, asker, job, messageId);
  } catch (error) {
    // It is queued, so it will be painted; the worker posts it where no acknowledgement was taken.
    app.log.warn({ err: error, jobId: job.render.jobId }, 'not acknowledged');
  }
}

/** Repeats and permutations are messages of their own; the nonce keeps a repeated request from making two. */
async function queueFurther(app: App, asker: Asker, job: DeliverJob, place: Place): Promise<void> {
  const { jobId } = job.render;
  const message = (await app.rest
    .post(Routes.channelMessages(asker.channelId), {
      body: { ...look(asker, job, place), nonce: jobId, enforce_nonce: true },
    })
    .catch((error: { code?: unknown }) => {
      if (error.code === 50001 || error.code === 50013) throw new UserError('no-posting');
      throw error;
    })) as { id: string };
  try {
    await remember(app, asker, job);
    await rememberMessage(app, asker, job, message.id);
    await enqueue(app, job, place);
  } catch (error) {
    await app.rest.delete(Routes.channelMessage(asker.channelId, message.id));
    throw error;
  }
}

/** The token edits what the interaction answered with, and nothing else: further messages go by their id. */
async function remember(app: App, asker: Asker, job: DeliverJob): Promise<void> {
  const { jobId } = job.render;
  const both = app.redis.multi().set(keys.owner(jobId), asker.user.id, 'EX', RECIPE_TTL_S);
  if (job.deliver.original) both.set(keys.token(jobId), asker.token, 'EX', TOKEN_TTL_S);
  await onRedis(both.exec());
}

/** Not worth failing for: within 15 minutes the worker finds the message by the token alone. */
async function rememberMessage(app: App, asker: Asker, job: DeliverJob, messageId: string): Promise<void> {
  const key = keys.message(job.render.jobId);
  await app.redis
    .set(key, `${asker.channelId}:${messageId}`, 'EX', RECIPE_TTL_S)
    .catch((error) => app.log.warn({ err: error, jobId: job.render.jobId }, 'message id not remembered'));
}

async function enqueue(app: App, job: DeliverJob, place: Place): Promise<void> {
  await onRedis(addJob(app.queues, job, place.priority));
  app.metrics.queued(job.render.action);
  app.log.info({ jobId: job.render.jobId, action: job.render.action, ahead: place.ahead }, 'queued');
}

async function releaseAll(app: App, asker: Asker, jobs: readonly DeliverJob[]): Promise<void> {
  for (const { render } of jobs)
    await release(app.redis, asker.user.id, render.jobId).catch((error) =>
      app.log.warn({ err: error, jobId: render.jobId }, 'reservation kept until it is swept'),
    );
}
