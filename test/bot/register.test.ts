/** Where commands stand, and over how many shards the bot hears of them. */
import { afterEach, expect, it } from 'vitest';
import { connect, openClient } from '../../bot/client.ts';
import { registerCommands } from '../../bot/commands/register.ts';
import { keys } from '../../shared/queue/redis.ts';
import { readEnv } from '../../shared/service/env.ts';
import { openLog } from '../../shared/service/log.ts';
import { problemsOf, until } from '../support/faults.ts';
import { isMessage } from '../support/processes.ts';
import { freePort } from '../support/redis.ts';
import { type Stack, startStack } from '../support/stack.ts';

let stack: Stack;
afterEach(() => stack?.close());

const names = () => {
  const all = stack.playground.commands.map(({ name, type }) => `${type} ${name}`);
  return { all: all.length, different: new Set(all).size };
};
const scopes = () => new Set(stack.playground.commands.map((command) => command['guild_id'] ?? 'everywhere'));

it('DISCORD_GUILD set later, and removed again: every command stands once, in the scope of now', async () => {
  stack = await startStack();
  const { playground, redis } = stack;
  const log = openLog('bot', 'silent');
  const startWith = async (more: Record<string, string>): Promise<void> => {
    const env = readEnv({ ...stack.env, ...more });
    const client = openClient(env, log);
    await registerCommands(await connect(client, env), { env, redis: redis.client, log });
    await client.destroy();
  };
  for (const [more, scope, isRemembered] of [
    [{}, 'everywhere', true],
    [{ DISCORD_GUILD: playground.guildId }, playground.guildId, true],
    [{}, 'everywhere', true],
    [{ DISCORD_GUILD: playground.guildId }, playground.guildId, true],
    // Nobody remembers: the bot looks at its servers.
    [{}, 'everywhere', false],
  ] as const) {
    if (!isRemembered) await redis.client.del(keys.commands);
    await startWith(more);
    expect(names().all).toBeGreaterThan(10);
    expect(names().different).toBe(names().all);
    expect([...scopes()]).toEqual([scope]);
  }
});

it('opens as many shards as Discord asks for, and is ready when all of them are', async () => {
  stack = await startStack({ playground: { shards: 2 } });
  const port = await freePort();
  const bot = await stack.startBot({ HEALTH_PORT: String(port) });
  const started = await bot.logged(isMessage('bot ready'));
  expect(started).toMatchObject({ shards: 2, guilds: 1 });
  expect(await problemsOf(port)).toEqual([]);
  // Identifying again is held back, so that it stays away for as long as it is looked at.
  for (const shard of [0, 1]) {
    stack.playground.trouble.deafGateway(true);
    stack.playground.trouble.dropGateway(shard);
    await until(
      async () =>
        ((await problemsOf(port)) ?? []).includes(`the gateway is not connected (shard ${shard} of 2)`),
      `shard ${shard} is missed`,
    );
    stack.playground.trouble.deafGateway(false);
    await until(async () => (await problemsOf(port))?.length === 0, 'all shards are back');
  }
  const { member } = stack.playground.users;
  const handle = await stack.playground.run(member, 'help');
  expect(handle.state).toBe('acknowledged');
});
