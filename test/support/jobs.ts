import type { Recipe } from '../../shared/picture/recipe.ts';
import type { DeliverJob, RenderRequest } from '../../shared/queue/job.ts';

let next = 0n;
/** A snowflake of this test run. */
export const snowflake = (): string =>
  (1_200_000_000_000_000_000n + BigInt(Date.now() % 1e9) * 1000n + next++).toString();

export const APPLICATION = '1000000000000000001';
export const CHANNEL = '1000000000000000002';
export const MESSAGE = '1000000000000000003';
export const USER = '1000000000000000004';

export function makeRequest(fields: Partial<RenderRequest> = {}): RenderRequest {
  return {
    v: 1,
    jobId: snowflake(),
    action: 'imagine',
    prompt: 'a fox in the snow',
    parts: [{ text: 'a fox in the snow', weight: 1 }],
    negative: '',
    params: {},
    model: 'tiny',
    seed: 7,
    count: 4,
    user: { id: USER, name: 'mai' },
    createdAt: 0,
    ...fields,
  };
}

export const makeJob = (
  render: Partial<RenderRequest> = {},
  deliver: Partial<DeliverJob['deliver']> = {},
): DeliverJob => {
  const request = makeRequest(render);
  return {
    render: request,
    deliver: {
      v: 1,
      jobId: request.jobId,
      applicationId: APPLICATION,
      channelId: CHANNEL,
      locale: 'en-US',
      attachmentLimit: 10 * 1024 * 1024,
      original: true,
      ...deliver,
    },
  };
};

export const makeRecipe = (fields: Partial<Recipe> = {}): Recipe => ({
  v: 1,
  action: 'imagine',
  model: 'tiny',
  modelHash: '',
  prompt: 'a fox in the snow',
  parts: [{ text: 'a fox in the snow', weight: 1 }],
  negative: '',
  seed: 7,
  count: 4,
  width: 64,
  height: 64,
  steps: 3,
  guidance: 7,
  scheduler: 'EulerDiscreteScheduler',
  chaos: 0,
  weird: 0,
  stop: 1,
  tile: false,
  ...fields,
});

/** The recipe of a job as a parent of the next. */
export const parentOf = (jobId: string, index: number, recipe: Recipe) => ({ jobId, index, recipe });
