import { describe, expect, it } from 'vitest';
import { readSettings } from '../../../shared/memory/settings.ts';
import { PEOPLE, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

const FOX = 'a fox in the snow';

describe('what a member chooses', { timeout: 240_000 }, () => {
  const scene = useScene();
  const { member, stranger } = PEOPLE;

  const run = (
    command: string,
    options: Record<string, string | number> = {},
    locale = 'en-US',
    user = member,
  ) => scene.discord.run(user, command, options, { locale });
  const say = async (command: string, options: Record<string, string | number> = {}, locale = 'en-US') => {
    const { message } = await run(command, options, locale);
    expect(message?.ephemeral).toBe(true);
    return message?.content;
  };
  const refused = async (command: string, options: Record<string, string>) => {
    const { message } = await run(command, options);
    expect(message?.ephemeral).toBe(true);
    return message?.embeds[0]?.['title'];
  };
  const imagine = (prompt: string, user = member) => run('imagine', { prompt }, 'en-US', user);
  const settings = () => readSettings(scene.redis.client, member);

  describe('/settings', () => {
    const open = async (locale = 'en-US') => (await run('settings', {}, locale)).message;
    const label = async (name: RegExp) => (await open())?.buttons.find((button) => name.test(button.label));

    it('is a panel for oneself, in one’s own language, that each click changes', async () => {
      const panel = await open('vi');
      expect(panel?.ephemeral).toBe(true);
      expect(panel?.embeds[0]?.['title']).toBe('Cài đặt của bạn');
      expect(panel?.buttons.map((button) => button.label)).toEqual([
        'Raw',
        'Remix',
        'Biến đổi cao',
        'Bản sao qua DM',
        'Đặt lại',
        'Siêu tốc',
        'Nhanh',
        'Thong thả',
        'Công khai',
        'Riêng tư',
      ]);
      const id = panel?.id as string;
      const click = (which: string, values?: string[]) =>
        scene.discord.click(member, id, which, { locale: 'vi', ...(values ? { values } : {}) });
      for (const which of ['Raw', 'Remix', 'Biến đổi cao', 'Thong thả', 'Riêng tư'])
        expect((await click(which)).callbackType, which).toBe(7);
      await click(`v1|set-stylize|0|${member}`, ['250']);
      await click(`v1|set-quality|0|${member}`, ['2']);
      await click(`v1|set-model|0|${member}`, ['pocket']);
      expect(await settings()).toEqual({
        raw: true,
        remix: true,
        variability: 'low',
        lane: 'relax',
        visibility: 'stealth',
        stylize: 250,
        quality: 2,
        model: 'pocket',
      });
      const now = scene.discord.message(id);
      const green = now?.buttons.filter(({ style }) => style === 3).map((button) => button.label);
      expect(green).toEqual(['Raw', 'Remix', 'Thong thả', 'Riêng tư']);
      expect(JSON.stringify(now?.raw['components'])).toContain('"label":"Stylize: cao (250)","default":true');
      await click(`v1|set-stylize|0|${member}`, ['default']);
      expect((await settings()).stylize).toBeUndefined();
      await click('Đặt lại');
      expect(await settings()).toEqual({});
    });

    it('is a member’s own', async () => {
      await scene.discord.click(member, (await open())?.id as string, 'Raw');
      expect(await readSettings(scene.redis.client, stranger)).toEqual({});
    });

    it('shows what is green without a choice', async () => {
      expect((await label(/^Fast$/))?.style).toBe(3);
      expect((await label(/^Public$/))?.style).toBe(3);
    });
  });

  describe('feed /imagine', () => {
    it('typed > suffix > settings', async () => {
      const panel = (await run('settings')).message?.id as string;
      await scene.discord.click(member, panel, `v1|set-stylize|0|${member}`, { values: ['750'] });
      await scene.discord.click(member, panel, `v1|set-quality|0|${member}`, { values: ['0.5'] });
      await scene.discord.click(member, panel, 'Raw');
      await say('prefer suffix', { new_value: '--stylize 50 --ar 3:2' });
      const plain = await scene.requestOf((await imagine(FOX)).id);
      expect(plain.prompt).toBe(`${FOX} --ar 3:2 --stylize 50 --quality 0.5 --raw`);
      expect(plain.params).toEqual({ aspect: [3, 2], stylize: 50, quality: 0.5, raw: true });
      const typed = await scene.requestOf((await imagine(`${FOX} --s 900 --q 1`)).id);
      expect(typed.params).toMatchObject({ stylize: 900, quality: 1, aspect: [3, 2] });
      const other = await scene.requestOf((await imagine(FOX, stranger)).id);
      expect(other.prompt).toBe(FOX);
    });

    it('how many pictures; a random style gets its number', async () => {
      expect(await say('prefer count', { value: 2 })).toBe('Your grids have 2 pictures.');
      expect(await scene.requestOf((await imagine(FOX)).id)).toMatchObject({
        count: 2,
        prompt: `${FOX} --count 2`,
      });
      expect(await scene.requestOf((await imagine(`${FOX} --n 3`)).id)).toMatchObject({ count: 3 });
      expect(await scene.requestOf((await imagine(FOX, stranger)).id)).toMatchObject({
        count: 4,
        prompt: FOX,
      });
      await say('prefer count');
      const { params, prompt } = await scene.requestOf((await imagine(`${FOX} --sref random`)).id);
      expect(params.sref).toEqual([expect.any(Number)]);
      expect(prompt).toBe(`${FOX} --sref ${params.sref?.[0]}`);
    });

    it('with options of one’s own', async () => {
      expect(await say('prefer option set', { option: 'ink', value: 'in ink --ar 2:3 {day, night}' })).toBe(
        '`--ink` now stands for: in ink --ar 2:3 {day, night}',
      );
      expect(await say('prefer option set', { option: 'Oil', value: 'in oil --s 20' })).toContain('oil');
      const asked = await imagine(`${FOX} --oil`);
      expect(await scene.requestOf(asked.id)).toMatchObject({ prompt: `${FOX} in oil --stylize 20` });
      expect(await say('prefer option list')).toBe(
        '- `--ink` = in ink --ar 2:3 {day, night}\n- `--oil` = in oil --s 20',
      );
      const typing = await scene.discord.autocomplete(member, 'prefer option set', 'option', {
        option: '--i',
      });
      expect(typing.choices).toEqual([{ name: 'ink = in ink --ar 2:3 {day, night}', value: 'ink' }]);
      const nobody = await scene.discord.autocomplete(stranger, 'prefer option set', 'option', {
        option: '',
      });
      expect(nobody.choices).toEqual([]);
      expect(await say('prefer option set', { option: 'oil' })).toBe('`--oil` is gone.');
      expect((await imagine(`${FOX} --oil`)).message?.embeds[0]?.['title']).toBe('Invalid prompt');
      expect(await say('prefer option list', {}, 'vi')).toContain('ink');
    });

    it.each([
      ['prefer option set', { option: 'ar', value: 'x' }, 'Name taken'],
      ['prefer option set', { option: 'a b', value: 'x' }, 'Invalid option'],
      ['prefer option set', { option: 'none' }, 'No such option'],
      ['prefer suffix', { new_value: 'in oil' }, 'Invalid suffix'],
      ['prefer suffix', { new_value: '--stylize 5000' }, 'Invalid prompt'],
    ] as const)('/%s %o is refused: %s', async (command, options, title) => {
      expect(await refused(command, options)).toBe(title);
      expect(await settings()).toEqual({});
    });

    it('takes the suffix back', async () => {
      await say('prefer suffix', { new_value: '—raw' });
      expect(await say('prefer suffix')).toBe('You have no suffix.');
      expect(await settings()).toEqual({});
    });
  });

  it('variability decides what V does', async () => {
    expect(await say('prefer variability')).toBe('V1–V4 now stay **close**.');
    const grid = await imagine(FOX);
    const { messageId } = await finish(scene, grid.id);
    const near = await scene.discord.click(member, messageId, 'V1', { locale: 'en-US' });
    expect(await scene.requestOf(near.id)).toMatchObject({ action: 'vary-subtle' });
    const far = await scene.discord.click(stranger, messageId, 'V1', { locale: 'en-US' });
    expect(await scene.requestOf(far.id)).toMatchObject({ action: 'vary-strong' });
  });

  describe('remix', () => {
    const remixed = async () => {
      expect(await say('prefer remix')).toContain('**on**');
      const grid = await imagine(`${FOX} --ar 3:2 --seed 4`);
      return { jobId: grid.id, ...(await finish(scene, grid.id)) };
    };

    it('asks for the prompt before a variation', async () => {
      const { jobId, messageId } = await remixed();
      const pressed = await scene.discord.click(member, messageId, 'V2');
      expect(pressed.callbackType).toBe(9);
      expect(JSON.stringify(pressed.modal)).toContain(`"value":"${FOX} --ar 3:2"`);
      const sent = await scene.discord.submitModal(member, pressed, { prompt: 'a hare at night --chaos 20' });
      expect(sent.message?.content).toContain('**a hare at night --chaos 20** - Variations (Strong) by');
      expect(await scene.requestOf(sent.id)).toMatchObject({
        action: 'vary-strong',
        prompt: 'a hare at night --chaos 20',
        parts: [{ text: 'a hare at night', weight: 1 }],
        params: { chaos: 20 },
        parent: { jobId, index: 1 },
      });
    });

    it('and before another throw of the dice, but not before an upscale', async () => {
      const { messageId } = await remixed();
      const dice = await scene.discord.click(member, messageId, '🔄');
      expect(dice.callbackType).toBe(9);
      const sent = await scene.discord.submitModal(member, dice, {});
      expect(await scene.requestOf(sent.id)).toMatchObject({ action: 'imagine', prompt: `${FOX} --ar 3:2` });
      expect((await scene.discord.click(member, messageId, 'U1')).callbackType).toBe(4);
      expect((await scene.discord.click(stranger, messageId, 'V1')).callbackType).toBe(4);
    });

    it('mends a wrong prompt and comes back to the variation', async () => {
      const { jobId, messageId } = await remixed();
      const pressed = await scene.discord.click(member, messageId, 'V3', { locale: 'en-US' });
      const wrong = await scene.discord.submitModal(member, pressed, { prompt: 'a hare --stylize 5000' });
      expect(wrong.message?.embeds[0]?.['title']).toBe('Invalid prompt');
      await scene.redis.client.del(`{dreamgrid}:clicked:${member}:vary:2:${jobId}`);
      const mending = await scene.discord.click(member, wrong.message?.id as string, 'Fix it');
      const sent = await scene.discord.submitModal(member, mending, {});
      expect(await scene.requestOf(sent.id)).toMatchObject({
        action: 'vary-strong',
        prompt: 'a hare --stylize 1000',
        parent: { jobId, index: 2 },
      });
      const many = await scene.discord.click(member, messageId, 'V1', { locale: 'en-US' });
      const two = await scene.discord.submitModal(member, many, { prompt: 'a {red, blue} hare' });
      expect(two.message?.embeds[0]?.['title']).toBe('Too many at once');
    });
  });

  it('the lane: by command, by setting, by prompt', async () => {
    expect(await say('relax')).toContain('**relaxed**');
    expect((await scene.requestOf((await imagine(FOX)).id)).lane).toBe('relax');
    expect((await scene.requestOf((await imagine(`${FOX} --turbo`)).id)).lane).toBe('turbo');
    const relaxed = await imagine(`${FOX} --ar 3:2`);
    const { messageId } = await finish(scene, relaxed.id);
    expect(scene.discord.message(messageId)?.content).toBe(`**${FOX} --ar 3:2** - <@${member}> (relaxed)`);
    expect(await say('turbo', {}, 'vi')).toContain('**siêu tốc**');
    expect(await say('fast')).toContain('**fast**');
    expect((await scene.requestOf((await imagine(FOX)).id)).lane).toBe('fast');
  });

  describe('stealth', () => {
    it('is seen by its owner alone, with everything that comes of it', async () => {
      expect(await say('stealth')).toContain('Only you');
      const asked = await imagine(`${FOX} --repeat 2`);
      expect(asked.message?.ephemeral).toBe(true);
      await expect.poll(async () => (await scene.waiting()).length).toBe(2);
      expect(asked.followups.map(({ ephemeral }) => ephemeral)).toEqual([true]);
      const seen = scene.discord.messages(undefined, stranger).map(({ id }) => id);
      for (const { id } of [asked.message, ...asked.followups].filter((m) => m !== undefined))
        expect(seen).not.toContain(id);
      expect((await scene.deliver(`${asked.id}.1`))?.deliver).toMatchObject({
        stealth: true,
        original: false,
      });
      const { messageId } = await finish(scene, asked.id);
      await say('public');
      for (const which of ['V1', '🔄']) {
        const pressed = await scene.discord.click(member, messageId, which);
        expect(pressed.message?.ephemeral, which).toBe(true);
      }
      expect((await imagine(FOX)).message?.ephemeral).toBe(false);
    });

    it('for one prompt', async () => {
      const asked = await imagine(`${FOX} --stealth`);
      expect(asked.message?.ephemeral).toBe(true);
      expect(await scene.requestOf(asked.id)).toMatchObject({ prompt: FOX, params: {} });
    });

    it('means nothing in a direct message', async () => {
      await say('stealth');
      const channelId = scene.discord.dm(member);
      const asked = await scene.discord.run(member, 'imagine', { prompt: FOX }, { channelId });
      expect(asked.message?.ephemeral).toBe(false);
    });
  });

  it('/info tells mode, and each open job with its link and place in line', async () => {
    await say('relax');
    const first = await imagine('a red fox');
    await imagine('an owl', stranger);
    const third = await imagine('a hare');
    const link = (handle: typeof first) =>
      `https://discord.com/channels/${scene.discord.guildId}/${scene.discord.channelId}/${handle.message?.id}`;
    await scene.messageOf(third.id);
    await scene.messageOf(first.id);
    const fields = (await run('info')).message?.embeds[0]?.['fields'] as { name: string; value: string }[];
    const value = (name: string) => fields.find((field) => field.name === name)?.value;
    expect(value('Mode')).toBe('Relax · Public');
    expect(value('Your jobs')).toBe(
      `[a red fox](${link(first)}) · 1 job ahead of you\n[a hare](${link(third)}) · 2 jobs ahead of you`,
    );
  });

  it('/imagine suggests models', async () => {
    const typing = (model: string) =>
      scene.discord.autocomplete(member, 'imagine', 'model', { prompt: FOX, model }, { locale: 'en-US' });
    expect((await typing('POC')).choices).toEqual([{ name: 'pocket · Pocket', value: 'pocket' }]);
    expect((await typing('nothing')).choices).toEqual([]);
    const asked = await run('imagine', { prompt: FOX, model: 'pocket' });
    expect(await scene.requestOf(asked.id)).toMatchObject({
      prompt: `${FOX} --model pocket`,
      model: 'pocket',
    });
  });

  it('❤️ keeps a picture, and lets it go', async () => {
    const grid = await imagine(FOX);
    const { messageId } = await finish(scene, grid.id);
    const one = await scene.discord.click(member, messageId, 'U1');
    const single = await finish(scene, one.id);
    const pressed = await scene.discord.click(stranger, single.messageId, '❤️', { locale: 'en-US' });
    expect(pressed.message).toMatchObject({ ephemeral: true, content: expect.stringContaining('❤️ Kept') });
    const again = await scene.discord.click(stranger, single.messageId, '❤️', { locale: 'en-US' });
    expect(again.message?.content).toBe('No longer a favourite.');
  });
});
