import type { RenderRequest } from '../../shared/job.ts';
import type { Recipe } from '../../shared/recipe.ts';

const JOB = '1190000000000000999';

export const recipe: Recipe = {
  v: 1,
  action: 'imagine',
  model: 'tiny',
  modelHash: '0123456789abcdef',
  prompt: 'một con cáo 🦊 --seed 7',
  parts: [{ text: 'một con cáo 🦊', weight: 1 }],
  negative: 'text, frame',
  seed: 7,
  count: 4,
  width: 128,
  height: 96,
  steps: 12,
  guidance: 6.5,
  scheduler: 'EulerDiscreteScheduler',
  chaos: 0,
  weird: 0,
  stop: 1,
  tile: false,
};

/** A third generation, so that what starts from other pictures is reached too. */
export const descendant: Recipe = {
  ...recipe,
  action: 'zoom-out',
  zoom: 1.5,
  parent: {
    jobId: JOB,
    index: 2,
    recipe: { ...recipe, action: 'vary-strong', parent: { jobId: JOB, index: 0, recipe } },
  },
};

export const request: RenderRequest = {
  v: 1,
  jobId: JOB,
  action: 'vary-region',
  prompt: 'a fox --ar 3:2 --stylize 50',
  parts: [
    { text: 'a fox', weight: 1 },
    { text: 'snow', weight: 0.5 },
  ],
  negative: '',
  params: { aspect: [3, 2], chaos: 10, stylize: 50, quality: 1, seed: 7, raw: true },
  model: 'tiny',
  seed: 7,
  count: 4,
  cells: 0xf0,
  zoom: 1.5,
  parent: { jobId: JOB, index: 1, recipe: descendant },
  user: { id: '1190000000000000010', name: 'mai' },
  createdAt: 1_750_000_000_000,
};

/** Sound in every generation, and far more of them than anybody clicks. */
export function dynasty(generations: number): Recipe {
  let last: Recipe = recipe;
  for (let i = 0; i < generations; i++)
    last = { ...recipe, action: 'vary-subtle', parent: { jobId: JOB, index: 0, recipe: last } };
  return last;
}
