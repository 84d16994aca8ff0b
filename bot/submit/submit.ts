import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { DiscordAPIError, Routes } from 'discord.js';
import { forgetJob } from '../../shared/memory/jobRecords.ts';
import { DEFAULT_LANE, readSettings, type Settings } from '../../shared/memory/settings.ts';
import { presentQueued } from '../../shared/picture/jobMessage.ts';
import { release, reserve } from '../../shared/queue/fairness.ts';
import { type DeliverJob, SCHEMA_VERSION } from '../../shared/queue/job.ts';
import { cancelJob } from '../../shared/queue/queue.ts';
import { keys, RECIPE_TTL_S, TOKEN_TTL_S } from '../../shared/queue/redis.ts';
import { expectedWait, listWorkers } from '../../shared/queue/registry.ts';
import { workOf } from '../../shared/queue/workOf.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import type { Answer } from '../interaction/acknowledge.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { type Admitted, admit, foresee } from './admission.ts';
import type { Draft } from './drafts.ts';
import { AGAIN_MS, enqueue, recordOf, remember, SETTLE_MS, type Turn } from './enqueue.ts';

/** Id of this process, among all bots that get the same interaction. */
const ME = randomUUID();

interface Place extends Turn {
  waitMs: number | undefined;
  /** No worker announces itself. */
  nobody: boolean;
}

/**
 * Checks, before costly work, whether drafts would be admitted.
 * @returns false where another bot has this interaction. @throws UserError as `foresee`
 */
export async function begin(app: App, asker: Asker, wanted: readonly Draft[]): Promise<boolean> {
  if (!(await claim(app, asker))) return false;
  const settings = await onRedis(readSettings(app.redis, asker.user.id));
  const drafts = wanted.map((draft) => withSettings(asker, draft, settings));
  await foresee(app, asker, drafts);
  return true;
}

/**
 * Admission. The first job's id is the interaction's own, further ones are `<interaction>.n`; so an interaction
 * that is delivered twice, or to two bots, makes the same jobs and the same messages. Of two bots the one that
 * claims it first goes on: else one could report a failure while the other has queued the job.
 */
export async function submit(
  app: App,
  asker: Asker,
  answer: Answer,
  wanted: readonly Draft[],
): Promise<void> {
  if (!(await claim(app, asker))) return;
  const settings = await onRedis(readSettings(app.redis, asker.user.id));
  const drafts = wanted.map((draft) => withSettings(asker, draft, settings));
  const admitted = await admit(
    app,
    asker,
    drafts,
    drafts.map((_, i) => jobIdOf(asker, i)),
  );
  const hidden = await hide(answer, drafts[0]).catch(async (error: unknown) => {
    await admitted.giveBack();
    throw error;
  });
  const jobs = drafts.map((draft, i) =>
    jobOf(asker, draft, i, admitted, { original: i === 0 && hidden, autoDm: settings.autoDm ?? false }),
  );
  const places = await takePlaces(app, asker, jobs, admitted);
  for (const [i, job] of jobs.entries()) {
    try {
      if (job.deliver.original) await queueOriginal(app, asker, answer, job, places[i] as Place);
      else await queueFurther(app, asker, answer, job, places[i] as Place);
    } catch (error) {
      // A job that may be queued (redis-unknown) keeps its place; the sweep drops a place without a job.
      const undone = error instanceof UserError && error.code === 'redis-unknown' ? i + 1 : i;
      void undo(app, asker, jobs.slice(undone), () => admitted.giveBack(undone));
      if (i === 0) throw error;
      app.log.warn({ err: error, interactionId: asker.interactionId, queued: i }, 'queued in part');
      throw new UserError('partly', { n: i, all: jobs.length });
    }
  }
}

/** Makes the answer private for a stealth job. @returns whether the answer itself can carry the picture */
async function hide(answer: Answer, draft: Draft | undefined): Promise<boolean> {
  if (!isStealth(draft) || (await answer.hide())) return true;
  // A public "thinking…" is deleted; the picture comes as a message for the asker alone.
  await answer.retract();
  return false;
}

/** @returns false where another bot has this interaction */
async function claim({ redis, log }: App, { interactionId }: Asker): Promise<boolean> {
  const key = keys.claim(interactionId);
  const other = await onRedis(redis.set(key, ME, 'EX', TOKEN_TTL_S, 'NX', 'GET'));
  if (other === null || other === ME) return true;
  log.info({ interactionId }, 'another bot has it');
  return false;
}

const jobIdOf = ({ interactionId }: Asker, position: number): string =>
  position === 0 ? interactionId : `${interactionId}.${position}`;

