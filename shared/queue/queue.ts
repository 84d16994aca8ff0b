import { type BackoffStrategy, FlowProducer, Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { leaveWrongServer } from './failover.ts';
import {
  type AskRequest,
  askId,
  type DeliverJob,
  deliverId,
  type RenderRequest,
  type RenderResult,
  renderId,
} from './job.ts';
import { type Connection, keys, PREFIX, TOKEN_TTL_S } from './redis.ts';

/**
 * All BullMQ options. Jobs run at least once; a member sees exactly one grid because of
 * job ids (the interaction's snowflake), storing before acknowledging, and idempotent edits.
 */
export const RENDER = 'render';
export const DELIVER = 'deliver';
export const ASK = 'ask';

/** De-duplication by id lasts as long as the finished job is kept. */
const KEEP = { age: 3600, count: 5000 };

/**
 * A worker killed mid-job is replaced within lockDuration + stalledInterval; 20 s is the goal, painting included
 * (measured on a loaded machine: 20.4 s with a lock of 15 s, 19.9 s with 12 s). All workers must share one
 * stalledInterval.
 */
const WORKER = {
  prefix: PREFIX,
  lockDuration: 10_000,
  stalledInterval: 5_000,
  maxStalledCount: 2,
  maxStartedAttempts: 4,
  removeOnComplete: KEEP,
  removeOnFail: { age: 24 * 3600, count: 5000 },
} as const;

/** Wait between two attempts at Discord: 0.5 s, doubling up to 2 min. */
const SOONEST_MS = 500;
const LATEST_MS = 120_000;
/** Keeps one stack; by default a job keeps those of all its attempts. */
const CAPPED = { backoff: { type: 'capped' }, stackTraceLimit: 1 } as const;

/** Wait before the next attempt. @param attempts failed so far, from 1. @returns ms */
export const waitAfter = (attempts: number): number => Math.min(LATEST_MS, SOONEST_MS * 2 ** (attempts - 1));

/** How many attempts go on for at least `seconds`. */
export function attemptsWithin(seconds: number): number {
  let attempts = 1;
  for (let ms = 0; ms < seconds * 1000; attempts++) ms += waitAfter(attempts);
  return attempts;
}

/** `waitAfter`, or Discord's longer `DiscordError.retryAfterMs`, at most an hour. */
const backoffStrategy: BackoffStrategy = (attempts, _type, error) => {
  const told = Number((error as { retryAfterMs?: unknown } | undefined)?.retryAfterMs) || 0;
  return Math.max(waitAfter(attempts), Math.min(told, 3600_000));
};

/**
 * For jobs whose handler tells the member of a failure: BullMQ must not give up on them, as it would without
 * a message. Their handlers check `hasKilled`.
 */
const TELLING = { ...WORKER, maxStalledCount: 50, maxStartedAttempts: 5_000, settings: { backoffStrategy } };

/** Whether so many workers died with this job that it is not to be started again. */
export const hasKilled = (job: Job): boolean => job.stalledCounter > WORKER.maxStalledCount;

export interface Queues {
  flow: FlowProducer;
  render: Queue<RenderRequest, RenderResult>;
  deliver: Queue<DeliverJob>;
  ask: Queue<AskRequest>;
  /** The Redis client that all queues share; absent where each has its own. */
  shared?: Redis;
  close(): Promise<void>;
}

/** @param connection a connected client to share (the bot's, which fails fast), or how to open one. */
export function openQueues(connection: Connection | Redis): Queues {
  // Event streams are not read, and an event holds its job's whole result: so few are kept.
  const streams = { events: { maxLen: 100 } };
  const options = { connection, prefix: PREFIX, skipWaitingForReady: true, streams };
  const flow = new FlowProducer({ connection, prefix: PREFIX });
  const render = new Queue<RenderRequest, RenderResult>(RENDER, options);
  const deliver = new Queue<DeliverJob>(DELIVER, options);
  const ask = new Queue<AskRequest>(ASK, options);
  const quiet = () => undefined; // connection errors are shown by readiness
  flow.on('error', quiet);
  render.on('error', quiet);
  deliver.on('error', quiet);
  ask.on('error', quiet);
  return {
    flow,
    render,
    deliver,
    ask,
    ...('status' in connection ? { shared: connection } : {}),
    close: () =>
      withDeadline(Promise.allSettled([flow, render, deliver, ask].map((queue) => queue.close())), 3000),
  };
}

/**
 * Adds both jobs in one transaction; adding the same interaction again changes nothing.
 * @param priority from `fairness.reserve`: smaller is sooner, 1..2097152
 */
export async function addJob(queues: Queues, job: DeliverJob, priority: number): Promise<void> {
  const { jobId } = job.render;
  const added = queues.flow.add({
    name: 'deliver',
    queueName: DELIVER,
    data: job,
    opts: {
      jobId: deliverId(jobId),
      // Attempts go on through a day's outage of Discord.
      attempts: attemptsWithin(24 * 3600),
      ...CAPPED,
      removeOnComplete: KEEP,
      removeOnFail: { age: 24 * 3600 },
    },
    children: [
      {
        name: 'render',
        queueName: RENDER,
        data: job.render,
        opts: {
          jobId: renderId(jobId),
          priority: Math.max(1, Math.min(2_097_151, Math.round(priority))),
          // Attempts outlast a disk or a Redis that is full for 15 s.
          attempts: 4,
          backoff: { type: 'exponential', delay: 2_000 },
          // The parent also runs when painting failed, to tell the member.
          ignoreDependencyOnFailure: true,
          removeOnComplete: KEEP,
          removeOnFail: { age: 24 * 3600 },
        },
      },
    ],
  });
  try {
    await added;
  } catch (error) {
    // The refusal is inside a transaction, where ioredis does not check it.
    if (queues.shared) leaveWrongServer(queues.shared, error);
    throw error;
  }
}

/** Adds a question; adding it again changes nothing. Attempts last as long as the interaction's token. */
export async function addAsk(queues: Queues, ask: AskRequest): Promise<void> {
  await queues.ask.add('ask', ask, {
    jobId: askId(ask.id),
    attempts: attemptsWithin(TOKEN_TTL_S),
    ...CAPPED,
    removeOnComplete: KEEP,
    removeOnFail: { age: 24 * 3600 },
  });
}

export type AskHandler = (job: Job<AskRequest>) => Promise<void>;

/** Questions go to the engine between two paintings, so they have a worker of their own. */
export const openAskWorker = (connection: Connection, handler: AskHandler): Worker<AskRequest> =>
  new Worker<AskRequest>(ASK, handler, { ...TELLING, connection, concurrency: 1, autorun: false });

export type RenderHandler = (
  job: Job<RenderRequest, RenderResult>,
  token: string | undefined,
  signal: AbortSignal | undefined,
) => Promise<RenderResult>;

/** @param jobs painted at the same time */
export function openRenderWorker(
  connection: Connection,
  handler: RenderHandler,
  jobs = 1,
): Worker<RenderRequest, RenderResult> {
  return new Worker<RenderRequest, RenderResult>(RENDER, handler, {
    ...WORKER,
    connection,
    concurrency: jobs,
    autorun: false,
  });
}

export type DeliverHandler = (job: Job<DeliverJob>) => Promise<void>;

/** A worker of deliver jobs, 8 at a time; the caller runs it. */
export function openDeliverWorker(connection: Connection, handler: DeliverHandler): Worker<DeliverJob> {
  return new Worker<DeliverJob>(DELIVER, handler, {
    ...TELLING,
    connection,
    concurrency: 8,
    autorun: false,
  });
}

/** How a render child ended, seen from its parent: a value, a failure, or removed while it waited (cancelled). */
export type Outcome =
  | { kind: 'done'; result: unknown }
  | { kind: 'failed'; reason: string }
  | { kind: 'cancelled' };

/** How the render child of a deliver job ended. */
export async function outcomeOf(job: Job<DeliverJob>): Promise<Outcome> {
  const done = Object.values(await job.getChildrenValues());
  if (done.length > 0) return { kind: 'done', result: done[0] };
  const failed = Object.values(await job.getIgnoredChildrenFailures());
  return failed.length > 0 ? { kind: 'failed', reason: String(failed[0]) } : { kind: 'cancelled' };
}

/**
 * A waiting job is removed (its parent then tells the user), a running one is stopped by a message to the
 * worker that has it, and the mark stops one that is between the two.
 * @returns false when there is nothing left to cancel.
 */
export async function cancelJob(queues: Queues, redis: Redis, jobId: string): Promise<boolean> {
  const job = await Job.fromId<RenderRequest, RenderResult>(queues.render, renderId(jobId));
  if (!job) return false;
  const state = await job.getState();
  if (state === 'completed' || state === 'failed') return false;
  await redis.set(keys.cancelled(jobId), '1', 'EX', 3600);
  await job.remove().catch(() => undefined); // fails while a worker holds the lock; that worker gets the message
  await redis.publish(keys.cancel, jobId);
  return true;
}

/** A job's place in line: 0 = next or running; undefined = not waiting. */
export async function placeInLine(queues: Queues, redis: Redis, jobId: string): Promise<number | undefined> {
  const rank = await redis.zrank(queues.render.toKey('prioritized'), renderId(jobId));
  if (rank === null) return undefined;
  return rank + (await queues.render.getActiveCount());
}

/** `client.destroy()`, `worker.close()` and the like can hang; waits for `work` at most `ms`. */
export async function withDeadline(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
