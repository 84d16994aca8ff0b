import type { Redis } from 'ioredis';
import type { Log } from '../../shared/service/log.ts';

/**
 * Redis writes its log to the disk once a second, and later where the disk is busy (`appendfsync everysec`,
 * redis.io/docs/latest/operate/oss_and_stack/management/persistence): a killed Redis comes back without its
 * last writes. So jobs added a moment before the connection broke are added once more when Redis is
 * back. Job ids derive from the interaction's id: where nothing was lost, nothing changes.
 */
export interface Requeue {
  /** @param redo adds the job again where Redis lacks it; may reject */
  keep(redo: () => Promise<void>): void;
}

/** Covers Redis' longest delay of a write to disk plus 10 s until a silent connection counts as broken. */
const KEPT_MS = 30_000;

export function openRequeue(redis: Redis, log: Log): Requeue {
  let kept: { at: number; redo: () => Promise<void> }[] = [];
  let brokenAt: number | undefined;
  const dropOld = (): void => {
    const since = (brokenAt ?? performance.now()) - KEPT_MS;
    kept = kept.filter(({ at }) => at > since);
  };
  redis.on('close', () => {
    brokenAt ??= performance.now();
  });
  redis.on('ready', async () => {
    dropOld();
    brokenAt = undefined;
    for (const { redo } of [...kept])
      await redo().catch((err: unknown) => log.warn({ err }, 'perhaps lost by Redis'));
  });
  return {
    keep: (redo) => {
      dropOld();
      kept.push({ at: performance.now(), redo });
    },
  };
}