/** Lane and visibility: typed for this picture, or chosen in /settings. */
function withSettings(asker: Asker, draft: Draft, settings: Settings): Draft {
  const { lane = draft.lane ?? settings.lane ?? DEFAULT_LANE, ...params } = draft.params;
  // A direct message is always public: its only reader is the asker.
  const visibility =
    asker.guildId === undefined ? 'public' : (params.visibility ?? settings.visibility ?? 'public');
  return { ...draft, lane, params: { ...params, visibility } };
}

const isStealth = (draft: Draft | undefined): boolean => draft?.params.visibility === 'stealth';

function jobOf(
  asker: Asker,
  draft: Draft,
  position: number,
  admitted: Admitted,
  { original, autoDm }: { original: boolean; autoDm: boolean },
): DeliverJob {
  const jobId = jobIdOf(asker, position);
  const { visibility: _, ...params } = draft.params;
  return {
    render: {
      ...draft,
      ...admitted.render,
      params,
      v: SCHEMA_VERSION,
      jobId,
      seed: draft.seed ?? seedFrom(jobId),
      user: { id: asker.user.id, name: asker.user.name.slice(0, 100) },
      createdAt: Date.now(),
    },
    deliver: {
      ...admitted.deliver,
      v: SCHEMA_VERSION,
      jobId,
      applicationId: asker.applicationId,
      channelId: asker.channelId,
      guildId: asker.guildId,
      locale: asker.locale,
      attachmentLimit: asker.attachmentLimit,
      original,
      ...(isStealth(draft) ? { stealth: true } : {}),
      ...(autoDm && asker.guildId !== undefined ? { autoDm: true } : {}),
    },
  };
}

/** The seed of a job without a typed one: always the same for the same job id. */
export const seedFrom = (jobId: string): number =>
  createHash('sha256').update(`seed ${jobId}`).digest().readUInt32BE(0);

async function takePlaces(
  app: App,
  asker: Asker,
  jobs: readonly DeliverJob[],
  admitted: Admitted,
): Promise<Place[]> {
  try {
    const places = await reserveAll(app, asker, jobs);
    await admitted.takePlaces();
    return places;
  } catch (error) {
    const undone = undo(app, asker, jobs, () => admitted.giveBack());
    // Where Redis is away, the error is told without waiting for the undo.
    if (!(error instanceof UserError && error.code === 'redis')) await undone;
    throw error;
  }
}

/** Reserves places for all jobs of a prompt or throws. */
async function reserveAll(app: App, asker: Asker, jobs: readonly DeliverJob[]): Promise<Place[]> {
  const { redis, env } = app;
  const places: Place[] = [];
  const nobody = (await onRedis(listWorkers(redis))).length === 0;
  for (const { render } of jobs) {
    const reserved = await onRedis(
      reserve(redis, {
        userId: asker.user.id,
        jobId: render.jobId,
        maxPerUser: env.MAX_OPEN_JOBS,
        maxAll: env.MAX_QUEUE,
        lane: render.lane,
        work: workOf(render),
      }),
    );
    if (!reserved.ok)
      throw new UserError(`queue-${reserved.why}`, {
        n: reserved.open,
        max: reserved.why === 'user' ? env.MAX_OPEN_JOBS : env.MAX_QUEUE,
      });
    const ahead = places.length + (await onRedis(countAhead(app, reserved.priority)));
    const waitMs = await onRedis(expectedWait(redis, render.model, ahead, render.action));
    places.push({ priority: reserved.priority, ahead, waitMs, nobody });
  }
  return places;
}

/** Counts the jobs served before one of this priority, including those being painted. */
async function countAhead({ queues, redis }: App, priority: number): Promise<number> {
  // BullMQ scores a waiting job priority * 2^32 + counter (getPriorityScore.lua).
  const [sooner, active] = await Promise.all([
    redis.zcount(queues.render.toKey('prioritized'), '-inf', `(${(priority + 1) * 2 ** 32}`),
    redis.llen(queues.render.toKey('active')),
  ]);
  return sooner + active;
}

const look = (asker: Asker, job: DeliverJob, { priority: _, ...place }: Place) =>
  presentQueued({ render: job.render, locale: asker.locale, ...place });

