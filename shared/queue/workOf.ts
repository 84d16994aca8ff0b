import type { RenderRequest } from './job.ts';

/** Steps of a draft as a share of a picture's, about; models differ. */
const DRAFT = 0.4;

/**
 * How much a job asks for, in pictures painted with the usual number of steps, at least 1: a grid 4, its draft 2, with
 * `--quality 2` 8; an upscale by convolutions alone 1. The job's cost in the queue is this times LANE_COST.
 */
export function workOf({
  action,
  count,
  params,
}: Pick<RenderRequest, 'action' | 'count' | 'params'>): number {
  if (action === 'upscale-subtle') return 1;
  return Math.max(1, Math.round(count * (params.draft ? DRAFT : (params.quality ?? 1))));
}
