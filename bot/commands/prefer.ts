import { ApplicationCommandOptionType } from 'discord.js';
import {
  OPTION_VALUE_MAX,
  optionName,
  readOptions,
  removeOption,
  setOption,
} from '../../shared/memory/customOptions.ts';
import { SUFFIX_MAX } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import { parsePrompt } from '../../shared/prompt/index.ts';
import { UserError } from '../../shared/service/errors.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { modelFor } from '../submit/expandPrompts.ts';
import { choose, toggle, toggleVariability } from '../submit/preferences.ts';
import { describeProblems } from '../submit/promptProblems.ts';
import { type Call, type Command, EVERYWHERE, named } from './command.ts';

const { String: TEXT, Integer, Subcommand, SubcommandGroup } = ApplicationCommandOptionType;

export const preferCommand: Command = {
  kind: 'private',
  definition: {
    ...named('prefer'),
    ...EVERYWHERE,
    options: [
      {
        ...named('prefer.option'),
        type: SubcommandGroup,
        options: [
          {
            ...named('prefer.option.set'),
            type: Subcommand,
            options: [
              {
                ...named('prefer.option.set.option'),
                type: TEXT,
                required: true,
                max_length: 32,
                autocomplete: true,
              },
              { ...named('prefer.option.set.value'), type: TEXT, max_length: OPTION_VALUE_MAX },
            ],
          },
          { ...named('prefer.option.list'), type: Subcommand },
        ],
      },
      {
        ...named('prefer.suffix'),
        type: Subcommand,
        options: [{ ...named('prefer.suffix.new_value'), type: TEXT, max_length: SUFFIX_MAX }],
      },
      { ...named('prefer.remix'), type: Subcommand },
      { ...named('prefer.variability'), type: Subcommand },
      { ...named('prefer.auto_dm'), type: Subcommand },
      {
        ...named('prefer.count'),
        type: Subcommand,
        options: [{ ...named('prefer.count.value'), type: Integer, min_value: 1, max_value: 4 }],
      },
    ],
  },
  async run(call) {
    const { interaction, answer } = call;
    const name = interaction.options.getSubcommand() as keyof typeof subcommands;
    const content = await subcommands[name](call);
    await answer.send({ content: content.slice(0, 2000), allowed_mentions: { parse: [] } });
  },
  /** Suggests the member's own options that match the typed text. */
  async complete({ app, interaction }) {
    const typed = interaction.options
      .getFocused()
      .replace(/^[-–—]+/, '')
      .toLowerCase();
    const options = await readOptions(app.redis, interaction.user.id);
    return [...options]
      .filter(([name]) => name.startsWith(typed))
      .map(([name, value]) => ({ name: `${name} = ${value}`.slice(0, 100), value: name }));
  },
};

/** The subcommands by name; each makes its change and returns the new state as text. */
const subcommands = {
  set: async ({ app, asker: { user, locale }, interaction }: Call) => {
    const typed = interaction.options.getString('option', true);
    const value = interaction.options.getString('value')?.trim() ?? '';
    const name = optionName(typed);
    if (value !== '') await onRedis(setOption(app.redis, user.id, name, value));
    else if (!(await onRedis(removeOption(app.redis, user.id, name))))
      throw new UserError('option-none', { name });
    return value === ''
      ? say(locale, 'prefer.removed', { name })
      : say(locale, 'prefer.set', { name, value: escapeMarkdown(value) });
  },
  list: async ({ app, asker: { user, locale } }: Call) => {
    const options = await onRedis(readOptions(app.redis, user.id));
    if (options.size === 0) return say(locale, 'prefer.none');
    return [...options]
      .map(([name, value]) => say(locale, 'prefer.line', { name, value: escapeMarkdown(value) }))
      .map((line) => (line.length > 90 ? `${line.slice(0, 89).replace(/\\$/, '')}…` : line))
      .join('\n');
  },
  suffix: async (call: Call) => {
    const { app, asker, interaction } = call;
    const suffix = interaction.options.getString('new_value')?.trim() ?? '';
    if (suffix !== '') await checkSuffix(call, suffix);
    await choose(app, asker, { suffix: suffix === '' ? undefined : suffix });
    return suffix === ''
      ? say(asker.locale, 'prefer.suffix.none')
      : say(asker.locale, 'prefer.suffix', { suffix: escapeMarkdown(suffix) });
  },
  remix: async ({ app, asker }: Call) =>
    say(asker.locale, (await toggle(app, asker, 'remix')) ? 'prefer.remix.on' : 'prefer.remix.off'),
  variability: async ({ app, asker }: Call) =>
    say(asker.locale, `prefer.variability.${await toggleVariability(app, asker)}`),
  auto_dm: async ({ app, asker }: Call) =>
    say(asker.locale, (await toggle(app, asker, 'autoDm')) ? 'prefer.auto-dm.on' : 'prefer.auto-dm.off'),
  count: async ({ app, asker, interaction }: Call) => {
    const count = interaction.options.getInteger('value') ?? undefined;
    await choose(app, asker, { count });
    return count === undefined
      ? say(asker.locale, 'prefer.count.none')
      : say(asker.locale, 'prefer.count', { n: count });
  },
};

/** A suffix may hold parameters only, no words. @throws UserError suffix-words, prompt */
async function checkSuffix({ app, asker }: Call, suffix: string): Promise<void> {
  if (!/^(?:--|[–—])/.test(suffix)) throw new UserError('suffix-words');
  const [models, customOptions] = await onRedis(
    Promise.all([app.models(), readOptions(app.redis, asker.user.id)]),
  );
  const example = `… ${suffix}`;
  const parsed = parsePrompt(example, {
    models: models.size === 0 ? undefined : models,
    defaultModel: modelFor(models, app.env.DEFAULT_MODEL),
    customOptions,
  });
  if (!parsed.ok)
    throw new UserError('prompt', { lines: describeProblems(asker.locale, example, parsed.problems) });
  if (parsed.prompts.length > 1) throw new UserError('suffix-words');
}
