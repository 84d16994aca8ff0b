import { say } from '../../shared/messages/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { readServer } from '../server/settings.ts';
import { loraLine, permitted, usableLoras } from '../submit/loras.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

const SHOWN = 25;

/** As many lines as fit into one field. */
const fitting = (lines: readonly string[], length: number): string => {
  let text = '';
  for (const line of lines)
    if (text.length + line.length < length) text += `${text === '' ? '' : '\n'}${line}`;
  return text;
};

export const modelsCommand: Command = {
  kind: 'private',
  definition: { ...named('models'), ...EVERYWHERE },
  async run({ app, asker: { locale, guildId }, answer }) {
    const [all, { loras: rules }] = await onRedis(
      Promise.all([app.models(), readServer(app.redis, guildId)]),
    );
    const models = permitted(all, rules);
    const lines = [...models.values()].slice(0, SHOWN).map(({ name, title, native, defaults }) =>
      say(locale, 'models.line', {
        name: escapeMarkdown(name).slice(0, 64),
        title: escapeMarkdown(title).slice(0, 60),
        width: native.width,
        height: native.height,
        steps: defaults.steps,
      }),
    );
    const loras = usableLoras(models).slice(0, SHOWN).map(loraLine);
    const fields =
      loras.length > 0 ? [{ name: say(locale, 'models.loras'), value: fitting(loras, 1024) }] : [];
    const description = lines.join('\n') || say(locale, 'info.none');
    await answer.send({
      embeds: [{ title: say(locale, 'models.title'), description, fields }],
      allowed_mentions: { parse: [] },
    });
  },
};
