import { type Client, Routes } from 'discord.js';
import type { Redis } from 'ioredis';
import { keys } from '../../shared/queue/redis.ts';
import type { Env } from '../../shared/service/env.ts';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import type { Log } from '../../shared/service/log.ts';
import { definitions } from './index.ts';

/** Most servers cleared of old commands where Redis does not hold the scope registered before. */
const MOST_GUILDS = 50;
const EVERYWHERE = 'everywhere';

/**
 * Tells Discord our commands: of one server, or of all. Discord shows those of both scopes, so the ones of the scope
 * that was used before are taken away.
 * @throws ConfigError where Discord refuses them
 */
export async function registerCommands(
  { application, guilds, rest }: Client<true>,
  { env, redis, log }: { env: Env; redis: Redis; log: Log },
): Promise<void> {
  const { id } = application;
  const guild = env.DISCORD_GUILD;
  const ofGuild = (guildId: string) => Routes.applicationGuildCommands(id, guildId);
  const all = Routes.applicationCommands(id);
  await rest.put(guild ? ofGuild(guild) : all, { body: definitions() }).catch((error: unknown) => {
    throw new ConfigError(`Discord refused the commands (${messageOf(error)}).`);
  });

  const before = await redis.get(keys.commands);
  const olds: { route: `/${string}`; where: string }[] = [];
  if (guild) olds.push({ route: all, where: EVERYWHERE });
  const guildIds = before === null ? [...guilds.cache.keys()].slice(0, MOST_GUILDS) : [before];
  for (const old of guildIds)
    if (old !== guild && old !== EVERYWHERE) olds.push({ route: ofGuild(old), where: old });
  for (const { route, where } of olds) {
    try {
      if (((await rest.get(route)) as unknown[]).length === 0) continue;
      await rest.put(route, { body: [] });
      log.info({ where }, 'took away the commands that stood twice');
    } catch (error) {
      log.warn({ err: error, where }, 'cannot take away the commands that stand twice');
    }
  }
  await redis.set(keys.commands, guild ?? EVERYWHERE);
}
