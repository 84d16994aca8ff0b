import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { picture, type ScriptedBot, startBot } from './scriptedBot.ts';

let pg: Playground;
let bot: ScriptedBot;
const DEADLINE = 30_000;

beforeAll(async () => {
  pg = await startPlayground();
  bot = await startBot(pg);
}, 60_000);
afterAll(async () => {
  await bot?.stop();
  await pg?.close();
});

test('a real discord.js client registers its commands', () => {
  expect(pg.commands.map((c) => c.name)).toEqual([
    'imagine',
    'info',
    'model',
    'prefer',
    'setup',
    'Show recipe',
    'Invite',
  ]);
  expect(pg.gatewayConnected).toBe(true);
});

test('a slash command is answered, edited with files, and its buttons work', {
  timeout: 60_000,
}, async () => {
  const run = await pg.run(pg.users.member, 'imagine', { prompt: 'a fox in the snow' });
  expect(run.state).toBe('acknowledged');
  await pg.waitFor(() => run.message?.buttons.length === 9, DEADLINE);
  const grid = run.message!;
  expect(grid.content).toBe(`**a fox in the snow** - <@${pg.users.member}> (fast)`);
  expect(grid.edited).toBe(true);
  expect(grid.attachments).toHaveLength(1);
  expect(grid.attachments[0]).toMatchObject({
    filename: 'mai_a_fox.png',
    width: 256,
    height: 256,
    content_type: 'image/png',
  });
  expect(grid.attachments[0]!.data.equals(await picture('#c0703a', 256))).toBe(true);
  const fetched = await fetch(grid.attachments[0]!.url);
  expect(Buffer.from(await fetched.arrayBuffer()).equals(grid.attachments[0]!.data)).toBe(true);

  const upscale = await pg.click(pg.users.member, grid.id, 'U2');
  await pg.waitFor(() => upscale.message?.loading === false, DEADLINE);
  expect(upscale.message!.content).toContain('Image #2');
  expect(upscale.message!.raw['message_reference']).toMatchObject({ message_id: grid.id });

  const remix = await pg.click(pg.users.stranger, grid.id, '🔄');
  expect(remix.modal).toMatchObject({ title: 'Remix', custom_id: 'remix' });
  const sent = await pg.submitModal(pg.users.stranger, remix, { prompt: 'a red fox' });
  expect(sent.message!.content).toBe('Remixed: a red fox');
  expect(bot.errors).toEqual([]);
});

test('an ephemeral answer is seen by one person only', async () => {
  const run = await pg.run(pg.users.member, 'info');
  expect(run.message!.ephemeral).toBe(true);
  const seenBy = (user: string) => pg.messages(pg.channelId, user).some((m) => m.id === run.message!.id);
  expect(seenBy(pg.users.member)).toBe(true);
  expect(seenBy(pg.users.stranger)).toBe(false);
  const picked = await pg.click(pg.users.member, run.message!.id, 'lane', { values: ['relax'] });
  expect(picked.message!.content).toBe('Lane: relax');
  pg.dismiss(pg.users.member, run.message!.id);
  expect(run.message).toBeUndefined();
});

test('autocomplete, subcommands, attachments and message commands arrive', async () => {
  const choices = await pg.autocomplete(pg.users.member, 'model', 'name', { name: 'sd' });
  expect(choices.choices).toEqual([
    { name: 'sd15', value: 'sd15' },
    { name: 'sdxl', value: 'sdxl' },
  ]);
  const sub = await pg.run(pg.users.member, 'prefer suffix', { text: '--ar 2:3' });
  expect(sub.message!.content).toContain('--ar 2:3');
  const message = pg.say(pg.users.stranger, 'hello');
  const recipe = await pg.messageCommand(pg.users.member, message.id, 'Show recipe');
  expect(recipe.message!.content).toBe(`Recipe of ${message.id}`);
  await expect(pg.run(pg.users.member, 'imagine', {})).rejects.toThrow('This option is required');
  await expect(pg.run(pg.users.member, 'model', { name: 'x', steps: 99 })).rejects.toThrow(
    'Must be 50 or less',
  );
  await expect(pg.run(pg.users.member, 'model', { name: 'x', lane: 'warp' })).rejects.toThrow(
    'Pick one of the choices',
  );
});

test('every request was valid and every answer fits the spec', () => {
  expect(pg.violations).toEqual([]);
  expect(bot.errors).toEqual([]);
  expect(pg.requests.length).toBeGreaterThan(10);
});
