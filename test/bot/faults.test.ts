import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../bot/client.ts';
import type { InteractionHandle } from '../../playground/index.ts';
import { readEnv } from '../../shared/service/env.ts';
import { openLog } from '../../shared/service/log.ts';
import { openScene, type Scene, told } from '../support/bot.ts';
import { isMessage, startProcess } from '../support/processes.ts';

const FOX = 'a fox in the snow at night';
const EN = { locale: 'en-US' };

describe('what the bot survives', { timeout: 240_000 }, () => {
  let scene: Scene;
  let member: string;
  beforeEach(async () => {
    scene = await openScene();
    ({ member } = scene.discord.users);
  }, 120_000);
  afterEach(async () => {
    expect(scene.discord.violations).toEqual([]);
    await scene?.close();
  });

  const imagine = (prompt = FOX) => scene.discord.run(member, 'imagine', { prompt }, EN);
  const titleOf = (handle: InteractionHandle) => told(handle)?.embeds[0]?.['title'];

  it('Redis away at the click: told at once, nothing queued, and well again by itself', async () => {
    await scene.redis.kill('SIGKILL');
    const asked = await imagine();
    expect(asked.state).toBe('acknowledged');
    // At once, or after a deferral where its command was on the way already.
    await scene.discord.waitFor(() => titleOf(asked), 20_000);
    expect(told(asked)?.ephemeral).toBe(true);
    expect(titleOf(asked)).toBe('Try again in a moment');
    await scene.redis.start();
    await scene.empty();
    await expect
      .poll(async () => (await imagine()).message?.content, { timeout: 20_000, interval: 200 })
      .toContain('(Waiting to start)');
    expect(await scene.render(asked.id)).toBeUndefined();
  });

  it('Redis silent: deferred within 3 s, then told', async () => {
    await scene.redis.client.call('CLIENT', 'PAUSE', '6000', 'ALL');
    const asked = await imagine();
    expect(asked.callbackType).toBe(5);
    await scene.discord.waitFor(() => asked.followups[0]?.ephemeral, 20_000);
    expect(titleOf(asked)).toBe('Try again in a moment');
    expect(asked.message).toBeUndefined();
    expect(await scene.waiting()).toEqual([]);
  });

  it('Discord fails when it is to be told: told when Discord is well again', async () => {
    await scene.redis.client.call('CLIENT', 'PAUSE', '6000', 'ALL');
    scene.discord.trouble.add({ kind: 'lost-answer', match: /^DELETE \/webhooks\// });
    scene.discord.trouble.add({ kind: '500', match: /^POST \/webhooks\//, times: 4 }); // discord.js asks four times
    const asked = await imagine();
    await scene.discord.waitFor(() => asked.followups[0]?.ephemeral, 60_000);
    expect(titleOf(asked)).toBe('Try again in a moment');
  });

  it('Redis silent when somebody reacts with ❌: the job is stopped when it is back', async () => {
    const asked = await imagine();
    await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === asked.id);
    await scene.redis.client.call('CLIENT', 'PAUSE', '4000', 'ALL');
    scene.discord.react(member, asked.message!.id, '❌');
    await scene.bot.logged((event) => event['msg'] === 'cancelled' && event['jobId'] === asked.id);
    expect(await scene.waiting()).toEqual([]);
  });

  it('Redis full: refused with words, and well again when there is room', async () => {
    await scene.redis.client.config('SET', 'maxmemory', '1mb');
    expect(titleOf(await imagine()), scene.bot.lines.join('\n')).toBe('Try again in a moment');
    await scene.redis.client.config('SET', 'maxmemory', '0');
    expect((await imagine()).message?.content).toContain('(Waiting to start)');
    expect(await scene.waiting()).toHaveLength(1);
  });

  it('two bots with one token: one job, one message', async () => {
    const second = startProcess('bot/main.ts', scene.env);
    try {
      await second.logged(isMessage('bot ready'));
      const asked = await imagine();
      // The first to claim it goes on, the other one leaves it alone.
      const saidOf = (): unknown[] =>
        [scene.bot, second].flatMap(({ events }) =>
          events.filter(({ jobId, interactionId }) => [jobId, interactionId].includes(asked.id)),
        );
      await expect
        .poll(() => saidOf().map((event) => (event as { msg: string }).msg), { timeout: 60_000 })
        .toEqual(expect.arrayContaining(['queued', 'another bot has it']));
      expect(await scene.waiting()).toEqual([`g-${asked.id}`]);
      expect(await scene.messageOf(asked.id)).toBe(asked.message?.id);
      expect(scene.discord.messages()).toHaveLength(1);
      const pressed = await scene.discord.click(member, asked.message?.id as string, 'Cancel', EN);
      expect(pressed.state).toBe('acknowledged');
      await expect.poll(() => scene.waiting()).toEqual([]);
    } finally {
      second.signal('SIGKILL');
      await second.ended;
    }
  });

  it('the answer to the acknowledgement lost: one message, and its id known', async () => {
    scene.discord.trouble.add({ kind: 'lost-answer', match: /\/callback/ });
    const asked = await imagine();
    expect(await scene.messageOf(asked.id)).toBe(asked.message?.id);
    expect(scene.discord.messages()).toHaveLength(1);
  });

  it('Discord 500 on the acknowledgement: repeated', async () => {
    scene.discord.trouble.add({ kind: '500', match: /\/callback/ });
    const asked = await imagine();
    expect(asked.message?.content).toContain('(Waiting to start)');
  });

  it('a hundred prompts from one person, 25 at once: the cap, and words for the rest', async () => {
    const asked: InteractionHandle[] = [];
    for (let wave = 0; wave < 4; wave++)
      asked.push(...(await Promise.all(Array.from({ length: 25 }, () => imagine()))));
    expect(asked.every(({ state }) => state === 'acknowledged')).toBe(true);
    // On a busy machine some were deferred first: those are told in private, and the public "thinking" goes.
    const refused = () => asked.filter(({ message }) => message === undefined || message.ephemeral);
    await expect.poll(() => refused().length).toBe(87);
    expect(await scene.waiting()).toHaveLength(13);
    const other = await scene.discord.run(scene.discord.users.stranger, 'imagine', { prompt: FOX }, EN);
    expect(other.message?.content).toContain('1 job ahead');
  });

  it('the gateway dropped: comes back', async () => {
    scene.discord.trouble.dropGateway();
    await expect.poll(() => scene.discord.gatewayConnected, { timeout: 30_000 }).toBe(true);
    expect((await imagine()).message?.content).toContain('(Waiting to start)');
  });

  it('SIGTERM: leaves with 0', async () => {
    scene.bot.signal('SIGTERM');
    expect(await scene.bot.ended).toBe(0);
  });

  it('its token refused for good: leaves with one line', async () => {
    scene.discord.trouble.closeGateway(4004, 'Authentication failed.');
    expect(await scene.bot.ended).toBe(1);
    expect(scene.bot.lines.at(-1)).toContain('DISCORD_TOKEN');
  });

  it('keeps prompts, tokens and passwords out of its log', async () => {
    const asked = await imagine('canary prompt text');
    await imagine('canary prompt text --nonsense 1');
    scene.discord.trouble.add({ kind: '500', match: /\/callback/, times: 20 });
    const failing = await scene.discord.run(
      member,
      'imagine',
      { prompt: 'canary three' },
      { ...EN, early: true },
    );
    await scene.bot.logged((event) => event['msg'] === 'not acknowledged');
    const log = scene.bot.lines.join('\n');
    for (const secret of ['canary', asked.token, failing.token, scene.redis.password])
      expect(log).not.toContain(secret);
  });
});

describe('what the bot refuses to start with', { timeout: 240_000 }, () => {
  const start = async (env: Record<string, string>) => {
    const bot = startProcess('bot/main.ts', env);
    expect(await bot.ended).toBe(1);
    return bot.lines;
  };

  it('no Redis', async () => {
    const lines = await start({ REDIS_URL: 'redis://127.0.0.1:1', DISCORD_TOKEN: 'x' });
    expect(lines).toEqual([expect.stringMatching(/^Redis does not answer at 127\.0\.0\.1:1 .*REDIS_URL/)]);
  });

  it('a wrong setting', async () => {
    const lines = await start({ HEALTH_PORT: 'many', MAX_OPEN_JOBS: '-1' });
    expect(lines).toEqual([
      expect.stringMatching(/^Wrong setting: HEALTH_PORT.* MAX_OPEN_JOBS|MAX_OPEN_JOBS.*HEALTH_PORT/),
    ]);
  });

  it('a token that Discord does not know, or none', async () => {
    const scene = await openScene();
    try {
      expect((await start({ ...scene.env, DISCORD_TOKEN: 'wrong' })).at(-1)).toBe(
        'DISCORD_TOKEN: Discord does not accept this bot token.',
      );
      const { DISCORD_TOKEN: _, ...without } = scene.env;
      expect((await start(without)).at(-1)).toContain('DISCORD_TOKEN is not set');
    } finally {
      await scene.close();
    }
  });
});

it('a connection that Discord closes without an answer is no failure: the request is repeated', async () => {
  let asked = 0;
  const server = createServer((req, res) => {
    if (++asked === 1) return void req.socket.end(); // as at the end of its keep-alive
    res.setHeader('content-type', 'application/json').end('{"id":"1"}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const env = readEnv({ DISCORD_API: `http://127.0.0.1:${port}/api` });
  const client = openClient(env, openLog('test', 'silent'));
  try {
    expect(await client.rest.post('/interactions/1/token/callback', { auth: false })).toEqual({ id: '1' });
    expect(asked).toBe(2);
  } finally {
    await client.destroy();
    server.close();
  }
});
