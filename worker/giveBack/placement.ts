import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { ASK, type Queues } from '../../shared/queue/queue.ts';
import { keys, PREFIX } from '../../shared/queue/redis.ts';
import { listWorkers } from '../../shared/queue/registry.ts';
import { MODEL_NAME } from '../models/manifest.ts';

/**
 * Which worker paints which job, where workers have different models. All take from one queue, in its fair order. A
 * worker without the job's model gives the job back; one that would have to load it leaves the job for a while to a
 * worker that has it loaded. A free worker puts the jobs left to it back in line; a timer does so where the message
 * is lost.
 */
/** A picture or a question; a job that names no model is left to no other worker. */
export type PlacedJob = Job<{ model?: unknown }>;

export interface Placement {
  /** @throws DelayedError where another worker shall have this job; that counts as no start and no attempt */
  leaveToBetter(job: PlacedJob, token: string | undefined): Promise<void>;
  /** Puts back in line the first job that was left to this worker; call it whenever it is free. */
  takeUp(): Promise<void>;
}

export interface PlacementDeps {
  redis: Redis;
  queues: Queues;
  /** The id that the worker announces. */
  id: string;
  /** Bytes of the model's files; undefined where it is not installed here. */
  sizeOf(model: string): number | undefined;
  /** Names of the installed models, and of the loaded ones. */
  models(): readonly string[];
  warm(): readonly string[];
  /** Whether this worker has room for one more job. */
  free(): boolean;
  /** How long a job waits for a model that no worker has, ms; tests set less. */
  patienceMs?: number;
}

/** A worker that has the model may be starting again. */
const PATIENCE_MS = 2 * 60_000;
/** After this long a job that was left to others goes back in line by itself. */
const LOOK_MS = 5_000;
/** A worker that gave a job back takes none for this long, so that another worker takes the job. */
const STAND_BACK_MS = 100;
const REMEMBERED_S = 3600;

/**
 * A job waits for a loaded model as long as loading would take, so it costs at most twice the best choice (Karlin,
 * Manasse, Rudolph & Sleator 1988: competitive snoopy caching). Reading from a disk is about this fast.
 */
const LOAD_BYTES_PER_MS = 200_000;
const SHORTEST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
export const loadMs = (bytes: number): number =>
  Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, bytes / LOAD_BYTES_PER_MS));

export function openPlacement(deps: PlacementDeps): Placement {
  const { redis, queues, id, patienceMs = PATIENCE_MS } = deps;

  const leave = async (
    job: PlacedJob,
    token: string | undefined,
    key: string,
    lookMs: number,
  ): Promise<never> => {
    await redis.hincrby(`${PREFIX}:${job.queueName}:${job.id}`, 'ats', -1);
    await job.moveToDelayed(Date.now() + lookMs, token);
    // Listed once the job can be put back in line; in the queue's own order.
    await redis
      .multi()
      .zadd(key, job.opts.priority ?? 0, `${job.queueName}:${job.id}`)
      .expire(key, REMEMBERED_S)
      .exec();
    await redis.publish(keys.left, key);
    await sleep(STAND_BACK_MS);
    throw new DelayedError();
  };

  /** Milliseconds since the job was first given back, by Redis' clock. */
  const leftFor = async (jobId: string): Promise<number> => {
    const [seconds, micros] = await redis.time();
    const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    const first = await redis.set(keys.leftAt(jobId), now, 'EX', REMEMBERED_S, 'NX', 'GET');
    return first === null ? 0 : now - Number(first);
  };

  return {
    leaveToBetter: async (job, token) => {
      const { model } = job.data ?? {};
      const jobId = String(job.id);
      // A name that no model can have is refused by the schema at once: no worker has it.
      if (typeof model !== 'string' || !MODEL_NAME.test(model) || deps.warm().includes(model)) return;
      const others = (await listWorkers(redis)).filter((one) => one.id !== id);
      const bytes = deps.sizeOf(model);
      if (bytes === undefined) {
        const someoneHas = others.some(({ models }) => models.some(({ name }) => name === model));
        if (someoneHas || (await leftFor(jobId)) < patienceMs)
          await leave(job, token, keys.leftToOwner(model), LOOK_MS);
        return;
      }
      if (!others.some(({ warm }) => warm?.includes(model))) return;
      const left = loadMs(bytes) - (await leftFor(jobId));
      if (left > 0) await leave(job, token, keys.leftToWarm(model), Math.ceil(left));
    },

    takeUp: async () => {
      if (!deps.free()) return;
      const own = [...deps.warm().map(keys.leftToWarm), ...deps.models().map(keys.leftToOwner)];
      for (const key of own) {
        for (;;) {
          const [entry] = await redis.zpopmin(key);
          if (entry === undefined) break;
          const at = entry.indexOf(':');
          const queue = entry.slice(0, at) === ASK ? queues.ask : queues.render;
          const job = await queue.getJob(entry.slice(at + 1));
          if (!job || !(await job.isDelayed())) continue; // the job ended, or its own timer was first
          await job.promote().catch(() => undefined);
          return;
        }
      }
    },
  };
}
