import type { ButtonAction } from '../../shared/picture/customId.ts';

/**
 * Who may do what: the one table. `permissions.test.ts` tries every cell on the real bot, fails for a command or
 * a button that has no row, and holds docs/security.md to it.
 */
export const ROLES = ['owner', 'member', 'moderator', 'manager', 'outsider'] as const;
export type Role = (typeof ROLES)[number];

export const ROLE_NAMES: Readonly<Record<Role, string>> = {
  owner: 'whose job it is',
  member: 'another member',
  moderator: 'Manage Messages',
  manager: 'Manage Server',
  outsider: 'outside the server (direct messages, forged ids)',
};

export interface CommandRow {
  /** As it is typed, with subcommands. */
  path: string;
  /** `$member`: somebody; `$picture`: a file; `$job`, `$painted`: a finished job of the owner's, and its file. */
  options?: Record<string, string>;
  may: readonly Role[];
}

const EVERYBODY = ROLES;
const MANAGERS = ['manager'] as const;
const OWNER = ['owner'] as const;

export const COMMANDS: readonly CommandRow[] = [
  { path: 'imagine', options: { prompt: 'a fox' }, may: EVERYBODY },
  { path: 'blend', options: { image1: '$picture', image2: '$picture' }, may: EVERYBODY },
  { path: 'reword', options: { image: '$picture', should: 'a fox at night' }, may: EVERYBODY },
  { path: 'compare', options: { prompt: 'a fox', samplers: 'ddim, euler' }, may: EVERYBODY },
  { path: 'describe', options: { image: '$picture' }, may: EVERYBODY },
  { path: 'shorten', options: { prompt: 'a very red fox' }, may: EVERYBODY },
  { path: 'show', options: { job_id: '$job' }, may: OWNER },
  { path: 'inspect', options: { image: '$painted' }, may: EVERYBODY },
  { path: 'mydata export', may: EVERYBODY },
  { path: 'mydata erase', may: EVERYBODY },
  { path: 'info', may: EVERYBODY },
  { path: 'help', may: EVERYBODY },
  { path: 'models', may: EVERYBODY },
  { path: 'settings', may: EVERYBODY },
  { path: 'prefer option set', options: { option: 'mine', value: '--ar 3:2' }, may: EVERYBODY },
  { path: 'prefer option list', may: EVERYBODY },
  { path: 'prefer suffix', options: { new_value: '--chaos 5' }, may: EVERYBODY },
  { path: 'prefer remix', may: EVERYBODY },
  { path: 'prefer variability', may: EVERYBODY },
  { path: 'prefer auto_dm', may: EVERYBODY },
  { path: 'prefer count', may: EVERYBODY },
  { path: 'turbo', may: EVERYBODY },
  { path: 'fast', may: EVERYBODY },
  { path: 'relax', may: EVERYBODY },
  { path: 'stealth', may: EVERYBODY },
  { path: 'public', may: EVERYBODY },
  { path: 'dreamgrid setup', may: MANAGERS },
  { path: 'dreamgrid block', options: { member: '$member' }, may: MANAGERS },
  { path: 'dreamgrid unblock', options: { member: '$member' }, may: MANAGERS },
];

/** Right click on a message: whoever does not see it has nothing to click on. */
export const APPS: Readonly<Record<string, { on: 'waiting' | 'grid'; may: readonly Role[] }>> = {
  'Cancel Job': { on: 'waiting', may: ['owner', 'moderator'] },
  'DM Results': { on: 'grid', may: ['owner', 'member', 'moderator', 'manager'] },
  Inspect: { on: 'grid', may: ['owner', 'member', 'moderator', 'manager'] },
};

/**
 * What a button's id names: a finished grid, one picture, one that is not square, a job that waits, a prompt to
 * mend, a question, prompts that were offered, or a member's own settings and data.
 */
export type Subject = 'grid' | 'single' | 'wide' | 'waiting' | 'mended' | 'question' | 'offer' | 'own';

export interface ButtonRow {
  on: Subject;
  may: readonly Role[];
  value?: number;
  /** What was picked, of a menu. */
  values?: readonly string[];
}

/** Anyone may go on from anyone's public picture; the result belongs to who pressed. */
export const BUTTONS: Readonly<Record<ButtonAction, ButtonRow>> = {
  upscale: { on: 'grid', may: EVERYBODY },
  vary: { on: 'grid', may: EVERYBODY },
  reroll: { on: 'grid', may: EVERYBODY },
  enhance: { on: 'grid', may: EVERYBODY },
  'upscale-subtle': { on: 'single', may: EVERYBODY },
  'upscale-creative': { on: 'single', may: EVERYBODY },
  'vary-subtle': { on: 'single', may: EVERYBODY },
  'vary-strong': { on: 'single', may: EVERYBODY },
  'vary-region': { on: 'single', may: EVERYBODY },
  'region-cells': { on: 'single', may: EVERYBODY, value: 3 },
  'region-prompt': { on: 'single', may: EVERYBODY, value: 3 },
  'zoom-2': { on: 'single', may: EVERYBODY },
  'zoom-1.5': { on: 'single', may: EVERYBODY },
  'zoom-custom': { on: 'single', may: EVERYBODY },
  'pan-left': { on: 'single', may: EVERYBODY },
  'pan-right': { on: 'single', may: EVERYBODY },
  'pan-up': { on: 'single', may: EVERYBODY },
  'pan-down': { on: 'single', may: EVERYBODY },
  'make-square': { on: 'wide', may: EVERYBODY },
  reword: { on: 'single', may: EVERYBODY },
  favourite: { on: 'single', may: EVERYBODY },
  cancel: { on: 'waiting', may: ['owner', 'moderator'] },
  fix: { on: 'mended', may: OWNER },
  confirm: { on: 'question', may: OWNER },
  dismiss: { on: 'question', may: OWNER },
  suggest: { on: 'offer', may: OWNER },
  'suggest-all': { on: 'offer', may: OWNER },
  'my-erase': { on: 'own', may: OWNER },
  'my-keep': { on: 'own', may: OWNER },
  'set-model': { on: 'own', may: OWNER, values: ['default'] },
  'set-stylize': { on: 'own', may: OWNER, values: ['default'] },
  'set-quality': { on: 'own', may: OWNER, values: ['default'] },
  'set-raw': { on: 'own', may: OWNER },
  'set-remix': { on: 'own', may: OWNER },
  'set-variability': { on: 'own', may: OWNER },
  'set-auto-dm': { on: 'own', may: OWNER },
  'set-reset': { on: 'own', may: OWNER },
  'set-lane': { on: 'own', may: OWNER },
  'set-visibility': { on: 'own', may: OWNER },
};
