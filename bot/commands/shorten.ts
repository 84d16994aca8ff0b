import { ApplicationCommandOptionType } from 'discord.js';
import { MAX_LENGTH, printPrompt } from '../../shared/prompt/index.ts';
import { UserError } from '../../shared/service/errors.ts';
import { ask } from '../submit/ask.ts';
import { readPrompts } from '../submit/expandPrompts.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** /shorten: which words of a prompt matter to the model, in a message for the asker alone. */
export const shortenCommand: Command = {
  kind: 'private',
  definition: {
    ...named('shorten'),
    ...EVERYWHERE,
    options: [
      {
        ...named('shorten.prompt'),
        type: ApplicationCommandOptionType.String,
        required: true,
        max_length: Math.min(6000, MAX_LENGTH),
      },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const typed = interaction.options.getString('prompt', true);
    const { prompts } = await readPrompts(app, asker, typed);
    const [only] = prompts;
    if (!only || prompts.length > 1) throw new UserError('too-many', { n: prompts.length, max: 1 });
    const { prompt: text, negative, params } = only;
    if (text === '') throw new UserError('empty');
    const suffix = printPrompt({ prompt: '', negative, params }).trim();
    await ask(app, asker, answer, async () => ({ kind: 'shorten', text, suffix }));
  },
};
