import type { Clock } from '../../playground/index.ts';

const began = Date.now();

/** Ten times slower than real time: a busy machine does not make Discord's 3 s pass. */
export const slowClock: Clock = {
  now: () => began + Math.round((Date.now() - began) / 10),
  setTimeout: (run, ms) => setTimeout(run, ms * 10).unref(),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout | undefined),
};
