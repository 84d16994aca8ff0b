import { DiscordAPIError, type RawFile, Routes } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { escapeMarkdown, fileName } from '../../shared/picture/jobMessage.ts';
import { seedOf } from '../../shared/picture/recipe.ts';
import { fetchPicture } from '../../shared/picture/uploadedImage.ts';
import { readResultIfThere } from '../../shared/queue/results.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App } from '../app.ts';
import { fetchRules } from '../submit/imagePrompt.ts';
import { findRecipe } from './findRecipe.ts';

/** Bytes of one message in a direct channel, whatever a server's boost allows. */
const LIMIT = 10 * 1024 * 1024;
const CANNOT_DM = 50007;

/**
 * ✉️ and "DM Results": sends the asker a job's pictures one by one, with their seeds. Where the store lost
 * the pictures, the message's file is sent. @throws UserError no-dm, no-picture
 */
export async function sendResults(
  app: App,
  to: { userId: string; name: string; locale: string },
  jobId: string,
  files: readonly string[],
): Promise<void> {
  const result = await readResultIfThere(app.store, jobId);
  const recipe = result?.recipe ?? (await findRecipe(app, jobId, files));
  const pictures = (result && (await fromStore(app, result.pictures))) ?? (await fromMessage(app, files));
  const veil = result?.safety === 'spoiler' ? 'SPOILER_' : '';
  const name = fileName(to.name, recipe.prompt, jobId, 'png');
  const sent: RawFile[] = pictures.map((data, i) => ({
    name: `${veil}${i + 1}_${name}`,
    data,
    contentType: 'image/png',
  }));
  const seeds = Array.from({ length: recipe.count }, (_, i) => `#${i + 1} ${seedOf(recipe, i)}`).join(' · ');
  const content = `**${escapeMarkdown(recipe.prompt).slice(0, 1500)}**\n-# ${say(to.locale, 'dm.seeds', { seeds })}`;
  await sendDm(app, to.userId, content, sent, `${jobId}m`);
}

/** All named pictures from the store; undefined where one is missing. */
async function fromStore({ store }: App, names: readonly string[]): Promise<Buffer[] | undefined> {
  const found = (await Promise.all(names.map((key) => store.get(key)))).filter(
    (bytes) => bytes !== undefined,
  );
  const bytes = found.reduce((sum, { length }) => sum + length, 0);
  return found.length === names.length && bytes <= LIMIT ? found : undefined;
}

async function fromMessage({ env }: App, files: readonly string[]): Promise<Buffer[]> {
  const found = await Promise.all(
    files.slice(0, 1).map((url) => fetchPicture(url, fetchRules(env)).catch(() => undefined)),
  );
  const pictures = found.filter((bytes) => bytes !== undefined);
  if (pictures.length === 0) throw new UserError('no-picture');
  return pictures;
}

/** The nonce keeps a click that Discord delivers twice from sending two messages. */
async function sendDm({ rest }: App, userId: string, content: string, files: RawFile[], nonce: string) {
  try {
    const channel = (await rest.post(Routes.userChannels(), { body: { recipient_id: userId } })) as {
      id: string;
    };
    const attachments = files.map(({ name }, id) => ({ id, filename: name }));
    const body = { content, attachments, nonce, enforce_nonce: true, allowed_mentions: { parse: [] } };
    await rest.post(Routes.channelMessages(channel.id), { body, files });
  } catch (error) {
    if (error instanceof DiscordAPIError && error.code === CANNOT_DM) throw new UserError('no-dm');
    throw error;
  }
}