/** Queues the job whose message is the interaction's answer. */
async function queueOriginal(
  app: App,
  asker: Asker,
  answer: Answer,
  job: DeliverJob,
  place: Place,
): Promise<void> {
  await remember(app, asker, job);
  const payload = look(asker, job, place);
  // The worker may edit a deferred message as soon as the job is queued, so this edit comes before.
  const edited = answer.state === 'deferred' ? await sendEarly(app, answer, job, payload) : undefined;
  try {
    await enqueue(app, asker, job, place);
  } catch (error) {
    if (edited)
      await answer
        .retract()
        .catch((err: unknown) => app.log.warn({ err, jobId: job.render.jobId }, 'not taken back'));
    throw error;
  }
  try {
    const messageId = edited ?? (await answer.sendUnlessDeferred(payload));
    if (messageId) await rememberMessage(app, asker, job, messageId);
  } catch (error) {
    // The job is queued and will be painted; the worker posts its message where the acknowledgement failed.
    app.log.warn({ err: error, jobId: job.render.jobId }, 'not acknowledged');
  }
}

/** Edits "thinking…" to the place in line. A failure refuses nothing: the worker edits the message later. */
async function sendEarly(
  app: App,
  answer: Answer,
  job: DeliverJob,
  payload: object,
): Promise<string | undefined> {
  try {
    return await answer.send(payload);
  } catch (err) {
    if (err instanceof DiscordAPIError) throw err; // Discord's refusal is final
    app.log.warn({ err, jobId: job.render.jobId }, 'not shown as waiting');
    return undefined;
  }
}

/** Queues a further job (repeat, permutation) with its own message; in stealth, for the asker alone. */
async function queueFurther(
  app: App,
  asker: Asker,
  answer: Answer,
  job: DeliverJob,
  place: Place,
): Promise<void> {
  if (job.deliver.stealth) return queueWhispered(app, asker, answer, job, place);
  // The job is queued before its message is posted: a killed bot may leave a message without a job, but a job
  // without a message is posted by the worker. Both post with the job's id as nonce, so there is one message.
  await remember(app, asker, job);
  await enqueue(app, asker, job, place);
  try {
    await rememberMessage(app, asker, job, await post(app, asker, job, place));
  } catch (error) {
    if (!(error instanceof UserError)) {
      app.log.warn({ err: error, jobId: job.render.jobId }, 'not shown as waiting');
      return;
    }
    await cancelJob(app.queues, app.redis, job.render.jobId);
    throw error;
  }
}

/** Posts an ephemeral message, then queues its job: only the interaction's token can edit such a message. */
async function queueWhispered(
  app: App,
  asker: Asker,
  answer: Answer,
  job: DeliverJob,
  place: Place,
): Promise<void> {
  const messageId = await answer.whisper(look(asker, job, place));
  try {
    await remember(app, asker, job);
    await rememberMessage(app, asker, job, messageId);
    await enqueue(app, asker, job, place);
  } catch (error) {
    await app.rest.delete(Routes.webhookMessage(asker.applicationId, asker.token, messageId), {
      auth: false,
    });
    throw error;
  }
}

/** Posts a job's message; the nonce keeps a repeated request from making two. */
async function post(app: App, asker: Asker, job: DeliverJob, place: Place): Promise<string> {
  const { jobId } = job.render;
  const message = (await app.rest
    .post(Routes.channelMessages(asker.channelId), {
      body: { ...look(asker, job, place), nonce: jobId, enforce_nonce: true },
    })
    .catch((error: { code?: unknown }) => {
      if (error.code === 50001 || error.code === 50013) throw new UserError('no-posting');
      throw error;
    })) as { id: string };
  return message.id;
}

/** Keeps the message's id. A failure is only logged: for 15 minutes the token finds the message. */
async function rememberMessage(app: App, asker: Asker, job: DeliverJob, messageId: string): Promise<void> {
  const key = keys.message(job.render.jobId);
  await app.redis
    .set(key, `${asker.channelId}:${messageId}`, 'EX', RECIPE_TTL_S)
    .catch((error) => app.log.warn({ err: error, jobId: job.render.jobId }, 'message id not remembered'));
}

/** Releases places and counts of jobs. Never rejects; waits up to SETTLE_MS for a Redis that is away. */
async function undo(
  app: App,
  asker: Asker,
  jobs: readonly DeliverJob[],
  giveBack: () => Promise<void>,
): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  while (app.redis.status !== 'ready' && performance.now() < end) await pause(AGAIN_MS);
  await releaseAll(app, asker, jobs);
  await giveBack();
}

async function releaseAll(app: App, asker: Asker, jobs: readonly DeliverJob[]): Promise<void> {
  for (const job of jobs.toReversed()) {
    const { jobId } = job.render;
    await release(app.redis, asker.user.id, jobId)
      .then(() => forgetJob(app.redis, recordOf(job)))
      .catch((error) => app.log.warn({ err: error, jobId }, 'reservation kept until it is swept'));
  }
}
