import type { Redis } from 'ioredis';
import type { Store } from '../shared/picture/store.ts';
import { keys } from '../shared/queue/redis.ts';
import type { Log } from '../shared/service/log.ts';

/**
 * Pictures would fill the disk: after `keepDays` a job's files are deleted, unless a ❤️ keeps one of its pictures.
 * The job's buttons go on working: its pictures are painted again from their recipe. Uploads of members stay,
 * because no recipe can bring them back.
 */
export interface RetentionDeps {
  redis: Redis;
  store: Store;
  log: Log;
}

const DAY_MS = 24 * 3600_000;
/** Once in about a day one of all workers sweeps. */
const EVERY_S = 20 * 3600;
const LOOK_EVERY_MS = 3600_000;

/** @param keepDays 0 = for ever @returns a function that stops the sweeping */
export function openRetention(deps: RetentionDeps, keepDays: number): () => void {
  if (keepDays === 0) return () => undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const mine = await deps.redis.set(keys.swept, '1', 'EX', EVERY_S, 'NX');
    if (mine === null) return;
    const removed = await sweep(deps, Date.now() - keepDays * DAY_MS, () => stopped);
    if (removed > 0) deps.log.info({ jobs: removed, keepDays }, 'old pictures removed');
  };
  const tryLook = () => void look().catch((err) => deps.log.warn({ err }, 'old pictures not removed'));
  tryLook();
  const timer = setInterval(tryLook, LOOK_EVERY_MS).unref();
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

/** @param before ms since 1970 @returns how many jobs lost their files */
export async function sweep(
  { redis, store }: RetentionDeps,
  before: number,
  stopped: () => boolean = () => false,
): Promise<number> {
  let removed = 0;
  for await (const { jobId, written } of store.jobs()) {
    if (stopped()) break;
    if (written >= before || (await redis.exists(keys.keepers(jobId))) === 1) continue;
    await store.remove(jobId);
    removed++;
  }
  return removed;
}
