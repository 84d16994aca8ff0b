import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { blockMember, changeServer } from '../../../bot/server/settings.ts';
import { openLimiter } from '../../../bot/submit/concurrencyLimiter.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { PEOPLE, refusal, told, useScene } from '../../support/bot.ts';
import { passOn, type Relay, startRelay } from '../../support/relay.ts';

const FOX = 'a fox in the snow at night';
const EN = { locale: 'en-US' };

/** Where the pictures of interactions are fetched from: counts, and keeps whoever asks waiting while it is told to. */
interface Cdn {
  url: string;
  asked: number;
  most: number;
  hold(): () => void;
  close(): void;
}

async function startCdn(): Promise<Cdn> {
  const png = await sharp({ create: { width: 64, height: 48, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  let busy = 0;
  let held: Promise<void> | undefined;
  const server: Server = createServer(async (_, response) => {
    cdn.asked++;
    cdn.most = Math.max(cdn.most, ++busy);
    await held;
    busy--;
    response.end(png);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cdn: Cdn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: 0,
    most: 0,
    hold() {
      let go: (() => void) | undefined;
      held = new Promise((done) => {
        go = done;
      });
      return () => {
        held = undefined;
        go?.();
      };
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return cdn;
}

describe('a picture to start from', { timeout: 240_000 }, () => {
  let cdn: Cdn;
  let relay: Relay;
  let guildId: string;
  const { member, stranger } = PEOPLE;
  const scene = useScene({
    env: { MAX_OPEN_JOBS: '6', MAX_PER_SERVER: '7', MAX_QUEUE: '9', SLOW_MODE_WAIT_S: '0' },
    between: async (discord) => {
      [cdn, relay] = await Promise.all([startCdn(), startRelay(discord.url)]);
      return { DISCORD_API: relay.api, DISCORD_CDN: cdn.url };
    },
  });
  beforeAll(() => {
    ({ guildId } = scene.discord);
    relay.forge = (event, data) => {
      const files = (data['data'] as { resolved?: { attachments?: Record<string, { url: string }> } })
        ?.resolved?.attachments;
      if (event === 'INTERACTION_CREATE')
        for (const file of Object.values(files ?? {})) file.url = `${cdn.url}${new URL(file.url).pathname}`;
      return passOn(event, data);
    };
  });
  afterAll(async () => {
    await relay?.close();
    cdn?.close();
  });
  afterEach(async () => {
    await rm(join(scene.dataDir, 'uploads'), { recursive: true, force: true });
    cdn.asked = 0;
    cdn.most = 0;
  });

  const file = { name: 'fox.png', file: Buffer.from('the CDN has another') };
  const imagine = (user: string, prompt = FOX, early = false) =>
    scene.discord.run(user, 'imagine', { prompt, image: file }, { ...EN, early });
  const text = (user: string, prompt = FOX) => scene.discord.run(user, 'imagine', { prompt }, EN);
  const uploads = () => readdir(join(scene.dataDir, 'uploads')).catch(() => []);
  const queued = (n: number) =>
    expect.poll(async () => (await scene.waiting()).length, { timeout: 30_000 }).toBe(n);

  it.each<[string, string, () => Promise<unknown>]>([
    [
      'somebody who is blocked',
      'Painting is off for you here',
      () => blockMember(scene.redis.client, guildId, member),
    ],
    [
      'the wrong channel',
      'Not in this channel',
      () => changeServer(scene.redis.client, guildId, { channels: [scene.discord.loungeId] }),
    ],
    [
      'the wrong role',
      'Not your role yet',
      () => changeServer(scene.redis.client, guildId, { roles: [scene.discord.roles.moderator] }),
    ],
    [
      'a word of the server’s own',
      'Banned prompt',
      () => changeServer(scene.redis.client, guildId, { words: ['fox'] }),
    ],
    [
      'slow mode',
      'Slow mode',
      async () => {
        await changeServer(scene.redis.client, guildId, { slowSeconds: 600 });
        await text(member);
      },
    ],
    [
      'a quota that is used up',
      'Enough for today',
      async () => {
        await changeServer(scene.redis.client, guildId, { daily: 1 });
        await text(member);
      },
    ],
    [
      'a member’s own cap',
      'Queue full',
      async () => {
        await text(member, `${FOX} --repeat 6`);
        await queued(6);
      },
    ],
    [
      'the cap of a server',
      'Queue full',
      async () => {
        await text(stranger, `${FOX} --repeat 6`);
        await queued(6);
        await text(scene.discord.users.moderator);
        await queued(7);
      },
    ],
  ])('%s: refused before anything is fetched or kept', async (_, title, arrange) => {
    await arrange();
    expect(refusal(await imagine(member))).toBe(title);
    expect(cdn.asked).toBe(0);
    expect(await uploads()).toEqual([]);
  });

  it.each([
    ['6 of theirs', 6, 6],
    ['9 of all', 0, 9],
  ])('%s whose jobs never came to be stand in nobody’s way', async (_, mine, all) => {
    const old = Date.now() - 60_000;
    for (let i = 0; i < all; i++) {
      if (i < mine) await scene.redis.client.zadd(keys.open(member), old, `119000000000000080${i}`);
      await scene.redis.client.zadd(keys.openAll, old, `119000000000000080${i}`);
    }
    expect((await imagine(member)).message?.content).toContain('(Waiting to start)');
    expect(cdn.asked).toBe(1);
  });

  it('/blend and /describe ask first too', async () => {
    await blockMember(scene.redis.client, guildId, member);
    const blended = await scene.discord.run(member, 'blend', { image1: file, image2: file }, EN);
    expect(refusal(blended)).toBe('Painting is off for you here');
    const described = await scene.discord.run(member, 'describe', { image: file }, EN);
    expect(refusal(described)).toBe('Painting is off for you here');
    await scene.redis.client.del(keys.blocked(guildId));
    await scene.redis.client.set(keys.asking(member), '1190000000000000888');
    expect(refusal(await scene.discord.run(member, 'describe', { image: file }, EN))).toBe('One at a time');
    expect(cdn.asked).toBe(0);
    expect(await uploads()).toEqual([]);
  });

  it('the question before a permutation fetches nothing; its Yes does', async () => {
    const asked = await imagine(member, 'a {red, blue} fox');
    expect(refusal(asked)).toBe('This makes 2 jobs. Go?');
    expect(cdn.asked).toBe(0);
    await scene.discord.click(member, told(asked)?.id as string, 'Yes', EN);
    await queued(2);
    expect(cdn.asked).toBe(1);
    expect(await uploads()).toHaveLength(1);
  });

  it('a description that could not be fetched leaves the way free for the next', async () => {
    const link = 'https://evil.example/a.png';
    for (let i = 0; i < 2; i++)
      expect(refusal(await scene.discord.run(member, 'describe', { link }, EN))).toBe('Invalid link');
  });

  it('that is slow to come: deferred, then the message', async () => {
    const go = cdn.hold();
    try {
      const asked = await imagine(member);
      expect(asked.callbackType).toBe(5);
      expect(asked.message?.loading).toBe(true);
      go();
      await scene.discord.waitFor(() => asked.message?.content.includes('(Waiting to start)'), 20_000);
      expect(await scene.messageOf(asked.id)).toBe(asked.message?.id);
    } finally {
      go();
    }
  });

  it('two at once, four of one member, and an honest word beyond', async () => {
    const go = cdn.hold();
    try {
      const mine = await Promise.all(Array.from({ length: 5 }, () => imagine(member, FOX, true)));
      await scene.discord.waitFor(() => mine.some((handle) => told(handle)?.ephemeral), 20_000);
      const refused = mine.filter((handle) => told(handle)?.ephemeral);
      expect(refused.map(refusal)).toEqual(['Too many images at once']);
      const other = await imagine(stranger, FOX, true);
      await expect.poll(() => cdn.asked, { timeout: 20_000 }).toBe(2);
      go();
      await queued(5);
      expect(cdn.most).toBe(2);
      expect((await scene.render(other.id))?.image?.key).toMatch(/^uploads\//);
    } finally {
      go();
    }
  });
});

describe('a line', () => {
  const codeOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: { code: string }) => error.code,
    );

  it('goes on in order, also after work that fails, and refuses what is too much', async () => {
    const line = openLimiter({ atOnce: 2, waiting: 2, perUser: 3 });
    const begun: string[] = [];
    const ends: ((fail?: Error) => void)[] = [];
    const enter = (name: string, user = name): Promise<string> =>
      line(user, () => {
        begun.push(name);
        return new Promise((done, fail) => ends.push((error) => (error ? fail(error) : done(name))));
      });
    const [a, b, c, d] = [enter('a'), enter('b', 'a'), enter('c', 'a'), enter('d')];
    expect(await codeOf(enter('e', 'a'))).toBe('image-line-user');
    expect(await codeOf(enter('f'))).toBe('image-line');
    expect(begun).toEqual(['a', 'b']);
    ends[0]?.(new Error('broke'));
    await expect(a).rejects.toThrow('broke');
    await expect.poll(() => begun).toEqual(['a', 'b', 'c']);
    ends[1]?.();
    await b;
    await expect.poll(() => begun).toEqual(['a', 'b', 'c', 'd']);
    const e = enter('e', 'a');
    ends[2]?.();
    ends[3]?.();
    expect(await Promise.all([c, d])).toEqual(['c', 'd']);
    await expect.poll(() => ends.length).toBe(5);
    ends[4]?.();
    expect(await e).toBe('e');
  });
});
