import type { Redis } from 'ioredis';
import type { ModelCard } from '../../shared/queue/job.ts';
import { listModels } from '../../shared/queue/registry.ts';

/**
 * The models that workers announce, and those announced before: a worker that restarts is away for a few
 * seconds, and a prompt typed meanwhile is queued rather than refused.
 */
export function openModels(redis: Redis): () => Promise<ReadonlyMap<string, ModelCard>> {
  let last: ReadonlyMap<string, ModelCard> = new Map();
  return async () => {
    const now = await listModels(redis);
    if (now.size > 0) last = now;
    return last;
  };
}
