import type { ModelCard } from '../../../shared/queue/job.ts';

/** Cards for tests: one ordinary model, one for few steps with ranges of its own. */
export const card = (over: Partial<ModelCard> = {}): ModelCard => ({
  name: 'pocket',
  title: 'Pocket',
  description: '',
  family: 'stable-diffusion',
  native: { width: 256, height: 256 },
  buckets: [
    [256, 256],
    [320, 208],
    [208, 320],
    [352, 192],
    [192, 352],
  ],
  defaults: { steps: 20, guidance: 7, scheduler: 'DPMSolverMultistepScheduler' },
  draft: { steps: 8 },
  hash: '0123456789abcdef',
  upscale: false,
  ...over,
});

export const swift = card({
  name: 'swift-xl',
  defaults: { steps: 4, guidance: 1, scheduler: 'LCMScheduler' },
  parameters: { stylize: { supported: false }, quality: { max: 2 }, sref: { supported: true } },
});

export const models: ReadonlyMap<string, ModelCard> = new Map([
  ['pocket', card()],
  ['swift-xl', swift],
]);
