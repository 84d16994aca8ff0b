import { ApplicationCommandOptionType } from 'discord.js';
import { MAX_LENGTH } from '../../shared/prompt/index.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { readServer } from '../server/settings.ts';
import { imagine } from '../submit/imagine.ts';
import { completeLoras, permitted, usableLoras } from '../submit/loras.ts';
import { type Command, completeModel, EVERYWHERE, named } from './command.ts';

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
      {
        ...named('imagine.model'),
        type: ApplicationCommandOptionType.String,
        max_length: 64,
        autocomplete: true,
      },
      {
        ...named('imagine.lora'),
        type: ApplicationCommandOptionType.String,
        max_length: 400,
        autocomplete: true,
      },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const image = interaction.options.getAttachment('image');
    const attached = image ? { url: image.url, size: image.size } : undefined;
    const prompt = interaction.options.getString('prompt', true);
    const model = interaction.options.getString('model')?.replace(/\s+/g, '');
    const loras = (interaction.options.getString('lora') ?? '')
      .replace(/\s+/g, '')
      .split(',')
      .filter(Boolean);
    const behind = `${model ? ` --model ${model}` : ''}${loras.map((lora) => ` --lora ${lora}`).join('')}`;
    await imagine(app, asker, answer, `${prompt}${behind}`, attached);
  },
  async complete(typing) {
    const { app, interaction } = typing;
    const { name: field, value } = interaction.options.getFocused(true);
    if (field === 'lora') {
      const models = await app.models();
      const { loras: rules } = await onRedis(readServer(app.redis, interaction.guildId ?? undefined));
      const chosen = models.get(interaction.options.getString('model')?.trim() ?? '');
      const some = chosen ? new Map([[chosen.name, chosen]]) : models;
      return completeLoras(value, usableLoras(permitted(some, rules)));
    }
    return completeModel(typing);
  },
};
