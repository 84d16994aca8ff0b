import {
  Client,
  DefaultRestOptions,
  Events,
  GatewayIntentBits,
  Options,
  Partials,
  type RESTOptions,
  Status,
} from 'discord.js';
import type { Env } from '../shared/service/env.ts';
import { ConfigError, messageOf } from '../shared/service/errors.ts';
import type { Log } from '../shared/service/log.ts';

/** A discord.js client with almost no caches: interactions carry what handlers need. */
export function openClient(env: Env, log: Log): Client {
  const client = new Client({
    // As many shards as Discord asks for; one for up to some thousand servers.
    shards: 'auto',
    intents: [
      GatewayIntentBits.Guilds,
      GatewayIntentBits.GuildMessageReactions,
      GatewayIntentBits.DirectMessageReactions,
    ],
    partials: [Partials.Channel, Partials.Message, Partials.Reaction, Partials.User],
    allowedMentions: { parse: [] },
    makeCache: Options.cacheWithLimits({
      ...Options.DefaultMakeCacheSettings,
      MessageManager: 0,
      GuildMemberManager: { maxSize: 1, keepOverLimit: (member) => member.id === member.client.user.id },
      UserManager: { maxSize: 1, keepOverLimit: (user) => user.id === user.client.user?.id },
      ReactionManager: 0,
      PresenceManager: 0,
      VoiceStateManager: 0,
    }),
    rest: {
      api: env.DISCORD_API,
      makeRequest,
      ...(env.DISCORD_CDN === undefined ? {} : { cdn: env.DISCORD_CDN, mediaProxy: env.DISCORD_CDN }),
    },
  });
  client.on(Events.Error, (error) => log.warn({ err: error }, 'discord client'));
  client.on(Events.ShardError, (error) => log.warn({ err: error }, 'gateway connection'));
  surviveEvents(client, log);
  client.on(Events.ShardReconnecting, (shard) => log.info({ shard }, 'gateway reconnecting'));
  return client;
}

/** discord.js retries a request on ECONNRESET; undici reports a closed connection as UND_ERR_SOCKET. */
const makeRequest: RESTOptions['makeRequest'] = async (url, init) => {
  try {
    return await DefaultRestOptions.makeRequest(url, init);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'UND_ERR_SOCKET') throw error;
    throw Object.assign(new Error(messageOf(error), { cause: error }), { code: 'ECONNRESET' });
  }
};

interface Packets {
  handlePacket(packet: { t?: unknown } | undefined, shard: unknown): boolean;
}

/** discord.js throws on a gateway event of unexpected form; the event is logged and dropped, the bot stays. */
function surviveEvents(client: Client, log: Log): void {
  const ws = client.ws as unknown as Packets;
  const handle = ws.handlePacket.bind(ws);
  ws.handlePacket = (packet, shard) => {
    try {
      return handle(packet, shard);
    } catch (error) {
      log.error({ err: error, event: String(packet?.t) }, 'gateway event not understood');
      return false;
    }
  };
}

/** Connects all shards. @throws ConfigError in one line where the gateway refuses. */
export async function connect(client: Client, env: Env): Promise<Client<true>> {
  const token = env.DISCORD_TOKEN;
  if (token === undefined) throw new ConfigError('DISCORD_TOKEN is not set: the bot needs a bot token.');
  const ready = new Promise<Client<true>>((resolve, reject) => {
    client.once(Events.ClientReady, resolve);
    client.once(Events.ShardDisconnect, ({ code }) => reject(new ConfigError(describeClose(code))));
  });
  ready.catch(() => undefined); // `ready` is awaited below; a failed login rejects earlier
  await client.login(token).catch((error: unknown) => {
    const { code, status } = error as { code?: unknown; status?: unknown };
    if (code === 'TokenInvalid' || status === 401) throw new ConfigError(describeClose(4004));
    throw new ConfigError(`Discord does not answer at ${env.DISCORD_API} (${messageOf(error)}).`);
  });
  return ready;
}

/** One line for each shard that is not connected; empty when every shard is connected. */
export function gatewayProblems({ ws }: Client): string[] {
  const { size } = ws.shards;
  const away = [...ws.shards.values()].filter(({ status }) => status !== Status.Ready);
  if (size > 0 && away.length === 0) return [];
  if (size <= 1) return ['the gateway is not connected'];
  return [`the gateway is not connected (shard ${away.map(({ id }) => id).join(', ')} of ${size})`];
}

/** Gateway close codes after which discord.js does not come back. */
export function describeClose(code: number): string {
  if (code === 4004) return 'DISCORD_TOKEN: Discord does not accept this bot token.';
  if (code === 4014) return 'Discord refused the intents of this bot.';
  return `Discord closed the gateway for good (code ${code}).`;
}
