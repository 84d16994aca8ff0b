import type { Redis } from 'ioredis';
import { presentProgress } from '../../shared/picture/jobMessage.ts';
import type { DeliverJob } from '../../shared/queue/job.ts';
import type { Log } from '../../shared/service/log.ts';
import { encodePreview } from '../paint/grid.ts';
import type { StepNews } from '../process/protocol.ts';
import type { Discord } from './discord.ts';
import { DiscordError } from './discord.ts';
import { findPlaces, isDelivered, markUnsure } from './messages.ts';

/**
 * Previews: edits of the message while its pictures are painted. At most one edit every `everyMs` and one at a time,
 * with the newest preview only, dropped when Discord says 429, never after `stop`.
 */
export interface Progress {
  show(news: StepNews): void;
  /** Waits for an edit on its way, so that the final edit is the last; one that hangs is cut off and checked later. */
  stop(): Promise<void>;
}

export interface ProgressOptions {
  redis: Redis;
  discord: Discord;
  log: Log;
  everyMs?: number;
  now?: () => number;
}

const STOP_MS = 3_000;

export function openProgress(
  job: DeliverJob,
  size: { width: number; height: number },
  o: ProgressOptions,
): Progress {
  const { everyMs = 2_500, now = () => performance.now() } = o;
  const { render, deliver } = job;
  const abort = new AbortController();
  let allowedAt = Number.NEGATIVE_INFINITY;
  let stopped = false;
  let flying: Promise<void> | undefined;
  let previews: StepNews['previews'];

  const send = async (news: StepNews): Promise<void> => {
    const places = await findPlaces(o.redis, job);
    const target = places.byToken ?? places.byId;
    if (!target || (await isDelivered(o.redis, render.jobId))) return;
    const bytes = previews && (await encodePreview(previews, size));
    if (stopped) return;
    const body = presentProgress({
      render,
      locale: deliver.locale,
      percent: (100 * news.step) / news.steps,
      preview: bytes !== undefined,
      ...(news.preparing ? { preparing: news.preparing } : {}),
      stage: news.stage,
    });
    const file = bytes && { name: 'preview.webp', bytes, type: 'image/webp' };
    await o.discord.edit(target, { body, file }, { signal: abort.signal });
  };

  return {
    show: (news) => {
      previews = news.previews ?? previews;
      if (stopped || flying || now() < allowedAt || news.step >= news.steps) return;
      allowedAt = now() + everyMs;
      flying = send(news)
        .catch(async (error: unknown) => {
          const trouble = error instanceof DiscordError ? error.trouble : undefined;
          if (trouble === 'rate-limited')
            allowedAt = now() + Math.max(everyMs, (error as DiscordError).retryAfterMs);
          if (!stopped) o.log.debug({ err: error, jobId: render.jobId }, 'progress not shown');
          if (trouble === 'transient') await markUnsure(o.redis, render.jobId);
        })
        .catch((error: unknown) => o.log.debug({ err: error, jobId: render.jobId }, 'not marked as unsure'))
        .finally(() => {
          flying = undefined;
        });
    },
    stop: async () => {
      stopped = true;
      if (!flying) return;
      const timer = setTimeout(() => abort.abort(), STOP_MS);
      await flying;
      clearTimeout(timer);
    },
  };
}
