import { jobIdSchema } from './recipe.ts';

/**
 * The custom id of a button: `v1|action|index|jobId`, with `|value` where the action needs one, at most
 * 100 characters. Anybody can forge one, so parsing is strict; an unknown version is another Dreamgrid's.
 */
export const BUTTON_ACTIONS = [
  'upscale', // U1-U4: one picture of the grid
  'vary', // V1-V4
  'reroll', // 🔄
  'enhance', // under a draft: the same pictures with all their steps
  'upscale-subtle',
  'upscale-creative',
  'vary-subtle',
  'vary-strong',
  'vary-region', // opens the picker of cells
  'region-cells', // a cell of the picker; the id carries what is chosen after the click
  'region-prompt', // opens the modal with the prompt
  'zoom-2',
  'zoom-1.5',
  'zoom-custom', // opens a modal
  'pan-left',
  'pan-right',
  'pan-up',
  'pan-down',
  'make-square',
  'reword', // opens a modal: it shows …, it should show …
  'suggest', // one of the prompts that /describe or /shorten offers; value: which
  'suggest-all',
  'cancel', // ❌ while a job waits or runs
  'fix', // opens a modal with the mended prompt
  'confirm', // Yes to a permutation
  'dismiss', // No to a permutation
  'favourite', // ❤️
  // the panel of /settings; the id carries the member's own id as its job
  'set-model',
  'set-stylize',
  'set-quality',
  'set-raw',
  'set-remix',
  'set-variability',
  'set-auto-dm',
  'set-reset',
  'set-lane', // index: place in LANES
  'set-visibility', // index: place in VISIBILITIES
  // the question of /mydata erase, with the member's own id as well
  'my-erase',
  'my-keep',
] as const;
export type ButtonAction = (typeof BUTTON_ACTIONS)[number];

export interface CustomId {
  action: ButtonAction;
  /** Which picture, 0-based; 0 where the action concerns the whole job. */
  index: number;
  jobId: string;
  /** Up to 0xffff: the chosen cells of a region, as recipes have them; the hundredfold of a zoom. */
  value?: number | undefined;
}

export type CustomIdResult = { ok: true; id: CustomId } | { ok: false; why: 'expired' | 'forged' };

/** The custom id as text, at most 100 characters. */
export const printCustomId = ({ action, index, jobId, value }: CustomId): string =>
  `v1|${action}|${index}|${jobId}${value === undefined ? '' : `|${value.toString(16)}`}`;

/** Parses a custom id; `expired` for another version, `forged` for all else. Throws nothing. */
export function parseCustomId(text: string): CustomIdResult {
  if (text.length > 100) return { ok: false, why: 'forged' };
  const [version, action, index, jobId, value, ...rest] = text.split('|');
  if (version !== 'v1') return { ok: false, why: /^v\d{1,3}$/.test(version ?? '') ? 'expired' : 'forged' };
  const known = BUTTON_ACTIONS.find((name) => name === action);
  const sound =
    /^[0-3]$/.test(index ?? '') &&
    jobIdSchema.safeParse(jobId).success &&
    (value === undefined || /^(?:0|[1-9a-f][0-9a-f]{0,3})$/.test(value));
  if (!known || rest.length > 0 || !sound) return { ok: false, why: 'forged' };
  return {
    ok: true,
    id: {
      action: known,
      index: Number(index),
      jobId: jobId as string,
      ...(value === undefined ? {} : { value: Number.parseInt(value, 16) }),
    },
  };
}
