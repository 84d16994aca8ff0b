import type { Client, MessageReaction, PartialMessageReaction, PartialUser, User } from 'discord.js';
import { Routes } from 'discord.js';
import { parseCustomId } from '../shared/customId.ts';
import { UserError } from '../shared/errors.ts';
import { keys } from '../shared/redis.ts';
import type { App } from './app.ts';
import { cancel } from './cancel.ts';

interface RawMessage {
  author: { id: string };
  components?: { components?: { custom_id?: string }[] }[];
}

/** ❌ by the owner stops a job; on a picture that is finished it takes the message away. */
export async function onReaction(
  app: App,
  client: Client<true>,
  reaction: MessageReaction | PartialMessageReaction,
  user: User | PartialUser,
): Promise<void> {
  if (reaction.emoji.name !== '❌' || user.id === client.user.id) return;
  const { id, channelId } = reaction.message;
  const message = (await app.rest.get(Routes.channelMessage(channelId, id)).catch(() => undefined)) as
    | RawMessage
    | undefined;
  if (message?.author.id !== client.user.id) return;
  const jobId = jobOf(message);
  if (jobId === undefined) return;
  if ((await app.redis.get(keys.owner(jobId))) !== user.id) return;
  try {
    await cancel(app, jobId, { user: { id: user.id, name: '' }, moderator: false });
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'already-done') throw error;
    // Just stopped, perhaps by a twin of ours that heard of it first: the worker says so on the message.
    if ((await app.redis.exists(keys.cancelled(jobId))) === 1) return;
    await app.rest.delete(Routes.channelMessage(channelId, id));
    app.log.info({ jobId }, 'deleted');
  }
}

/** Every button of a message names its job. */
function jobOf(message: RawMessage): string | undefined {
  for (const row of message.components ?? [])
    for (const { custom_id } of row.components ?? []) {
      const parsed = parseCustomId(custom_id ?? '');
      if (parsed.ok) return parsed.id.jobId;
    }
  return undefined;
}
