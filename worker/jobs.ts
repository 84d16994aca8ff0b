import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import { StoreAwayError } from '../shared/picture/store.ts';
import { started } from '../shared/queue/fairness.ts';
import {
  type DeliverJob,
  deliverId,
  parseDeliver,
  type RenderRequest,
  type RenderResult,
} from '../shared/queue/job.ts';
import type { DeliverHandler, Queues, RenderHandler } from '../shared/queue/queue.ts';
import { keys } from '../shared/queue/redis.ts';
import { PermanentError } from '../shared/service/errors.ts';
import type { Log } from '../shared/service/log.ts';
import { type DeliverDeps, deliver } from './deliver/deliver.ts';
import { type Discord, DiscordError } from './deliver/discord.ts';
import { lookAgain } from './deliver/latePreview.ts';
import { openProgress, type Progress } from './deliver/progress.ts';
import type { Placement } from './giveBack/placement.ts';
import { leaveToOthers } from './giveBack/schemaVersion.ts';
import { holdBack, wakeNext } from './giveBack/userLimit.ts';
import type { Metrics } from './metrics.ts';
import { type RenderDeps, render } from './paint/render.ts';
import { openGate } from './process/modelGate.ts';
import type { LoadedInfo } from './process/protocol.ts';

/** The two queues' handlers, and the ways to stop the jobs that run: cancelled, or given back at shutdown. */
export interface JobsDeps extends RenderDeps, Omit<DeliverDeps, 'redis' | 'store' | 'posted'> {
  queues: Queues;
  discord: Discord;
  metrics: Metrics;
  log: Log;
  /** Jobs of one user that may run at the same time, over all workers. */
  maxRunning: number;
  /** Which worker paints which job, where workers have different models. */
  placement?: Placement;
  /** Models that can be loaded at the same time; 1 where left out. */
  maxLoaded?: number;
}

export interface Jobs {
  onRender: RenderHandler;
  onDeliver: DeliverHandler;
  /** Stops the job if this worker runs it. */
  cancel(jobId: string): void;
  /** Puts the running jobs back to the front of the queue; another worker paints them. */
  giveBack(): void;
  /** Asks Redis whether a running job was cancelled; pub/sub loses what is said while it reconnects. */
  lookForCancel(): Promise<void>;
  /** Ids of the jobs that this worker runs. */
  running(): string[];
}

interface Running {
  jobId: string;
  abort: AbortController;
  why: 'cancelled' | 'shutdown' | undefined;
}

