import { PermissionFlagsBits, type RepliableInteraction } from 'discord.js';
import type { Asker } from './app.ts';

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
  attachmentLimit: interaction.attachmentSizeLimit > 0 ? interaction.attachmentSizeLimit : FILE_LIMIT,
  moderator: interaction.memberPermissions?.has(PermissionFlagsBits.ManageMessages) ?? false,
});
