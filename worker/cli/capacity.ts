/**
 * Computes the machines that so many people need. Pure; the assumptions are in `ASSUMED`, in words and numbers, and are
 * printed with every plan.
 */
export interface Demand {
  /** People who ask for pictures on a day. */
  users: number;
  /** Grids of one person on a day: /imagine, variations, edits, repeats. */
  perDay: number;
  /** Part of a day's jobs that falls into its busiest hour. */
  peakShare: number;
}

export interface ModelCost {
  /** Seconds of one worker for a grid, from taking the job to its stored result. */
  gridS: number;
  /** Seconds for a picture out of a grid. */
  pictureS: number;
  /** Pixels of one picture. */
  width: number;
  height: number;
}

export interface Wait {
  workers: number;
  /** Share of the workers' time spent painting, at peak. */
  busy: number;
  /** Seconds in line: the mean, and what 95 % stay below. */
  meanS: number;
  p95S: number;
}

export interface Plan {
  jobsADay: number;
  /** Jobs a second at peak. */
  jobsASecond: number;
  serviceS: number;
  /** Waits with the fewest workers that keep up, and with some more. */
  waits: Wait[];
  /** The fewest workers with which the wait is below the target. */
  workers: number;
  redisBytes: number;
  /** Share of one Redis' thread, at peak. */
  redisLoad: number;
  bucketBytesADay: number;
  bucketBytesKept: number;
  /** Requests a second to Discord, at peak. */
  discordASecond: number;
}

export const ASSUMED = {
  /** Clicks on U for each grid; each click is a job. */
  picturesPerGrid: 0.5,
  /** Squared coefficients of variation: people come in bursts, pictures differ in size and kind. */
  arrivals: 2,
  services: 0.5,
  /** Bytes of Redis: for a job that waits or ended within the hour, and for one remembered for 90 days. */
  openBytes: 9_000,
  rememberedBytes: 2_900,
  rememberedDays: 90,
  redisBaseBytes: 20e6,
  /** Seconds of Redis' one thread for a job, as `npm run bench -- cluster` measures. */
  redisS: 0.0012,
  /** Bytes of a PNG for each pixel of a painted picture. */
  bytesPerPixel: 1.7,
  /** Kept beside each picture: 4 channels of an eighth of its size, 32 bits each. */
  latentBytesPerPixel: (4 * 4) / 64,
  /** Requests of one job: the acknowledgement, the result, and previews in between, one in 2.5 s. */
  requests: 2,
  previewEveryS: 2.5,
  /** discord.com/developers/docs/topics/rate-limits: global, for one bot. */
  discordLimit: 50,
} as const;

/** Erlang's C formula: the probability that all of `workers` are busy, for `load` (in erlangs) below `workers`. */
export function erlangC(workers: number, load: number): number {
  let blocked = 1; // Erlang's B by its recursion, which never overflows
  for (let n = 1; n <= workers; n++) blocked = (load * blocked) / (n + load * blocked);
  return blocked / (1 - (load / workers) * (1 - blocked));
}

/**
 * The wait in line of G/G/c, by Allen and Cunneen's correction of M/M/c (Allen 1990, "Probability, Statistics and
 * Queueing Theory", 5.7), its tail taken for exponential.
 */
export function waitOf(workers: number, jobsASecond: number, serviceS: number): Wait {
  const load = jobsASecond * serviceS;
  const busy = load / workers;
  if (busy >= 1) return { workers, busy, meanS: Number.POSITIVE_INFINITY, p95S: Number.POSITIVE_INFINITY };
  const variation = (ASSUMED.arrivals + ASSUMED.services) / 2;
  const all = erlangC(workers, load);
  const pace = (workers - load) / serviceS / variation; // jobs a second by which the line shrinks
  return {
    workers,
    busy,
    meanS: all / pace,
    p95S: Math.max(0, Math.log(all / 0.05) / pace),
  };
}

const SHOWN = 4;
/** More workers than one queue would ever have; a demand beyond it is a wrong figure. */
const MOST_WORKERS = 100_000;

/** @param targetS seconds in line that 95 % shall stay below, at peak @param keepDays as KEEP_DAYS, 0 = for ever */
export function planCapacity(demand: Demand, cost: ModelCost, targetS: number, keepDays: number): Plan {
  const grids = demand.users * demand.perDay;
  const pictures = grids * ASSUMED.picturesPerGrid;
  const jobsADay = grids + pictures;
  const jobsASecond = (jobsADay * demand.peakShare) / 3600;
  const serviceS = (grids * cost.gridS + pictures * cost.pictureS) / jobsADay;
  const least = Math.floor(jobsASecond * serviceS) + 1;
  let workers = least;
  while (waitOf(workers, jobsASecond, serviceS).p95S > targetS && workers < MOST_WORKERS) workers++;
  const from = Math.max(1, Math.min(least, workers));
  const last = Math.max(from + SHOWN - 1, workers);
  const waits = [...new Set([from, from + 1, from + 2, from + 3, workers])]
    .filter((n) => n <= last)
    .sort((a, b) => a - b)
    .map((n) => waitOf(n, jobsASecond, serviceS));

  const pixels = cost.width * cost.height;
  // A grid is kept as four pictures, their latents, and the sheet of all four; a picture out of it is twice as wide.
  const gridBytes = pixels * (8 * ASSUMED.bytesPerPixel + 4 * ASSUMED.latentBytesPerPixel);
  const pictureBytes = 4 * pixels * ASSUMED.bytesPerPixel;
  const bucketBytesADay = grids * gridBytes + pictures * pictureBytes;
  const previews = (s: number): number => Math.floor(s / ASSUMED.previewEveryS);
  const open = jobsASecond * 3600;
  return {
    jobsADay,
    jobsASecond,
    serviceS,
    waits,
    workers,
    redisBytes:
      ASSUMED.redisBaseBytes +
      open * ASSUMED.openBytes +
      jobsADay * ASSUMED.rememberedDays * ASSUMED.rememberedBytes,
    redisLoad: jobsASecond * ASSUMED.redisS,
    bucketBytesADay,
    bucketBytesKept: bucketBytesADay * (keepDays === 0 ? 365 : keepDays),
    discordASecond:
      ((grids * (ASSUMED.requests + previews(cost.gridS)) +
        pictures * (ASSUMED.requests + previews(cost.pictureS))) *
        demand.peakShare) /
      3600,
  };
}
