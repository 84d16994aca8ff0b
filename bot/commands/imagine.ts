import { ApplicationCommandOptionType } from 'discord.js';
import { MAX_LENGTH } from '../../shared/prompt/index.ts';
import { imagine } from '../imagine.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

export const imagineCommand: Command = {
  kind: 'message',
  definition: {
    ...named('imagine'),
    ...EVERYWHERE,
    options: [
      {
        ...named('imagine.prompt'),
        type: ApplicationCommandOptionType.String,
        required: true,
        max_length: Math.min(6000, MAX_LENGTH),
      },
      { ...named('imagine.image'), type: ApplicationCommandOptionType.Attachment },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const image = interaction.options.getAttachment('image');
    const attached = image ? { url: image.url, size: image.size } : undefined;
    await imagine(app, asker, answer, interaction.options.getString('prompt', true), attached);
  },
};
