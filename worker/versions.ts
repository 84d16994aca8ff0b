import { DelayedError, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { SCHEMA_VERSION } from '../shared/job.ts';
import { PREFIX } from '../shared/redis.ts';

/** Between two looks at a job that waits for a worker of its own version. */
const LOOK_MS = 2_000;
/** From when it was queued. After that nobody of its version is expected any more, and the schema refuses it. */
const PATIENCE_MS = 15 * 60_000;

/**
 * During an upgrade two versions work on one queue. A job of the other one goes back, for a worker that reads it;
 * that is no start of the job and no attempt.
 * @throws DelayedError which tells the queue that it was sent back
 */
export async function leaveToOthers(redis: Redis, job: Job, token: string | undefined): Promise<void> {
  const version = versionOf(job.data);
  if (version === undefined || version === SCHEMA_VERSION || Date.now() - job.timestamp > PATIENCE_MS) return;
  await redis.hincrby(`${PREFIX}:${job.queueName}:${job.id}`, 'ats', -1);
  await job.moveToDelayed(Date.now() + LOOK_MS, token);
  throw new DelayedError();
}

/** undefined for what no version of ours would write. */
function versionOf(data: { v?: unknown; render?: { v?: unknown } } | null | undefined): number | undefined {
  const version = data?.render?.v ?? data?.v;
  return Number.isInteger(version) && (version as number) >= 1 && (version as number) < 1_000
    ? (version as number)
    : undefined;
}
