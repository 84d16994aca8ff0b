import { createHash } from 'node:crypto';
import type { Clock } from '../world/clock.ts';

interface Bucket {
  limit: number;
  windowMs: number;
  left: number;
  resetAt: number;
}

/** Requests a window, by the kind of route; Discord's real numbers where they are known. */
const LIMITS: { match: RegExp; limit: number; windowMs: number }[] = [
  { match: /^(PATCH|POST|GET|DELETE) \/webhooks\//, limit: 5, windowMs: 2000 },
  { match: /^(POST|PATCH) \/channels\/[^/]+\/messages/, limit: 5, windowMs: 5000 },
  { match: /^(PUT|DELETE) \/channels\/[^/]+\/messages\/[^/]+\/reactions/, limit: 1, windowMs: 250 },
  {
    match: /^(PUT|POST|PATCH|DELETE) \/applications\/[^/]+\/(guilds\/[^/]+\/)?commands/,
    limit: 20,
    windowMs: 20_000,
  },
  { match: /^POST \/users\/@me\/channels/, limit: 10, windowMs: 10_000 },
  { match: /^GET /, limit: 30, windowMs: 10_000 },
];
const GLOBAL_PER_SECOND = 50;

export interface Verdict {
  headers: Record<string, string>;
  /** Seconds to wait; set when the request is over the limit. */
  retryAfter?: number;
  global?: boolean;
}

/** Buckets by route and major parameter, and the limit of 50 a second for the whole bot. */
export class RateLimits {
  private readonly buckets = new Map<string, Bucket>();
  private second = { start: 0, count: 0 };
  private readonly clock: Clock;
  constructor(clock: Clock) {
    this.clock = clock;
  }

  take(method: string, path: string, authorised: boolean): Verdict {
    // Interaction endpoints are exempt from the global limit, and callbacks have none of their own.
    if (path.startsWith('/interactions/')) return { headers: {} };
    const now = this.clock.now();
    if (authorised && !path.startsWith('/webhooks/')) {
      if (now - this.second.start >= 1000) this.second = { start: now, count: 0 };
      if (++this.second.count > GLOBAL_PER_SECOND) {
        const retryAfter = (this.second.start + 1000 - now) / 1000;
        return {
          headers: { 'x-ratelimit-global': 'true', 'x-ratelimit-scope': 'global' },
          retryAfter,
          global: true,
        };
      }
    }
    const rule = LIMITS.find((l) => l.match.test(`${method} ${path}`));
    if (!rule) return { headers: {} };
    // Webhooks count by id and token whatever is edited; channels by channel and verb.
    const webhook = /^\/webhooks\/[^/]+\/[^/]+/.exec(path)?.[0];
    const major = webhook ?? /^\/channels\/[^/]+/.exec(path)?.[0] ?? path;
    const kind = `${webhook ? '*' : method} ${rule.match.source}`;
    const key = `${kind} ${major}`;
    let bucket = this.buckets.get(key);
    if (!bucket || bucket.resetAt <= now) {
      bucket = { limit: rule.limit, windowMs: rule.windowMs, left: rule.limit, resetAt: now + rule.windowMs };
      this.buckets.set(key, bucket);
      if (this.buckets.size > 2000) this.forget(now);
    }
    const resetAfter = (bucket.resetAt - now) / 1000;
    const over = bucket.left <= 0;
    if (!over) bucket.left--;
    const headers = {
      'x-ratelimit-limit': String(bucket.limit),
      'x-ratelimit-remaining': String(bucket.left),
      'x-ratelimit-reset': (bucket.resetAt / 1000).toFixed(3),
      'x-ratelimit-reset-after': resetAfter.toFixed(3),
      'x-ratelimit-bucket': createHash('md5').update(kind).digest('hex'),
    };
    return over
      ? { headers: { ...headers, 'x-ratelimit-scope': 'user' }, retryAfter: resetAfter }
      : { headers };
  }

  private forget(now: number): void {
    for (const [key, bucket] of this.buckets) if (bucket.resetAt <= now) this.buckets.delete(key);
  }
}
