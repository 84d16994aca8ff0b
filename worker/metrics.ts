import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';

/** What /metrics tells, besides Node's own figures (memory, event loop). */
export interface Metrics {
  registry: Registry;
  painted(model: string, ms: number): void;
  ended(how: 'delivered' | 'failed' | 'cancelled' | 'retried'): void;
  restarted(code: string): void;
}

export function openMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const seconds = new Histogram({
    name: 'dreamgrid_paint_seconds',
    help: 'From taking a render job to its stored result',
    labelNames: ['model'],
    buckets: [0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640],
    registers: [registry],
  });
  const jobs = new Counter({
    name: 'dreamgrid_jobs_total',
    help: 'Jobs by how they ended here',
    labelNames: ['how'],
    registers: [registry],
  });
  const restarts = new Counter({
    name: 'dreamgrid_engine_restarts_total',
    help: 'Engine processes that had to be replaced, by reason',
    labelNames: ['code'],
    registers: [registry],
  });
  return {
    registry,
    painted: (model, ms) => seconds.observe({ model }, ms / 1000),
    ended: (how) => jobs.inc({ how }),
    restarted: (code) => restarts.inc({ code }),
  };
}
