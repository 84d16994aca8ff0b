import { PermissionFlagsBits, type RepliableInteraction } from 'discord.js';
import type { Asker } from '../app.ts';

/** Discord's limit for a file where the interaction does not name one. */
const FILE_LIMIT = 10 * 1024 * 1024;

export const askerOf = (interaction: RepliableInteraction): Asker => ({
  interactionId: interaction.id,
  applicationId: interaction.applicationId,
  token: interaction.token,
  user: { id: interaction.user.id, name: interaction.user.username },
  locale: interaction.locale,
  channelId: interaction.channelId ?? interaction.user.id,
  guildId: interaction.guildId ?? undefined,
  ...placeOf(interaction),
  roles: rolesOf(interaction),
  guildLocale: interaction.guildLocale ?? interaction.locale,
  attachmentLimit: interaction.attachmentSizeLimit > 0 ? interaction.attachmentSizeLimit : FILE_LIMIT,
  moderator: interaction.memberPermissions?.has(PermissionFlagsBits.ManageMessages) ?? false,
  manager: interaction.memberPermissions?.has(PermissionFlagsBits.ManageGuild) ?? false,
});

/** A thread is age-restricted as its channel is. A channel missing from the cache counts as not restricted. */
function placeOf({ channel }: RepliableInteraction): Pick<Asker, 'parentId' | 'nsfw'> {
  if (channel?.isThread())
    return { parentId: channel.parentId ?? undefined, nsfw: channel.parent?.nsfw ?? false };
  return { nsfw: channel !== null && 'nsfw' in channel && channel.nsfw === true };
}

/** Everybody has the role @everyone, whose id is the server's; Discord does not list it. */
function rolesOf({ member, guildId }: RepliableInteraction): readonly string[] {
  if (member === null || guildId === null) return [];
  return [guildId, ...(Array.isArray(member.roles) ? member.roles : member.roles.cache.keys())];
}
