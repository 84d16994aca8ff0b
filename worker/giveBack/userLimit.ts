import { DelayedError, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { endTurn, takeTurn } from '../../shared/queue/fairness.ts';
import { type RenderRequest, type RenderResult, renderId } from '../../shared/queue/job.ts';
import type { Queues } from '../../shared/queue/queue.ts';

/** A job that is held back goes back in line by itself after this long, should no other job's end wake it. */
const HOLD_MS = 5_000;

/**
 * Lets a job start, or sends it back to wait while enough jobs of its owner run; it keeps its place in line.
 * @throws DelayedError which tells the queue that it was sent back
 */
export async function holdBack(
  redis: Redis,
  job: Job<RenderRequest, RenderResult>,
  token: string | undefined,
  { userId, jobId, maxRunning }: { userId: string; jobId: string; maxRunning: number },
): Promise<void> {
  if (await takeTurn(redis, userId, jobId, maxRunning)) return;
  await job.moveToDelayed(Date.now() + HOLD_MS, token);
  throw new DelayedError();
}

/** When a job is over, puts the next held-back job of its owner back in line. */
export async function wakeNext(queues: Queues, redis: Redis, userId: string, jobId: string): Promise<void> {
  const next = await endTurn(redis, userId, jobId);
  const job = next === undefined ? undefined : await queues.render.getJob(renderId(next));
  await job?.promote();
}
