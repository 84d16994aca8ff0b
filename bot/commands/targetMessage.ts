import type { APIMessage, MessageContextMenuCommandInteraction } from 'discord.js';
import { UserError } from '../../shared/service/errors.ts';
import { jobOf } from '../history/jobMessages.ts';
import { checkShown } from '../history/ownership.ts';
import type { AppCall } from './command.ts';

/**
 * Id of the clicked message's job. Another bot may give its buttons any id, so the message must be ours,
 * and a picture in stealth its owner's. @throws UserError no-job, forged
 */
export async function jobOfTarget({ app, asker, interaction }: AppCall): Promise<string> {
  const { targetMessage, client } = interaction;
  if (targetMessage.author.id !== client.user.id) throw new UserError('no-job');
  const components = targetMessage.components.map((row) => row.toJSON()) as NonNullable<
    APIMessage['components']
  >;
  const jobId = jobOf({ components });
  if (jobId === undefined) throw new UserError('no-job');
  await checkShown(app, asker, { action: 'cancel', index: 0, jobId });
  return jobId;
}

export const filesOfTarget = ({ targetMessage }: MessageContextMenuCommandInteraction): string[] =>
  [...targetMessage.attachments.values()].map(({ url }) => url);
