import { type Client, RESTEvents, SnowflakeUtil } from 'discord.js';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { countDiscord } from '../shared/service/metrics.ts';
import { gatewayProblems } from './client.ts';

/** Metrics that only the bot knows: accepted and refused interactions. */
export interface BotMetrics {
  /** @param code of a UserError, `broke` for any other error, `late` for an expired interaction */
  refused(code: string): void;
  queued(action: string): void;
}

export function openBotMetrics(registry: Registry): BotMetrics {
  const refused = new Counter({
    name: 'dreamgrid_refusals_total',
    help: 'Interactions that ended in a notice, by code; broke = our failure, late = nobody left to tell',
    labelNames: ['code'],
    registers: [registry],
  });
  for (const code of ['broke', 'late', 'redis']) refused.inc({ code }, 0);
  const queued = new Counter({
    name: 'dreamgrid_queued_total',
    help: 'Jobs accepted, by action',
    labelNames: ['action'],
    registers: [registry],
  });
  return {
    refused: (code) => refused.inc({ code }),
    queued: (action) => queued.inc({ action }),
  };
}

/** An interaction's id tells when it was made: discord.com/developers/docs/reference#snowflakes */
const CALLBACK = /^\/interactions\/(\d+)\/[^/]+\/callback/;

/** Metrics of the gateway and of REST answers as this process sees them. */
export function watchDiscord(registry: Registry, client: Client): void {
  const answered = countDiscord(registry);
  const acknowledged = new Histogram({
    name: 'dreamgrid_acknowledge_seconds',
    help: "From Discord's timestamp of the interaction to our acknowledgement; Discord allows 3 s",
    buckets: [0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3],
    registers: [registry],
  });
  client.rest.on(RESTEvents.Response, ({ path }, { status, ok }) => {
    answered(status);
    const id = ok ? CALLBACK.exec(path)?.[1] : undefined;
    if (id) acknowledged.observe(Math.max(0, Date.now() - SnowflakeUtil.timestampFrom(id)) / 1000);
  });
  new Gauge({
    name: 'dreamgrid_gateway_up',
    help: '1 when every shard of the gateway is connected',
    registers: [registry],
    collect() {
      this.set(gatewayProblems(client).length === 0 ? 1 : 0);
    },
  });
}
