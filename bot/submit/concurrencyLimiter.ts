import pLimit from 'p-limit';
import { UserError } from '../../shared/service/errors.ts';

/** Limits of costly work; work beyond them is refused rather than kept waiting. */
export interface LimiterOptions {
  /** Pieces of work that run at the same time. */
  atOnce: number;
  /** Pieces of work that wait for their turn. */
  waiting: number;
  /** Pieces of work of one member, waiting or running. */
  perUser: number;
}

/** @throws UserError image-line-user, image-line, and whatever the work throws */
export type Limiter = <T>(userId: string, work: () => Promise<T>) => Promise<T>;

/** A limiter that runs work in the order it came. */
export function openLimiter({ atOnce, waiting, perUser }: LimiterOptions): Limiter {
  const limit = pLimit(atOnce);
  const of = new Map<string, number>();
  let open = 0;
  return async (userId, work) => {
    const mine = of.get(userId) ?? 0;
    if (mine >= perUser) throw new UserError('image-line-user', { n: mine });
    // Open work is counted here: the library starts it a moment later.
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
