import type { Client, MessageReaction, PartialMessageReaction, PartialUser, User } from 'discord.js';
import { Routes } from 'discord.js';
import pRetry, { type Options } from 'p-retry';
import { readJobs } from '../../shared/memory/jobRecords.ts';
import { keys } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App } from '../app.ts';
import { sendResults } from '../history/dmResults.ts';
import { jobOf, type OurMessage, readMessage } from '../history/jobMessages.ts';
import { refusedUse } from '../interaction/operatorGate.ts';
import { isRedisAway } from '../interaction/redisAway.ts';
import { cancel } from './cancel.ts';

interface Reacted {
  channelId: string;
  messageId: string;
  message: OurMessage;
  jobId: string;
  user: User | PartialUser;
}

/** ❌ and ✉️, with and without the sign that asks for a coloured picture. */
const reactions: Readonly<Record<string, (app: App, reacted: Reacted) => Promise<void>>> = {
  '❌': stopOrDelete,
  '✉️': sendByDm,
  '✉': sendByDm,
};

export async function onReaction(
  app: App,
  client: Client<true>,
  reaction: MessageReaction | PartialMessageReaction,
  user: User | PartialUser,
): Promise<void> {
  const act = reactions[reaction.emoji.name ?? ''];
  if (!act || user.id === client.user.id) return;
  const { id: messageId, channelId, guildId } = reaction.message;
  if (refusedUse(app.env, { user, guildId: guildId ?? undefined })) return;
  const message = await readMessage(app.rest, channelId, messageId);
  if (message?.author.id !== client.user.id) return;
  const jobId = jobOf(message);
  if (jobId !== undefined) await pRetry(() => act(app, { channelId, messageId, message, jobId, user }), AWAY);
}

/** A reaction gets no error message: where Redis is away it is handled again after 1, 3 and 9 s. */
const AWAY: Options = {
  retries: 3,
  minTimeout: 1000,
  factor: 3,
  shouldRetry: ({ error }) => isRedisAway(error) || (error instanceof UserError && error.code === 'redis'),
};

/** ❌ by the owner: stops a job; on a finished picture it deletes the message. */
async function stopOrDelete(app: App, { channelId, messageId, jobId, user }: Reacted): Promise<void> {
  if ((await app.redis.get(keys.owner(jobId))) !== user.id) return;
  try {
    await cancel(app, jobId, { user: { id: user.id, name: '' }, moderator: false, channelId });
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'already-done') throw error;
    // Already cancelled, perhaps by another bot process: the worker says so on the job's message.
    if ((await app.redis.exists(keys.cancelled(jobId))) === 1) return;
    await app.rest.delete(Routes.channelMessage(channelId, messageId));
    app.log.info({ jobId }, 'deleted');
  }
}

/** ✉️ by any member: sends the pictures and seeds by direct message. A refusal is not told. */
async function sendByDm(app: App, { message, jobId, user }: Reacted): Promise<void> {
  const [record] = await readJobs(app.redis, [jobId]);
  const locale = record?.locale ?? 'en-US';
  const files = message.attachments.map(({ url }) => url);
  try {
    await sendResults(app, { userId: user.id, name: user.username ?? '', locale }, jobId, files);
    app.log.info({ jobId }, 'sent by direct message');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    app.log.info({ jobId, code: error.code }, 'not sent by direct message');
  }
}
