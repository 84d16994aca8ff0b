import { setTimeout as sleep } from 'node:timers/promises';
import { type Store, StoreAwayError } from './store.ts';

export interface Patience {
  /** Ends a wait at once; the call then throws StoreAwayError. */
  signal?: AbortSignal | undefined;
  /** How long one call may go on, ms. */
  forMs: number;
  /** First wait, ms; 500 by default, doubling up to 5 s. Tests set less. */
  soonestMs?: number;
  latestMs?: number;
  /** Called once for each call that has to wait. */
  onWait?: (error: StoreAwayError) => void;
}

/**
 * The same store, whose calls wait while the store is away: for callers that hold something costlier than
 * waiting, such as a painted picture.
 */
export function waitingFor(store: Store, patience: Patience): Store {
  const { signal, forMs, soonestMs = 500, latestMs = 5_000, onWait } = patience;
  const patiently = async <T>(work: () => Promise<T>): Promise<T> => {
    const until = performance.now() + forMs;
    for (let wait = soonestMs; ; wait = Math.min(latestMs, wait * 2)) {
      try {
        return await work();
      } catch (error) {
        const over = performance.now() + wait > until || signal?.aborted;
        if (!(error instanceof StoreAwayError) || over) throw error;
        if (wait === soonestMs) onWait?.(error);
        await sleep(wait, undefined, signal ? { signal } : {}).catch(() => {
          throw error;
        });
      }
    }
  };
  return {
    put: (key, bytes) => patiently(() => store.put(key, bytes)),
    get: (key) => patiently(() => store.get(key)),
    has: (key) => patiently(() => store.has(key)),
    remove: (key) => patiently(() => store.remove(key)),
    list: (below) => store.list(below),
    jobs: () => store.jobs(),
    check: () => store.check(),
  };
}
