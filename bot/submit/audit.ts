import { Routes } from 'discord.js';
import { say, sayError } from '../../shared/messages/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import { keys } from '../../shared/queue/redis.ts';
import type { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { readServer } from '../server/settings.ts';

/**
 * One line for each refusal by a rule: in the log without the prompt, and in the channel that a server named
 * for it with the prompt behind a spoiler. Mistyped prompts are not told.
 */
const RULES =
  /^(?:blocked(?:-operator)?|wrong-server|no-direct|wrong-channel|wrong-role|turbo-role|not-manager|not-yours|quota(?:-server)?|slow-.+|queue-.+|banned-.+)$/;

/** Repeated refusals of one member by one rule are one line in the channel for this long. */
const SAME_S = 20;
const PROMPT_MAX = 300;

export async function audit(
  app: App,
  asker: Asker,
  error: UserError,
  typed: string | undefined,
): Promise<void> {
  if (!RULES.test(error.code)) return;
  const { guildId, channelId, user, interactionId } = asker;
  app.log.info(
    { audit: error.code, userId: user.id, guildId, channelId, interactionId },
    'refused by a rule',
  );
  if (guildId === undefined || error.code === 'wrong-server') return;
  try {
    const { audit: to } = await readServer(app.redis, guildId);
    if (to === '' || !(await isOf(app, to, guildId))) return;
    const said = keys.audited(guildId, user.id, error.code);
    if ((await app.redis.set(said, '1', 'EX', SAME_S, 'NX')) === null) return;
    const locale = asker.guildLocale;
    const { title } = sayError(locale, error.code, error.params, 'broke');
    const line = say(locale, 'audit.line', {
      user: `<@${user.id}>`,
      channel: `<#${channelId}>`,
      title,
      rule: error.code,
    });
    const prompt = typed ? `\n||${escapeMarkdown(typed.slice(0, PROMPT_MAX))}||` : '';
    await app.rest.post(Routes.channelMessages(to), {
      body: { content: `${line}${prompt}`, allowed_mentions: { parse: [] } },
    });
  } catch (failure) {
    app.log.warn({ err: failure, guildId }, 'audit line not posted');
  }
}

/** Whether the channel is this server's: a menu's value can be forged to name another server's channel. */
async function isOf(app: App, channelId: string, guildId: string): Promise<boolean> {
  const channel = (await app.rest.get(Routes.channel(channelId))) as { guild_id?: string };
  if (channel.guild_id === guildId) return true;
  app.log.warn({ guildId, channelId }, 'the channel for refusals is not of this server');
  return false;
}
