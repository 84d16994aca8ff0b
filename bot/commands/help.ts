import { say } from '../../shared/messages/index.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

export const helpCommand: Command = {
  kind: 'private',
  definition: { ...named('help'), ...EVERYWHERE },
  async run({ asker: { locale, manager }, answer }) {
    await answer.send({
      embeds: [
        {
          title: say(locale, 'help.title'),
          description: say(locale, 'help.text'),
          fields: [
            { name: say(locale, 'help.commands'), value: say(locale, 'help.commands.text') },
            { name: say(locale, 'help.parameters'), value: say(locale, 'help.parameters.text') },
            ...(manager
              ? [{ name: say(locale, 'help.server'), value: say(locale, 'help.server.text') }]
              : []),
          ],
        },
      ],
      allowed_mentions: { parse: [] },
    });
  },
};
