import { Counter, Histogram, type Registry } from 'prom-client';
import { countDiscord } from '../shared/service/metrics.ts';

/** The figures that only a worker has. */
export interface Metrics {
  /** @param ms from queueing a job to painting it; by the bot's clock and this worker's, so never below 0 */
  waited(ms: number): void;
  /** One denoising step of a whole batch. */
  stepped(model: string, ms: number): void;
  /** Rows of a call of the network: a guided picture has two. */
  called(rows: number): void;
  painted(model: string, ms: number): void;
  /** From taking a deliver job to the message that shows it. */
  posted(ms: number): void;
  ended(how: 'delivered' | 'failed' | 'cancelled' | 'retried'): void;
  /** @param code of a PermanentError; `discord-…` where Discord refused; `transient` where the job is tried again */
  failed(code: string): void;
  restarted(code: string): void;
  answered(status: number): void;
}

const seconds = (ms: number): number => Math.max(0, ms) / 1000;

export function openMetrics(registry: Registry): Metrics {
  const registers = [registry];
  const waited = new Histogram({
    name: 'dreamgrid_wait_seconds',
    help: 'From being queued to being painted for the first time',
    buckets: [0.1, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280],
    registers,
  });
  const step = new Histogram({
    name: 'dreamgrid_step_seconds',
    help: 'One denoising step of a batch',
    labelNames: ['model'],
    buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40],
    registers,
  });
  const call = new Histogram({
    name: 'dreamgrid_call_rows',
    help: 'Rows of a call of the network; a guided picture has two',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
    registers,
  });
  const paint = new Histogram({
    name: 'dreamgrid_paint_seconds',
    help: 'From taking a render job to its stored result',
    labelNames: ['model'],
    buckets: [0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640],
    registers,
  });
  const post = new Histogram({
    name: 'dreamgrid_deliver_seconds',
    help: 'From taking a deliver job to its message',
    buckets: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40],
    registers,
  });
  const jobs = new Counter({
    name: 'dreamgrid_jobs_total',
    help: 'Jobs by how they ended here',
    labelNames: ['how'],
    registers,
  });
  for (const how of ['delivered', 'failed', 'cancelled', 'retried']) jobs.inc({ how }, 0);
  const failures = new Counter({
    name: 'dreamgrid_failures_total',
    help: 'Jobs that failed here, by code; transient = tried again',
    labelNames: ['code'],
    registers,
  });
  // Prometheus' increase() misses a series' first value, and results that cannot be posted must raise an alarm.
  for (const trouble of ['transient', 'rate-limited', 'forbidden', 'too-large', 'refused'])
    failures.inc({ code: `discord-${trouble}` }, 0);
  const restarts = new Counter({
    name: 'dreamgrid_engine_restarts_total',
    help: 'Engine processes that had to be replaced, by reason',
    labelNames: ['code'],
    registers,
  });
  for (const code of ['crashed', 'hung', 'out-of-memory']) restarts.inc({ code }, 0);
  return {
    waited: (ms) => waited.observe(seconds(ms)),
    stepped: (model, ms) => step.observe({ model }, seconds(ms)),
    called: (rows) => call.observe(rows),
    painted: (model, ms) => paint.observe({ model }, seconds(ms)),
    posted: (ms) => post.observe(seconds(ms)),
    ended: (how) => jobs.inc({ how }),
    failed: (code) => failures.inc({ code }),
    restarted: (code) => restarts.inc({ code }),
    answered: countDiscord(registry),
  };
}
