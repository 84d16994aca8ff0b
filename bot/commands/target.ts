import type { APIMessage, MessageContextMenuCommandInteraction } from 'discord.js';
import { UserError } from '../../shared/errors.ts';
import { jobOf } from '../messages.ts';

/** The job that the clicked message carries. @throws UserError('no-job') */
export function jobOfTarget({ targetMessage }: MessageContextMenuCommandInteraction): string {
  const components = targetMessage.components.map((row) => row.toJSON()) as NonNullable<
    APIMessage['components']
  >;
  const jobId = jobOf({ components });
  if (jobId === undefined) throw new UserError('no-job');
  return jobId;
}

export const filesOfTarget = ({ targetMessage }: MessageContextMenuCommandInteraction): string[] =>
  [...targetMessage.attachments.values()].map(({ url }) => url);
