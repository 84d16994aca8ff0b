import { gzipSync } from 'node:zlib';
import { ApplicationCommandOptionType, ButtonStyle, ComponentType, type RawFile } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { printCustomId } from '../../shared/picture/customId.ts';
import { keys } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import { exportData } from '../history/mydata.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { type Call, type Command, EVERYWHERE, named } from './command.ts';

export const mydataCommand: Command = {
  kind: 'private',
  definition: {
    ...named('mydata'),
    ...EVERYWHERE,
    options: [
      { ...named('mydata.export'), type: ApplicationCommandOptionType.Subcommand },
      { ...named('mydata.erase'), type: ApplicationCommandOptionType.Subcommand },
    ],
  },
  async run(call) {
    if (call.interaction.options.getSubcommand() === 'export') await handOut(call);
    else await ask(call);
  },
};

async function handOut({ app, asker, answer }: Call): Promise<void> {
  const data = await exportData(app, asker.user.id);
  const file = fileOf(Buffer.from(JSON.stringify(data, undefined, 2)), asker.attachmentLimit);
  if (file.data.length > asker.attachmentLimit) throw new UserError('export-large');
  await answer.send(
    {
      content: say(asker.locale, 'mydata.export'),
      attachments: [{ id: 0, filename: file.name }],
      allowed_mentions: { parse: [] },
    },
    [file],
  );
}

/** The JSON as a file, gzipped where it is over the channel's file limit. */
const fileOf = (json: Buffer, limit: number): RawFile & { data: Buffer } =>
  json.length <= limit
    ? { name: 'dreamgrid.json', data: json, contentType: 'application/json' }
    : { name: 'dreamgrid.json.gz', data: gzipSync(json), contentType: 'application/gzip' };

async function ask({ app, asker: { user, locale }, answer }: Call): Promise<void> {
  const n = await onRedis(app.redis.zcard(keys.history(user.id)));
  const button = (action: 'my-erase' | 'my-keep', style: ButtonStyle.Danger | ButtonStyle.Secondary) => ({
    type: ComponentType.Button,
    style,
    label: say(locale, `button.${action}`),
    custom_id: printCustomId({ action, index: 0, jobId: user.id }),
  });
  await answer.send({
    embeds: [{ title: say(locale, 'mydata.ask'), description: say(locale, 'mydata.what', { n }) }],
    components: [
      {
        type: ComponentType.ActionRow,
        components: [button('my-erase', ButtonStyle.Danger), button('my-keep', ButtonStyle.Secondary)],
      },
    ],
    allowed_mentions: { parse: [] },
  });
}
