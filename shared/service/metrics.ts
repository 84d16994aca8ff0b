import type { JobType } from 'bullmq';
import type { Redis } from 'ioredis';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { LANES } from '../memory/settings.ts';
import type { Queues } from '../queue/queue.ts';
import { keys } from '../queue/redis.ts';
import { listWorkers } from '../queue/registry.ts';

/**
 * Metrics that bot and worker share, besides Node's own figures (memory, event loop). Every name is in
 * docs/operations.md; a test holds the dashboard and the alerts against the real `/metrics`.
 */
export const openRegistry = (): Registry => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
};

/** A scrape waits no longer than this for Redis; values unknown by then are left out. */
const ASK_MS = 2_000;

function within<T>(work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ASK_MS, undefined);
  });
  return Promise.race([work.catch(() => undefined), late]).finally(() => clearTimeout(timer));
}

/** `dreamgrid_ready`: 1 where /readyz answers 200, else 0. */
export function watchReady(registry: Registry, ready: () => Promise<string[]>): void {
  new Gauge({
    name: 'dreamgrid_ready',
    help: '1 when this process can do its work now, as /readyz',
    registers: [registry],
    async collect() {
      const problems = await within(ready());
      this.set(problems?.length === 0 ? 1 : 0);
    },
  });
}

/** Gauges from Redis' INFO; NaN where Redis does not answer. */
export function watchRedis(registry: Registry, redis: Redis): void {
  let asked: Promise<string | undefined> | undefined;
  /** All gauges of a scrape collect at once and share one INFO. */
  const info = (): Promise<string | undefined> => {
    asked ??= within(redis.info()).finally(() => {
      asked = undefined;
    });
    return asked;
  };
  const gauge = (name: string, help: string, read: (field: (name: string) => string) => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const text = await info();
        const field = (key: string): string => new RegExp(`^${key}:(\\S+)`, 'm').exec(text ?? '')?.[1] ?? '';
        this.set(text === undefined ? Number.NaN : read(field));
      },
    });
  };
  new Gauge({
    name: 'dreamgrid_redis_up',
    help: '1 when Redis answered this scrape',
    registers: [registry],
    async collect() {
      this.set((await info()) === undefined ? 0 : 1);
    },
  });
  gauge('dreamgrid_redis_memory_bytes', 'Memory that Redis uses', (field) => Number(field('used_memory')));
  gauge('dreamgrid_redis_memory_limit_bytes', 'Its maxmemory; 0 = none', (field) =>
    Number(field('maxmemory')),
  );
  gauge('dreamgrid_redis_clients', 'Connections to Redis', (field) => Number(field('connected_clients')));
  gauge('dreamgrid_redis_persistence_ok', '1 when its last writes to the disk succeeded', (field) =>
    SAVES.every((name) => ['', 'ok'].includes(field(name))) ? 1 : 0,
  );
}

const SAVES = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'];

/** States of BullMQ; waiting render jobs are `prioritized`. */
const STATES = ['active', 'prioritized', 'waiting', 'delayed', 'waiting-children', 'failed'] as const;

const LANE_STATES: Record<'waiting' | 'running', JobType[]> = {
  waiting: ['prioritized', 'waiting', 'delayed'],
  running: ['active'],
};

/** Metrics of the queues, the same for all processes; only the bot exports them. */
export function watchQueues(registry: Registry, queues: Queues, redis: Redis): void {
  new Gauge({
    name: 'dreamgrid_queue_jobs',
    help: 'Jobs by lane (render: painting, deliver: posting, ask: describing and shortening) and state',
    labelNames: ['lane', 'state'],
    registers: [registry],
    async collect() {
      const lanes = { render: queues.render, deliver: queues.deliver, ask: queues.ask };
      for (const [lane, queue] of Object.entries(lanes)) {
        const counts = await within(queue.getJobCounts(...STATES));
        for (const state of STATES)
          if (counts) this.set({ lane, state }, counts[state] ?? 0);
          else this.remove({ lane, state });
      }
    },
  });
  new Gauge({
    name: 'dreamgrid_lane_jobs',
    help: 'Pictures by lane of their owner (turbo, fast, relax), of the first 500 that wait or run',
    labelNames: ['lane', 'state'],
    registers: [registry],
    async collect() {
      for (const [state, types] of Object.entries(LANE_STATES)) {
        const jobs = await within(queues.render.getJobs(types, 0, 499));
        for (const lane of LANES) {
          const count = jobs?.filter((job) => (job?.data.lane ?? 'fast') === lane).length;
          if (count === undefined) this.remove({ lane, state });
          else this.set({ lane, state }, count);
        }
      }
    },
  });
  new Gauge({
    name: 'dreamgrid_open_jobs',
    help: 'Places taken: jobs accepted and not yet posted, of all users',
    registers: [registry],
    async collect() {
      this.set((await within(redis.zcard(keys.openAll))) ?? Number.NaN);
    },
  });
  new Gauge({
    name: 'dreamgrid_workers',
    help: 'Workers heard of in the last 15 s',
    registers: [registry],
    async collect() {
      this.set((await within(listWorkers(redis)))?.length ?? Number.NaN);
    },
  });
}

/** Counts Discord's answers by status; 429 is a rate limit, 0 no answer at all. */
export function countDiscord(registry: Registry): (status: number) => void {
  const answers = new Counter({
    name: 'dreamgrid_discord_answers_total',
    help: 'REST answers of Discord by status; 429 = rate limited, 0 = no answer',
    labelNames: ['status'],
    registers: [registry],
  });
  answers.inc({ status: 429 }, 0);
  return (status) => answers.inc({ status });
}
