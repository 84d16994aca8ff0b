/**
 * The controls of the panel behind `/dreamgrid setup`. Their custom ids name no job, so they have a form of
 * their own: `server1|<control>`; the number grows when the panel of an older Dreamgrid would be misread.
 */
export const CONTROLS = [
  // page "Who and where"
  'channels',
  'roles',
  'turbo',
  'model',
  // page "Safety"
  'switches',
  'safety',
  'audit',
  // buttons, and the forms that three of them open
  'to-people',
  'to-safety',
  'limits',
  'words',
  'loras',
  'reset',
] as const;
export type Control = (typeof CONTROLS)[number];

const PREFIX = 'server1|';

export const printControl = (control: Control): string => `${PREFIX}${control}`;

/** Undefined where the custom id is no panel's; `expired` where it is of a panel of another version. */
export function parseControl(customId: string): Control | 'expired' | undefined {
  if (!/^server\d{1,3}\|/.test(customId)) return undefined;
  const name = customId.startsWith(PREFIX) ? customId.slice(PREFIX.length) : '';
  return CONTROLS.find((control) => control === name) ?? 'expired';
}
