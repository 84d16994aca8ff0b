import pLimit from 'p-limit';
import { UserError } from '../../shared/service/errors.ts';

/** How much there may be of something that is costly; what is beyond is refused rather than kept waiting. */
export interface LimiterOptions {
  /** Done at the same time. */
  atOnce: number;
  /** Waiting for their turn. */
  waiting: number;
  /** Of one member, waiting or being done. */
  perUser: number;
}

/** @throws UserError image-line-user, image-line, and whatever the work throws */
export type Limiter = <T>(userId: string, work: () => Promise<T>) => Promise<T>;

/** Work in the order it came. */
export function openLimiter({ atOnce, waiting, perUser }: LimiterOptions): Limiter {
  const limit = pLimit(atOnce);
  const of = new Map<string, number>();
  let open = 0;
  return async (userId, work) => {
    const mine = of.get(userId) ?? 0;
    if (mine >= perUser) throw new UserError('image-line-user', { n: mine });
    // Counted here: the library begins its work a moment after it was asked.
    if (open >= atOnce + waiting) throw new UserError('image-line', { n: open - atOnce });
    of.set(userId, mine + 1);
    open++;
    try {
      return await limit(work);
    } finally {
      open--;
      const left = (of.get(userId) ?? 1) - 1;
      if (left > 0) of.set(userId, left);
      else of.delete(userId);
    }
  };
}
