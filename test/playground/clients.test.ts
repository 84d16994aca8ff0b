import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as oceanic from 'oceanic.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { picture } from './scriptedBot.ts';

/** Second opinions: programs by other people, each reading Discord's API its own way. */

let pg: Playground;
beforeEach(async () => {
  pg = await startPlayground();
});
afterEach(() => pg.close());

async function wholeFlow(): Promise<void> {
  await pg.waitFor(() => pg.commands.length > 0 && pg.gatewayConnected, 60_000, 'the bot');
  const run = await pg.run(pg.users.member, 'imagine', { prompt: 'a fox' });
  await pg.waitFor(() => run.message?.attachments.length === 1, 30_000, 'the picture');
  expect(run.message!.content).toBe('**a fox**');
  const click = () => pg.click(pg.users.member, run.message!.id, 'U1');
  let clicked = await click();
  // discord.py knows its buttons only once the answer to its edit has arrived, which may be after the click.
  for (let again = 0; again < 5 && clicked.state === 'failed'; again++) clicked = await click();
  await pg.waitFor(() => clicked.message?.content === 'clicked u1', 30_000, 'the answer to the click');
  expect(clicked.message!.ephemeral).toBe(true);
  expect(pg.violations).toEqual([]);
}

test('oceanic.js completes a flow', async () => {
  const client = new oceanic.Client({
    auth: `Bot ${pg.token}`,
    rest: { baseURL: `${pg.api}/v10` },
    gateway: { intents: ['GUILDS', 'GUILD_MESSAGES'], connectionProperties: {} },
  });
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  client.on('interactionCreate', async (interaction) => {
    try {
      if (interaction.isCommandInteraction()) {
        await interaction.defer();
        await interaction.editOriginal({
          content: `**${interaction.data.options.getString('prompt', true)}**`,
          files: [{ name: 'grid.png', contents: await picture('#804020') }],
          components: [{ type: 1, components: [{ type: 2, style: 2, label: 'U1', customID: 'u1' }] }],
        });
      } else if (interaction.isComponentInteraction()) {
        await interaction.reply({ content: `clicked ${interaction.data.customID}`, flags: 64 });
      }
    } catch (error) {
      errors.push(error);
    }
  });
  client.on('ready', () => {
    client.application
      .createGlobalCommand({
        type: 1,
        name: 'imagine',
        description: 'Paint',
        options: [{ type: 3, name: 'prompt', description: 'What', required: true }],
      })
      .catch((error) => errors.push(error));
  });
  await client.connect();
  try {
    await wholeFlow();
    expect(errors).toEqual([]);
  } finally {
    client.disconnect(false);
  }
});

const python = ['/usr/bin/python3', 'python3'].find(
  (p) => spawnSync(p, ['-c', 'import discord']).status === 0,
);

describe.skipIf(!python)(`discord.py${python ? '' : ' (skipped: python3-discord is not installed)'}`, () => {
  test('completes a flow', async () => {
    const script = fileURLToPath(new URL('discordpy_bot.py', import.meta.url));
    const child = spawn(python!, [script], {
      env: { ...process.env, DISCORD_API: pg.api, DISCORD_TOKEN: pg.token },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      words += chunk;
    });
    const ended = once(child, 'exit');
    try {
      await Promise.race([
        wholeFlow(),
        ended.then(() => {
          throw new Error(`discord.py stopped: ${words}`);
        }),
      ]);
    } catch (error) {
      throw new Error(`${error}\n${words}`, { cause: error });
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  });
});
