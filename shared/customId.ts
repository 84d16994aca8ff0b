import { jobIdSchema } from './recipe.ts';

/**
 * The id inside a button: `v1|action|index|jobId`, at most 100 characters. It is typed by nobody but can be
 * forged by anybody, so it is parsed strictly; an unknown version means "made by another Dreamgrid".
 */
export const BUTTON_ACTIONS = [
  'upscale', // U1-U4: one picture of the grid
  'vary', // V1-V4
  'reroll', // 🔄
  'upscale-subtle',
  'upscale-creative',
  'vary-subtle',
  'vary-strong',
  'cancel', // ❌ while it waits or runs
  'fix', // opens a modal with the mended prompt
] as const;
export type ButtonAction = (typeof BUTTON_ACTIONS)[number];

export interface CustomId {
  action: ButtonAction;
  /** Which picture, 0-based; 0 where the action concerns the whole. */
  index: number;
  jobId: string;
}

export type CustomIdResult = { ok: true; id: CustomId } | { ok: false; why: 'expired' | 'forged' };

export const printCustomId = ({ action, index, jobId }: CustomId): string => `v1|${action}|${index}|${jobId}`;

export function parseCustomId(text: string): CustomIdResult {
  if (text.length > 100) return { ok: false, why: 'forged' };
  const [version, action, index, jobId, ...rest] = text.split('|');
  if (version !== 'v1') return { ok: false, why: /^v\d{1,3}$/.test(version ?? '') ? 'expired' : 'forged' };
  const known = BUTTON_ACTIONS.find((name) => name === action);
  if (!known || rest.length > 0 || !/^[0-3]$/.test(index ?? '') || !jobIdSchema.safeParse(jobId).success) {
    return { ok: false, why: 'forged' };
  }
  return { ok: true, id: { action: known, index: Number(index), jobId: jobId as string } };
}
