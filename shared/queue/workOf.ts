import type { RenderRequest } from './job.ts';

/** Steps of a draft beside those of a picture, about; models differ. */
const DRAFT = 0.4;

/**
 * How much a job asks for, in pictures painted with the usual number of steps, at least 1: a grid 4, its draft 2, with
 * `--quality 2` 8; an upscale by convolutions alone is as little as there is. What a job costs its owner in the queue.
 */
export function workOf({
  action,
  count,
  params,
}: Pick<RenderRequest, 'action' | 'count' | 'params'>): number {
  if (action === 'upscale-subtle') return 1;
  return Math.max(1, Math.round(count * (params.draft ? DRAFT : (params.quality ?? 1))));
}