export function openJobs(deps: JobsDeps): Jobs {
  const { redis, log, metrics } = deps;
  const running = new Set<Running>();
  // A job may ask the engine several times; another job's model in between would have this job's model loaded twice.
  const gate = openGate(deps.maxLoaded ?? 1);
  const pace = openPace();
  const posted = new Set<string>();

  const stop = (one: Running, why: 'cancelled' | 'shutdown'): void => {
    if (one.why) return;
    one.why = why;
    one.abort.abort();
  };

  const paint = async (job: Job<RenderRequest, RenderResult>, mine: Running): Promise<RenderResult> => {
    const { jobId } = mine;
    if (job.attemptsMade === 0) metrics.waited(Date.now() - job.timestamp);
    await started(redis, jobId);
    const parent = await readParent(deps.queues, jobId);
    let progress: Progress | undefined;
    let step: ((step: number) => void) | undefined;
    const share = pace.begin();
    try {
      return await render(deps, job.data, {
        signal: mine.abort.signal,
        ownMs: (ms) => ms * share.mean(),
        onStoreAway: (error) => log.warn({ err: error, jobId }, 'the picture waits for the store'),
        onRecipe: ({ width, height, count, model }) => {
          step = openStepClock((ms) => metrics.stepped(model, ms));
          const size = { width: width * (count > 1 ? 2 : 1), height: height * (count > 2 ? 2 : 1) };
          if (parent) progress = openProgress(parent, size, deps);
        },
        onStep: (news) => {
          step?.(news.step);
          progress?.show(news);
        },
      });
    } finally {
      share.end();
      await progress?.stop();
    }
  };

  const onRender: RenderHandler = async (job, token, _signal) => {
    const jobId = String(job.data?.jobId ?? job.id).slice(0, 40);
    const userId = String(job.data?.user?.id ?? '0').slice(0, 40);
    await leaveToOthers(redis, job, token);
    await deps.placement?.leaveToBetter(job, token);
    await holdBack(redis, job, token, { userId, jobId, maxRunning: deps.maxRunning });
    const mine: Running = { jobId, abort: new AbortController(), why: undefined };
    running.add(mine);
    let leave = (): void => undefined;
    const jobLog = log.child({ jobId });
    const began = performance.now();
    jobLog.info({ action: job.data?.action, start: job.attemptsStarted }, 'painting');
    try {
      leave = await gate.enter(String(job.data?.model), { signal: mine.abort.signal });
      const result = await paint(job, mine);
      const ms = Math.round(performance.now() - began);
      const { flagged, safety } = result;
      jobLog.info(
        { ms, engineMs: result.paintMs, model: result.recipe.model, ...(flagged ? { flagged, safety } : {}) },
        'painted',
      );
      metrics.painted(result.recipe.model, ms);
      return result;
    } catch (error) {
      if (mine.why === 'shutdown') {
        await job.moveToWait(token);
        jobLog.info('given back to the queue');
        throw new WaitingError();
      }
      if (mine.why === 'cancelled' || (error instanceof PermanentError && error.code === 'cancelled')) {
        metrics.ended('cancelled');
        jobLog.info('cancelled');
        throw new UnrecoverableError('cancelled {}');
      }
      if (error instanceof PermanentError) {
        metrics.ended('failed');
        metrics.failed(error.code);
        jobLog.error({ err: error }, 'cannot be painted');
        throw new UnrecoverableError(error.message);
      }
      metrics.ended('retried');
      metrics.failed('transient');
      jobLog.error({ err: error }, 'painting failed; it is tried again');
      throw error;
    } finally {
      leave();
      running.delete(mine);
      await wakeNext(deps.queues, redis, userId, jobId).catch((error) =>
        jobLog.debug({ err: error }, 'nobody woken'),
      );
      await deps.placement?.takeUp().catch((error) => jobLog.debug({ err: error }, 'nothing taken up'));
    }
  };

  return {
    onRender,
    onDeliver: async (job) => {
      await leaveToOthers(redis, job, job.token);
      const began = performance.now();
      try {
        if (await deliver({ ...deps, posted }, job)) {
          metrics.ended('delivered');
          metrics.posted(performance.now() - began);
        }
        await lookAgain({ ...deps, posted }, job);
      } catch (error) {
        if (error instanceof DelayedError) throw error;
        if (error instanceof DiscordError) metrics.failed(`discord-${error.trouble}`);
        if (error instanceof StoreAwayError) metrics.failed('store');
        const known = [DiscordError, UnrecoverableError, StoreAwayError].some(
          (kind) => error instanceof kind,
        );
        log[known ? 'warn' : 'error'](
          { err: error, jobId: job.id?.replace(/^d-/, ''), attempt: job.attemptsMade + 1 },
          'not delivered',
        );
        throw error;
      }
    },
    cancel: (jobId) => {
      for (const one of running) if (one.jobId === jobId) stop(one, 'cancelled');
    },
    giveBack: () => {
      for (const one of running) stop(one, 'shutdown');
    },
    lookForCancel: async () => {
      for (const one of [...running])
        if ((await redis.exists(keys.cancelled(one.jobId))) === 1) stop(one, 'cancelled');
    },
    running: () => [...running].map(({ jobId }) => jobId),
  };
}

/** Rows of a job of four pictures, each guided: a conditional and an unconditional row. */
const ROWS_OF_A_JOB = 8;
/** Jobs at the same time on a GPU whose memory cannot be measured. */
const UNMEASURED_JOBS = 2;

/**
 * Jobs at the same time: as many as fill a call of the network, and one more, so that a short job need not wait for
 * the end of a long one.
 * @param mostRows rows of native size in one call of the network
 */
export const jobsOf = (mostRows: number): number => 1 + Math.max(1, Math.floor(mostRows / ROWS_OF_A_JOB));

/** @param asked MAX_BATCH; 0 = by the device. On the processor a second job only slows the first, so one runs. */
export function jobsAtOnce(asked: number, { provider, mostRows }: LoadedInfo): number {
  if (asked > 0) return asked;
  if (provider === 'cpu') return 1;
  return mostRows === undefined ? UNMEASURED_JOBS : jobsOf(mostRows);
}

/**
 * Estimates the time that a job's painting would have taken alone while others paint beside it: time is shared
 * evenly by all running jobs, so the times of all jobs sum up to the worker's own.
 */
function openPace(): { begin(): { mean(): number; end(): void } } {
  let count = 0;
  let at = performance.now();
  let shared = 0;
  const advance = (): void => {
    const now = performance.now();
    shared += (now - at) / Math.max(1, count);
    at = now;
  };
  return {
    begin: () => {
      advance();
      count++;
      const began = { at, shared };
      return {
        mean: () => {
          advance();
          return at > began.at ? (shared - began.shared) / (at - began.at) : 1;
        },
        end: () => {
          advance();
          count--;
        },
      };
    },
  };
}

/** Measures from the end of one step to the end of the next; the first step's start is not seen. */
function openStepClock(tell: (ms: number) => void): (step: number) => void {
  let last: { step: number; at: number } | undefined;
  return (step) => {
    const at = performance.now();
    if (last && step === last.step + 1) tell(at - last.at);
    last = { step, at };
  };
}

/** The deliver job that says where progress is shown; a render job without one is painted all the same. */
async function readParent(queues: Queues, jobId: string): Promise<DeliverJob | undefined> {
  const job = await queues.deliver.getJob(deliverId(jobId));
  return parseDeliver(job?.data);
}
