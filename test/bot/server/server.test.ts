import sharp from 'sharp';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { InteractionHandle } from '../../../playground/index.ts';
import { openFolderStore, pictureKeys } from '../../../shared/picture/store.ts';
import { release } from '../../../shared/queue/fairness.ts';
import type { RenderResult } from '../../../shared/queue/job.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { announce } from '../../../shared/queue/registry.ts';
import { PEOPLE, pocket, refusal, told, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

/** What whoever manages a server sets up, as member, moderator, manager and stranger meet it. */
const FOX = 'a fox in the snow at night';

describe('a server of its own', { timeout: 240_000 }, () => {
  const scene = useScene();
  const users = PEOPLE;
  let here: string;
  let lounge: string;
  beforeAll(async () => {
    ({ channelId: here, loungeId: lounge } = scene.discord);
  });

  const imagine = (user: string, prompt = FOX, channelId = here, locale = 'en-US') =>
    scene.discord.run(user, 'imagine', { prompt }, { channelId, locale });
  const accepted = (asked: InteractionHandle): void => {
    expect(asked.message?.embeds).toEqual([]);
    expect(asked.message?.content).toContain('(Waiting to start)');
  };
  const panelText = (panel: InteractionHandle): string => panel.message?.embeds[0]?.['description'] ?? '';

  const setup = (user = users.owner, locale = 'en-US') =>
    scene.discord.run(user, 'dreamgrid setup', {}, { locale });
  const choose = (panel: InteractionHandle, control: string, values: string[], user = users.owner) =>
    scene.discord.click(user, panel.message?.id as string, `server1|${control}`, { values });
  const press = (panel: InteractionHandle, label: string, user = users.owner) =>
    scene.discord.click(user, panel.message?.id as string, label);
  const limits = async (daily: string, slow: string, count = '4'): Promise<InteractionHandle> => {
    const form = await press(await setup(), 'Limits…');
    return scene.discord.submitModal(users.owner, form, { daily, slow, count });
  };
  const words = async (text: string): Promise<InteractionHandle> => {
    const page = await press(await setup(), 'Safety');
    const form = await press(page, 'Own words…');
    return scene.discord.submitModal(users.owner, form, { words: text });
  };
  const audited = (code: string, userId: string) =>
    scene.bot.logged((event) => event['audit'] === code && event['userId'] === userId);

  it('paints for everybody, everywhere, without any setup', async () => {
    accepted(await imagine(users.member));
    accepted(await imagine(users.stranger, FOX, lounge));
  });

  describe('the panel', () => {
    it('is for whoever manages the server: hidden from others, and refused where Discord lets them through', async () => {
      await expect(setup(users.member)).rejects.toThrow('Unknown command');
      const panel = await setup();
      expect(panel.message?.ephemeral).toBe(true);
      expect(panel.message?.embeds[0]?.['title']).toBe('Dreamgrid on this server');
      expect(panelText(panel)).toContain('**Painting in:** everywhere');
      expect(panelText(panel)).toContain('**Blocked members:** none');
      const moderator = await setup(users.moderator);
      expect(moderator.message?.embeds[0]?.['title']).toBe('Dreamgrid on this server');
    });

    it('checks again at every click', async () => {
      const asked = await imagine(users.member);
      const forged = await scene.discord.click(users.member, asked.message?.id as string, 'server1|reset', {
        forge: true,
      });
      expect(refusal(forged)).toBe('Not yours to set');
      await audited('not-manager', users.member);
      expect(await scene.redis.client.exists(keys.server(scene.discord.guildId))).toBe(0);
    });

    it('saves each choice at once and shows what is in force', async () => {
      const panel = await setup();
      const after = await choose(panel, 'channels', [lounge]);
      expect(after.callbackType).toBe(7);
      expect(after.message?.id).toBe(panel.message?.id);
      expect(panelText(after)).toContain(`**Painting in:** <#${lounge}>`);
      await choose(panel, 'roles', [scene.discord.roles.artist]);
      await choose(panel, 'model', ['pocket']);
      const safety = await press(panel, 'Safety');
      await choose(safety, 'switches', ['moderation']);
      await choose(safety, 'safety', ['block']);
      await choose(safety, 'audit', [lounge]);
      const again = panelText(await setup());
      for (const line of [
        `**Painting in:** <#${lounge}>`,
        `**Who may paint:** <@&${scene.discord.roles.artist}>`,
        '**Default model:** pocket',
        '**Age-restricted channels:** the same rules as elsewhere',
        '**Flagged pictures:** not checked: no model here brings a checker',
        '**Pings when done:** off',
        `**Refusals are noted in:** <#${lounge}>`,
      ])
        expect(again).toContain(line);
      await announce(scene.redis.client, {
        id: 'other',
        models: [{ ...pocket, name: 'tiny', checked: true }],
      });
      expect(panelText(await setup())).toContain('**Flagged pictures:** not shown');
      const reset = await press(await setup(), 'Reset');
      expect(panelText(reset)).toContain('**Painting in:** everywhere');
      expect(panelText(reset)).toContain('**Pings when done:** on');
    });

    it('takes limits and words in forms, and says what is wrong with them', async () => {
      expect(panelText(await limits('20', '30'))).toContain('**Jobs a day for each member:** 20');
      expect(panelText(await setup())).toContain('**Slow mode:** one request in 30 seconds');
      expect(panelText(await limits('20', '30', '2'))).toContain('**Pictures in a grid:** 2');
      await limits('20', '30');
      for (const [daily, slow, title, count] of [
        ['many', '0', 'Not a number of jobs'],
        ['-1', '0', 'Not a number of jobs'],
        ['10001', '0', 'Not a number of jobs'],
        ['1', '1e3', 'Not a number of seconds'],
        ['1', '0', 'Not a number of pictures', '5'],
        ['1', '0', 'Not a number of pictures', '0'],
      ] as const) {
        const refused = await limits(daily, slow, count);
        expect(told(refused)?.embeds[0]?.['title']).toBe(title);
      }
      expect(panelText(await setup())).toContain('**Jobs a day for each member:** 20');
      expect(panelText(await words('pumpkin\n  rutabaga , pumpkin\n\n—'))).toContain(
        'on · 2 words of your own',
      );
      const long = await words('x'.repeat(61));
      expect(refusal(long)).toBe('A word is too long');
    });

    it('speaks Vietnamese', async () => {
      const panel = await setup(users.owner, 'vi');
      expect(panel.message?.embeds[0]?.['title']).toBe('Dreamgrid trên máy chủ này');
      expect(panel.message?.buttons.map(({ label }) => label)).toEqual(['An toàn', 'Giới hạn…', 'Đặt lại']);
    });

    it('does nothing where there is no server, and with the panel of another version', async () => {
      const panel = await setup();
      const old = await scene.discord.click(users.owner, panel.message?.id as string, 'server0|channels', {
        forge: true,
      });
      expect(refusal(old)).toBe('Button expired');
      await expect(
        scene.discord.run(users.owner, 'dreamgrid setup', {}, { channelId: scene.discord.dm(users.owner) }),
      ).rejects.toThrow('Unknown command');
    });

    it('passes over a setting that cannot be read', async () => {
      await scene.redis.client.hset(keys.server(scene.discord.guildId), {
        channels: '["nowhere"]',
        daily: '{',
        pings: 'false',
      });
      accepted(await imagine(users.member));
      expect(panelText(await setup())).toContain('**Pings when done:** off');
    });
  });

  it('tells of itself in /help, to whom it concerns', async () => {
    const help = async (user: string): Promise<string> =>
      JSON.stringify((await scene.discord.run(user, 'help', {}, { locale: 'en-US' })).message?.embeds);
    expect(await help(users.owner)).toContain('/dreamgrid setup');
    expect(await help(users.member)).not.toContain('/dreamgrid');
  });

  it('keeps to its channels', async () => {
    await choose(await setup(), 'channels', [lounge]);
    const refused = await imagine(users.member);
    expect(refusal(refused)).toBe('Not in this channel');
    expect(refused.message?.embeds[0]?.['description']).toContain(`<#${lounge}>`);
    expect(refused.message?.embeds[0]?.['footer'].text).toBe(`/imagine prompt: ${FOX}`);
    await audited('wrong-channel', users.member);
    accepted(await imagine(users.member, FOX, lounge));
    accepted(await imagine(users.member, FOX, scene.discord.dm(users.member)));
    expect(await scene.waiting()).toHaveLength(2);
  });

  it('keeps to its roles, and takes @everyone for everybody', async () => {
    await choose(await setup(), 'roles', [scene.discord.roles.artist]);
    accepted(await imagine(users.member));
    expect(refusal(await imagine(users.stranger))).toBe('Not your role yet');
    await audited('wrong-role', users.stranger);
    await choose(await setup(), 'roles', [scene.discord.guildId]);
    accepted(await imagine(users.stranger));
  });

  it('keeps turbo for those who may', async () => {
    await choose(await setup(), 'turbo', [scene.discord.roles.artist]);
    accepted(await imagine(users.member, `${FOX} --turbo`));
    const refused = await imagine(users.stranger, `${FOX} --turbo`, here, 'vi');
    expect(refusal(refused)).toBe('Bạn không dùng turbo ở đây được');
    accepted(await imagine(users.stranger, `${FOX} --fast`));
  });

  it('paints with its own model where nobody names one', async () => {
    await announce(scene.redis.client, { id: 'other', models: [{ ...pocket, name: 'tiny' }] });
    await choose(await setup(), 'model', ['tiny']);
    const asked = await imagine(users.member);
    await expect.poll(async () => (await scene.render(asked.id))?.model).toBe('tiny');
    const named = await imagine(users.member, `${FOX} --model pocket`);
    await expect.poll(async () => (await scene.render(named.id))?.model).toBe('pocket');
    // one that nobody paints with any more is passed over
    await scene.redis.client.hset(keys.server(scene.discord.guildId), 'model', '"gone"');
    const passed = await imagine(users.member);
    await expect.poll(async () => (await scene.render(passed.id))?.model).toBe('pocket');
  });

  it('pings nobody when it wants quiet', async () => {
    const safety = await press(await setup(), 'Safety');
    await choose(safety, 'switches', ['moderation', 'adults']);
    const asked = await imagine(users.member);
    await expect.poll(async () => (await scene.deliver(asked.id))?.deliver.quiet).toBe(true);
  });

  it('blocks a member, stops what they have in line, and lets them back in', async () => {
    const mine = await imagine(users.stranger);
    accepted(mine);
    await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === mine.id);
    const done = await scene.discord.run(users.owner, 'dreamgrid block', { member: users.stranger });
    expect(done.message?.ephemeral).toBe(true);
    expect(done.message?.content).toContain('1 job was stopped');
    expect(done.message?.pinged).toEqual([]);
    expect(await scene.waiting()).toEqual([]);
    expect(refusal(await imagine(users.stranger))).toBe('Painting is off for you here');
    const png = { name: 'x.png', file: Buffer.from('never fetched') };
    const inspected = await scene.discord.run(users.stranger, 'inspect', { image: png }, { locale: 'en-US' });
    expect(refusal(inspected)).toBe('Painting is off for you here');
    await audited('blocked', users.stranger);
    accepted(await imagine(users.stranger, FOX, scene.discord.dm(users.stranger)));
    accepted(await imagine(users.member));
    expect(panelText(await setup())).toContain(`**Blocked members:** <@${users.stranger}>`);
    await scene.discord.run(users.owner, 'dreamgrid unblock', { member: users.stranger });
    accepted(await imagine(users.stranger));
    const again = await scene.discord.run(users.owner, 'dreamgrid unblock', { member: users.stranger });
    expect(again.message?.content).toContain('was not blocked');
  });

  it('counts a day, and shows it in /info', async () => {
    await limits('2', '0');
    accepted(await imagine(users.member));
    expect(refusal(await imagine(users.member, `${FOX} --repeat 2`))).toBe('Enough for today');
    accepted(await imagine(users.member));
    const over = await imagine(users.member);
    expect(over.message?.embeds[0]?.['description']).toContain('2 of the 2 jobs a day');
    await audited('quota-server', users.member);
    accepted(await imagine(users.stranger));
    const info = await scene.discord.run(users.member, 'info');
    expect(JSON.stringify(info.message?.embeds)).toContain('2 of 2 on this server');
    accepted(await imagine(users.member, FOX, scene.discord.dm(users.member)));
  });

  it('lets one request through at a time, moderators whenever they like', async () => {
    await limits('0', '600');
    accepted(await imagine(users.member));
    const early = await imagine(users.member);
    expect(refusal(early)).toBe('Slow mode');
    expect(early.message?.embeds[0]?.['description']).toContain('every 10 min');
    accepted(await imagine(users.moderator));
    accepted(await imagine(users.moderator));
    await scene.redis.client.del(keys.slow(scene.discord.guildId, users.member));
    accepted(await imagine(users.member));
  });

  it('tells its audit channel once of somebody who tries again and again', async () => {
    const safety = await press(await setup(), 'Safety');
    await choose(safety, 'audit', [lounge]);
    await words('rutabaga');
    for (let i = 0; i < 3; i++)
      expect(refusal(await imagine(users.member, 'a rutabaga || @everyone'))).toBe('Banned prompt');
    const lines = () => scene.discord.messages(lounge).filter(({ content }) => content.startsWith('🛑'));
    const line = await scene.discord.waitFor(() => lines().at(-1), 20_000);
    expect(line.content).toContain(`🛑 <@${users.member}> in <#${here}>: Banned prompt (\`banned-own\`)`);
    expect(line.content).toContain('||a rutabaga \\|\\| \\@everyone||');
    expect(line.pinged).toEqual([]);
    expect(line.mentionEveryone).toBe(false);
    accepted(await imagine(users.member));
    expect(lines()).toHaveLength(1);
    await audited('banned-own', users.member);
    expect(scene.bot.lines.join('\n')).not.toContain('rutabaga');
  });

  it('has no refusals written where it is not at home', async () => {
    const elsewhere = scene.discord.dm(users.stranger);
    await words('rutabaga');
    await scene.redis.client.hset(keys.server(scene.discord.guildId), 'audit', JSON.stringify(elsewhere));
    expect(refusal(await imagine(users.member, 'a rutabaga'))).toBe('Banned prompt');
    await scene.bot.logged((event) => event['msg'] === 'the channel for refusals is not of this server');
    // one that came later and is written
    await scene.redis.client.hset(keys.server(scene.discord.guildId), 'audit', JSON.stringify(lounge));
    await imagine(users.moderator, 'a rutabaga');
    await scene.discord.waitFor(
      () => scene.discord.messages(lounge).some(({ content }) => content.includes(`<@${users.moderator}>`)),
      20_000,
    );
    expect(scene.discord.messages(elsewhere).filter(({ content }) => content.startsWith('🛑'))).toEqual([]);
  });

  describe('an old picture shown again', () => {
    const show = (job_id: string, channelId: string) =>
      scene.discord.run(users.member, 'show', { job_id }, { channelId, locale: 'en-US' });
    /** Painted in the lounge while that was age-restricted, and stored. */
    async function painted(prompt: string, checked: Pick<RenderResult, 'flagged' | 'safety'> = {}) {
      scene.discord.restrict(lounge, true);
      const asked = await imagine(users.member, prompt, lounge);
      accepted(asked);
      const { recipe } = await finish(scene, asked.id);
      const store = await openFolderStore(scene.dataDir);
      const pictures = [0, 1, 2, 3].map((i) => pictureKeys.picture(asked.id, i));
      const grid = pictureKeys.grid(asked.id);
      const png = await sharp({ create: { width: 128, height: 128, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
      for (const key of [...pictures, grid]) await store.put(key, png);
      const result = { v: 1, jobId: asked.id, recipe, pictures, grid, width: 128, height: 128, paintMs: 1 };
      await store.put(pictureKeys.result(asked.id), Buffer.from(JSON.stringify({ ...result, ...checked })));
      return asked.id;
    }
    afterEach(() => scene.discord.restrict(lounge, false));

    it('keeps to the words of the place where it is shown', async () => {
      const jobId = await painted('a nude');
      const again = await show(jobId, lounge);
      expect(again.message?.attachments).toHaveLength(1);
      const elsewhere = await show(jobId, here);
      expect(elsewhere.message?.attachments ?? []).toEqual([]);
      expect(refusal(elsewhere)).toBe('Banned prompt');
      await choose(await setup(), 'channels', [here]);
      const closed = await show(jobId, lounge);
      expect(refusal(closed)).toBe('Not in this channel');
    });

    it('is painted again where flagged pictures are treated more strictly', async () => {
      const jobId = await painted(FOX, { flagged: [1], safety: 'spoiler' });
      await choose(await press(await setup(), 'Safety'), 'safety', ['block']);
      expect((await show(jobId, lounge)).message?.attachments).toHaveLength(1);
      const stricter = await show(jobId, here);
      expect(stricter.message?.attachments).toEqual([]);
      expect(stricter.message?.content).toContain('(Waiting to start)');
      await expect.poll(async () => (await scene.render(stricter.id))?.safety).toBe('block');
    });
  });

  describe('words', () => {
    const refused = async (prompt: string, user = users.member, channelId = here): Promise<string> => {
      const asked = await imagine(user, prompt, channelId);
      expect(refusal(asked)).toBe('Banned prompt');
      return asked.message?.embeds[0]?.['description'] as string;
    };

    it('by default: no slurs, and neither sex nor gore where everybody looks', async () => {
      expect(await refused('a nud3 woman')).toContain('Sexual pictures are not painted in this channel');
      expect(await refused('a s e v e r e d head, gore')).toContain('Gore is not painted');
      expect(await refused('a f4ggot')).toContain('slur');
      expect(await refused('nude child')).toContain('children');
      expect(await refused('a nude', users.member, scene.discord.dm(users.member))).toContain('Sexual');
      accepted(await imagine(users.member, 'a statue --no nudity, gore'));
      accepted(await imagine(users.member, 'Dick Tracy in the cockpit over Essex'));
      expect(await scene.waiting()).toHaveLength(2);
    });

    it('in an age-restricted channel less is refused, unless the server says otherwise', async () => {
      scene.discord.restrict(lounge, true);
      try {
        accepted(await imagine(users.member, 'a nude', lounge));
        accepted(await imagine(users.member, 'gore', lounge));
        expect(await refused('a f4ggot', users.member, lounge)).toContain('slur');
        expect(await refused('nude child', users.member, lounge)).toContain('children');
        const safety = await press(await setup(), 'Safety');
        await choose(safety, 'switches', ['moderation', 'pings']);
        expect(await refused('a nude', users.member, lounge)).toContain('Sexual');
      } finally {
        scene.discord.restrict(lounge, false);
      }
      expect(await refused('a nude', users.member, lounge)).toContain('Sexual');
    });

    it('without the lists only its own words and the law remain', async () => {
      const safety = await press(await setup(), 'Safety');
      await choose(safety, 'switches', ['adults', 'pings']);
      await words('rutabaga');
      accepted(await imagine(users.member, 'a nude'));
      expect(await refused('rut4b4ga')).toContain('This server has chosen');
      expect(await refused('nude child')).toContain('children');
    });

    it('are read behind buttons and in the remix form', async () => {
      scene.discord.restrict(lounge, true);
      const asked = await imagine(users.member, 'a nude', lounge);
      accepted(asked);
      const { messageId } = await finish(scene, asked.id);
      scene.discord.restrict(lounge, false);
      for (const label of ['U1', 'V2', '🔄']) {
        const pressed = await scene.discord.click(users.member, messageId, label, { locale: 'en-US' });
        expect(refusal(pressed), label).toBe('Banned prompt');
      }
      const fox = await imagine(users.member);
      const { messageId: foxes } = await finish(scene, fox.id);
      await scene.discord.run(users.member, 'prefer remix', {}, { locale: 'en-US' });
      const form = await scene.discord.click(users.member, foxes, 'V1', { locale: 'en-US' });
      const sent = await scene.discord.submitModal(
        users.member,
        form,
        { prompt: 'a nude' },
        { locale: 'en-US' },
      );
      expect(refusal(sent)).toBe('Banned prompt');
      expect(await scene.waiting()).toHaveLength(2);
    });

    it('are read in the form that mends a prompt too, and told in Vietnamese', async () => {
      const wrong = await imagine(users.member, 'a woman --stylize 5000');
      const form = await scene.discord.click(users.member, wrong.message?.id as string, 'Fix it');
      const sent = await scene.discord.submitModal(users.member, form, { prompt: 'a nude woman' });
      expect(refusal(sent)).toBe('Banned prompt');
      const vi = await imagine(users.member, 'cô gái khỏa thân', here, 'vi');
      expect(refusal(vi)).toBe('Lời mô tả bị cấm');
      expect(await scene.waiting()).toEqual([]);
    });
  });
});

describe('limits of the operator', { timeout: 240_000 }, () => {
  const scene = useScene({
    env: {
      DAILY_JOBS: '3',
      MAX_PER_SERVER: '4',
      MAX_QUEUE: '5',
      SLOW_MODE_WAIT_S: '60',
      MODERATION: 'off',
    },
  });
  const users = PEOPLE;
  const imagine = (user: string, prompt = FOX) =>
    scene.discord.run(user, 'imagine', { prompt }, { locale: 'en-US' });
  const title = async (asked: Promise<InteractionHandle>): Promise<string | undefined> =>
    (await asked).message?.embeds[0]?.['title'];

  it('a day has so many jobs, also over several servers, and a refused one counts for nothing', async () => {
    const dm = { channelId: scene.discord.dm(users.member), locale: 'en-US' };
    expect(await title(imagine(users.member, `${FOX} --repeat 2`))).toBeUndefined();
    expect(await title(imagine(users.member, `${FOX} --repeat 2`))).toBe('Enough for today');
    expect(await title(scene.discord.run(users.member, 'imagine', { prompt: FOX }, dm))).toBeUndefined();
    expect(await title(scene.discord.run(users.member, 'imagine', { prompt: FOX }, dm))).toBe(
      'Enough for today',
    );
    const info = await scene.discord.run(users.member, 'info');
    expect(JSON.stringify(info.message?.embeds)).toContain('3 of 3, until midnight UTC');
  });

  it('a server has so many open jobs, and one over it is given back', async () => {
    expect(await title(imagine(users.member, `${FOX} --repeat 3`))).toBeUndefined();
    await expect.poll(async () => (await scene.waiting()).length, { timeout: 20_000 }).toBe(3);
    const over = await imagine(users.stranger, `${FOX} --repeat 2`);
    expect(over.message?.embeds[0]?.['title']).toBe('Queue full');
    expect(over.message?.embeds[0]?.['description']).toContain(
      '3 jobs waiting or running, and 4 is the limit',
    );
    expect(await scene.redis.client.zcard(keys.open(users.stranger))).toBe(0);
    expect(await scene.redis.client.zcard(keys.openAll)).toBe(3);
    expect(await title(imagine(users.stranger))).toBeUndefined();
    expect(await title(imagine(users.moderator))).toBe('Queue full');
    // in a direct message there is no server to fill
    const dm = { channelId: scene.discord.dm(users.moderator), locale: 'en-US' };
    expect(await title(scene.discord.run(users.moderator, 'imagine', { prompt: FOX }, dm))).toBeUndefined();
  });

  it('there is one queue for all, and what is over it is refused honestly and costs nothing', async () => {
    const direct = (user: string, prompt = FOX) =>
      scene.discord.run(user, 'imagine', { prompt }, { channelId: scene.discord.dm(user), locale: 'en-US' });
    const first = await imagine(users.member, `${FOX} --repeat 3`);
    expect(first.message?.embeds).toEqual([]);
    expect(await title(direct(users.stranger))).toBeUndefined();
    await expect.poll(async () => (await scene.waiting()).length, { timeout: 20_000 }).toBe(4);
    const two = await direct(users.moderator, `${FOX} --repeat 2`);
    expect(two.message?.ephemeral).toBe(true);
    expect(two.message?.embeds[0]).toMatchObject({
      title: 'Queue full',
      description: 'The queue is full (5 jobs). Try again in a few minutes.',
    });
    expect(await scene.redis.client.zcard(keys.open(users.moderator))).toBe(0);
    expect(await scene.redis.client.zcard(keys.openAll)).toBe(4);
    expect(await title(direct(users.moderator))).toBeUndefined();
    const full = await direct(users.owner);
    expect(full.message?.embeds[0]?.['description']).toContain('The queue is full (5 jobs)');
    expect(await scene.redis.client.exists(keys.open(users.owner))).toBe(0);
    expect(await scene.waiting()).toHaveLength(5);
    const info = await scene.discord.run(users.owner, 'info', {}, { locale: 'en-US' });
    expect(JSON.stringify(info.message?.embeds)).toContain('0 of 3, until midnight UTC');
    await release(scene.redis.client, users.member, first.id);
    expect(await title(direct(users.owner))).toBeUndefined();
  });

  it('a long line has room for one job each', async () => {
    await scene.redis.client.hset(keys.pace, 'pocket', '40000');
    expect(await title(imagine(users.member))).toBeUndefined();
    const second = await imagine(users.member);
    expect(second.message?.embeds[0]?.['title']).toBe('A long line');
    expect(second.message?.embeds[0]?.['description']).toContain('about 80 sec');
    expect(await title(imagine(users.stranger))).toBeUndefined();
    expect(await title(imagine(users.stranger))).toBe('A long line');
  });

  it('without the lists no word is refused but what is refused everywhere', async () => {
    expect(await title(imagine(users.member, 'a nude'))).toBeUndefined();
    expect(await title(imagine(users.member, 'nude child'))).toBe('Banned prompt');
  });
});
