import { DelayedError, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { SCHEMA_VERSION } from '../../shared/queue/job.ts';
import { keys, PREFIX } from '../../shared/queue/redis.ts';
import { isRead } from '../../shared/queue/registry.ts';

/** Time between two attempts to hand a job to a worker of its own version. */
const LOOK_MS = 2_000;
/** Counted from the first refusal while no such worker is there; after that the schema refuses the job. */
const PATIENCE_MS = 15 * 60_000;
/** The time of a first refusal is forgotten after this. */
const REFUSED_TTL_S = 3600;

/**
 * During an upgrade workers of two versions share one queue. A job of the other version goes back for a worker that
 * reads it: for as long as there is such a worker, and for `patienceMs` where there is none. That counts as no start
 * and no attempt.
 * @throws DelayedError which tells the queue that the job was sent back
 */
export async function leaveToOthers(
  redis: Redis,
  job: Job,
  token: string | undefined,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const version = versionOf(job.data);
  if (version === undefined || version === SCHEMA_VERSION) return;
  const key = keys.refused(String(job.id).slice(2));
  if (await isRead(redis, version)) await redis.del(key);
  else if ((await refusedFor(redis, key)) > patienceMs) return;
  await redis.hincrby(`${PREFIX}:${job.queueName}:${job.id}`, 'ats', -1);
  await job.moveToDelayed(Date.now() + LOOK_MS, token);
  throw new DelayedError();
}

/** Milliseconds since the first refusal of a job or of its other half, by Redis' clock: workers' may disagree. */
async function refusedFor(redis: Redis, key: string): Promise<number> {
  const [seconds] = await redis.time();
  const now = Number(seconds) * 1000;
  const first = await redis.set(key, now, 'EX', REFUSED_TTL_S, 'NX', 'GET');
  return first === null ? 0 : now - Number(first);
}

/** undefined for data that no version of ours writes. */
function versionOf(data: { v?: unknown; render?: { v?: unknown } } | null | undefined): number | undefined {
  const version = data?.render?.v ?? data?.v;
  return Number.isInteger(version) && (version as number) >= 1 && (version as number) < 1_000
    ? (version as number)
    : undefined;
}
