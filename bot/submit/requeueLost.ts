import type { Redis } from 'ioredis';
import type { Log } from '../../shared/service/log.ts';

/**
 * Redis writes its log to the disk once a second, and later where the disk is busy (`appendfsync everysec`,
 * redis.io/docs/latest/operate/oss_and_stack/management/persistence): one that is killed comes back without what
 * it took last. So what was handed to it a moment before the connection broke is handed over once more when it is
 * back. Ids are the interaction's own: where nothing was lost, nothing changes.
 */
export interface Requeue {
  /** @param redo looks whether it is there still; may reject */
  keep(redo: () => Promise<void>): void;
}

/** More than Redis ever holds back, and a silence of the connection (10 s) before it counts as broken. */
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
