import { ApplicationCommandOptionType, PermissionFlagsBits } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { UserError } from '../../shared/service/errors.ts';
import { stopJobs } from '../buttons/cancel.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { managed, showPanel } from '../server/panelActions.ts';
import { BLOCKED_MAX, blockMember, unblockMember } from '../server/settings.ts';
import { type Call, type Command, named } from './command.ts';

/**
 * /dreamgrid. Discord shows it to members who may manage the server, and lets them open it to others
 * in the integration's settings; so the permission is asked for again here, at each use.
 */
const member = {
  ...named('dreamgrid.block.member'),
  type: ApplicationCommandOptionType.User as const,
  required: true,
};
const sub = ApplicationCommandOptionType.Subcommand as const;

export const dreamgridCommand: Command = {
  kind: 'private',
  definition: {
    ...named('dreamgrid'),
    contexts: [0],
    integration_types: [0],
    default_member_permissions: String(PermissionFlagsBits.ManageGuild),
    options: [
      { ...named('dreamgrid.setup'), type: sub },
      { ...named('dreamgrid.block'), type: sub, options: [member] },
      { ...named('dreamgrid.unblock'), type: sub, options: [member] },
    ],
  },
  async run(call) {
    const { app, asker, answer, interaction } = call;
    managed(asker);
    switch (interaction.options.getSubcommand()) {
      case 'setup':
        return showPanel(app, asker, answer, 'people');
      case 'block':
        return block(call);
      case 'unblock':
        return unblock(call);
      default:
        throw new UserError('unknown-command');
    }
  },
};

async function block({ app, asker, answer, interaction }: Call): Promise<void> {
  const guildId = managed(asker);
  const { id } = interaction.options.getUser('member', true);
  if (!(await onRedis(blockMember(app.redis, guildId, id))))
    throw new UserError('blocked-full', { max: BLOCKED_MAX });
  const stopped = await stopJobs(app, id, guildId);
  app.log.info({ guildId, by: asker.user.id, userId: id, stopped }, 'member blocked');
  await answer.send(note(asker.locale, 'block.done', id, stopped));
}

async function unblock({ app, asker, answer, interaction }: Call): Promise<void> {
  const guildId = managed(asker);
  const { id } = interaction.options.getUser('member', true);
  const was = await onRedis(unblockMember(app.redis, guildId, id));
  if (was) app.log.info({ guildId, by: asker.user.id, userId: id }, 'member unblocked');
  await answer.send(note(asker.locale, was ? 'unblock.done' : 'unblock.was-not', id, 0));
}

const note = (
  locale: string,
  key: 'block.done' | 'unblock.done' | 'unblock.was-not',
  id: string,
  n: number,
): object => ({
  content: say(locale, key, { user: `<@${id}>`, n }),
  allowed_mentions: { parse: [] },
});
