import { ApplicationCommandOptionType } from 'discord.js';
import { MAX_LENGTH } from '../../shared/prompt/index.ts';
import { imagine } from '../submit/imagine.ts';
import { describeLora, usableLoras } from '../submit/loras.ts';
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
      {
        ...named('imagine.model'),
        type: ApplicationCommandOptionType.String,
        max_length: 64,
        autocomplete: true,
      },
      {
        ...named('imagine.lora'),
        type: ApplicationCommandOptionType.String,
        max_length: 100,
        autocomplete: true,
      },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const image = interaction.options.getAttachment('image');
    const attached = image ? { url: image.url, size: image.size } : undefined;
    const prompt = interaction.options.getString('prompt', true);
    const model = interaction.options.getString('model')?.replace(/\s+/g, '');
    const lora = interaction.options.getString('lora')?.replace(/\s+/g, '');
    const behind = `${model ? ` --model ${model}` : ''}${lora ? ` --lora ${lora}` : ''}`;
    await imagine(app, asker, answer, `${prompt}${behind}`, attached);
  },
  async complete({ app, interaction }) {
    const { name: field, value } = interaction.options.getFocused(true);
    const typed = value.trim().toLowerCase();
    if (field === 'lora')
      return usableLoras(await app.models())
        .filter((lora) => describeLora(lora).toLowerCase().includes(typed))
        .map((lora) => ({ name: describeLora(lora).slice(0, 100), value: `${lora.name}:${lora.weight}` }));
    return [...(await app.models()).values()]
      .filter(({ name, title }) => `${name} ${title}`.toLowerCase().includes(typed))
      .map(({ name, title }) => ({ name: `${name} · ${title}`.slice(0, 100), value: name }));
  },
};
