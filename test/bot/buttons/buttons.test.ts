import { describe, expect, it } from 'vitest';
import { seedOf } from '../../../shared/picture/recipe.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { PEOPLE, refusal, useScene } from '../../support/bot.ts';
import { finish, finishBadly } from '../../support/finish.ts';

const FOX = 'a fox in the snow --ar 3:2 --seed 7';

describe('buttons', { timeout: 240_000 }, () => {
  const scene = useScene();
  const { member, stranger, moderator } = PEOPLE;

  const ask = async (prompt = FOX) =>
    (await scene.discord.run(member, 'imagine', { prompt }, { locale: 'en-US' })).id;
  const grid = async (prompt = FOX) => {
    const jobId = await ask(prompt);
    return { jobId, ...(await finish(scene, jobId)) };
  };
  const click = (messageId: string, which: string, user = member, forge = false) =>
    scene.discord.click(user, messageId, which, { locale: 'en-US', ...(forge ? { forge } : {}) });
  /** The bot answered a reaction that came after all others of this person to this message. */
  const answered = async (user: string, messageId: string, jobId: string) => {
    scene.discord.react(user, messageId, '✉️');
    await scene.bot.logged(
      (event) => event['jobId'] === jobId && /sent by direct message$/.test(String(event['msg'])),
    );
    expect(scene.bot.events.filter((event) => event['msg'] === 'unexpected')).toEqual([]);
  };

  it('U2 takes the second picture', async () => {
    const { jobId, messageId, recipe } = await grid();
    const pressed = await click(messageId, 'U2');
    expect(pressed.message?.content).toContain(`Image #2 <@${member}> (Waiting to start)`);
    expect(await scene.requestOf(pressed.id)).toMatchObject({
      jobId: pressed.id,
      action: 'upscale-subtle',
      count: 1,
      seed: seedOf(recipe, 1),
      prompt: 'a fox in the snow --ar 3:2',
      parent: { jobId, index: 1, recipe },
    });
    const picture = await finish(scene, pressed.id);
    const view = scene.discord.message(picture.messageId);
    expect(view?.content).toContain(`Seed ${seedOf(recipe, 1)} ·`);
    expect(view?.buttons.map(({ label }) => label)).toEqual([
      '🔍 Upscale (Subtle)',
      '✨ Upscale (Creative)',
      '🪄 Vary (Subtle)',
      '🎲 Vary (Strong)',
      '🖌️ Vary (Region)',
      '🔎 Zoom Out 2x',
      '🔎 Zoom Out 1.5x',
      '🔎 Custom Zoom',
      '⬅️',
      '➡️',
      '⬆️',
      '⬇️',
      '❤️',
    ]);
    const again = await click(picture.messageId, 'Upscale (Creative)');
    expect(again.message?.content).toContain('Upscaled (Creative) by');
    const varied = await click(picture.messageId, 'Vary (Subtle)');
    expect(await scene.requestOf(varied.id)).toMatchObject({
      action: 'vary-subtle',
      count: 4,
      parent: { jobId: pressed.id, index: 0, recipe: { parent: { jobId } } },
    });
  });

  it('V3 varies the third picture, each time differently', async () => {
    const { jobId, messageId } = await grid();
    const first = await click(messageId, 'V3');
    expect(first.message?.content).toContain(`Variations (Strong) by <@${member}>`);
    const second = await click(messageId, 'V3', stranger);
    const [a, b] = [await scene.requestOf(first.id), await scene.requestOf(second.id)];
    expect(a).toMatchObject({ action: 'vary-strong', count: 4, parent: { jobId, index: 2 } });
    expect(b.seed).not.toBe(a.seed);
    expect(b.user.id).toBe(stranger);
    expect(await scene.redis.client.get(keys.owner(second.id))).toBe(stranger);
  });

  it('two pictures stay two, and Enhance paints the same seed without --draft', async () => {
    const { messageId, recipe } = await grid(`${FOX} --count 2 --draft --sref 7`);
    expect(recipe).toMatchObject({ count: 2, draft: true, style: { codes: [7] } });
    expect(await scene.requestOf((await click(messageId, 'V2')).id)).toMatchObject({
      count: 2,
      params: { draft: true },
    });
    await click(messageId, 'U3').then(
      () => expect.fail('there is no third picture'),
      () => undefined,
    );
    const enhanced = await scene.requestOf((await click(messageId, 'Enhance')).id);
    expect(enhanced).toMatchObject({ action: 'imagine', count: 2, seed: recipe.seed, params: { sref: [7] } });
    expect(enhanced.params).not.toHaveProperty('draft');
    expect(enhanced.prompt).toBe('a fox in the snow --ar 3:2 --seed 7 --count 2 --sref 7');
  });

  it('🔄 throws the dice again', async () => {
    const { messageId, recipe } = await grid();
    const pressed = await click(messageId, '🔄');
    const request = await scene.requestOf(pressed.id);
    expect(request).toMatchObject({
      action: 'imagine',
      prompt: 'a fox in the snow --ar 3:2',
      params: { aspect: [3, 2] },
      parts: recipe.parts,
    });
    expect(request.seed).not.toBe(recipe.seed);
    const varied = await click(messageId, 'V1');
    await finish(scene, varied.id);
    const rerolled = await click(await scene.messageOf(varied.id), '🔄');
    expect(await scene.requestOf(rerolled.id)).toMatchObject({ action: 'vary-strong', parent: { index: 0 } });
  });

  it('work after Redis forgot everything: the recipe is in the file', async () => {
    const { messageId, recipe } = await grid('một con cáo trong tuyết 🦊 --seed 3');
    await scene.empty();
    const pressed = await click(messageId, 'U1');
    expect(await scene.requestOf(pressed.id)).toMatchObject({ parent: { index: 0, recipe } });
  });

  it('say so when nothing remembers the picture', async () => {
    const jobId = await ask();
    const messageId = await scene.messageOf(jobId);
    await scene.empty();
    expect(refusal(await click(messageId, `v1|upscale|0|${jobId}`, member, true))).toBe('Picture forgotten');
  });

  it('try again after a failure', async () => {
    const jobId = await ask();
    const messageId = await finishBadly(scene, jobId);
    const pressed = await click(messageId, 'Try again');
    expect(await scene.requestOf(pressed.id)).toMatchObject({
      action: 'imagine',
      seed: 7,
      params: { seed: 7 },
    });
  });

  it('ten clicks at once are one job', async () => {
    const { messageId } = await grid();
    const before = (await scene.waiting()).length;
    const pressed = await Promise.all(Array.from({ length: 10 }, () => click(messageId, 'V1')));
    const refused = pressed.filter(({ message }) => message?.ephemeral);
    expect(refused).toHaveLength(9);
    expect(refusal(refused[0] as (typeof pressed)[number])).toBe('Easy');
    expect(await scene.waiting()).toHaveLength(before + 1);
  });

  it.each([
    ['another version', 'v2|upscale|0|12345678901234567', 'Button expired'],
    ['nonsense', 'hello', 'Unknown button'],
    ['a picture that is not there', 'v1|upscale|9|12345678901234567', 'Unknown button'],
    ['a job that never was', 'v1|vary|0|12345678901234567', 'Picture forgotten'],
    ['a prompt that was never typed', 'v1|fix|0|12345678901234567', 'Too late'],
    ['a way out', 'v1|reroll|0|../../../etc/passwd', 'Unknown button'],
  ])('forged: %s', async (_, customId, title) => {
    const messageId = await scene.messageOf(await ask());
    expect(refusal(await click(messageId, customId, member, true))).toBe(title);
    expect(await scene.waiting()).toHaveLength(1);
  });

  it('forged: an index past the last picture', async () => {
    const { messageId } = await grid();
    const single = await click(messageId, 'U1');
    const { messageId: one } = await finish(scene, single.id);
    expect(refusal(await click(one, `v1|vary-strong|3|${single.id}`, member, true))).toBe('Unknown button');
  });

  describe('cancel', () => {
    it('is for the owner', async () => {
      const jobId = await ask();
      const messageId = await scene.messageOf(jobId);
      expect(refusal(await click(messageId, 'Cancel', stranger))).toBe('Job action restricted');
      expect(await scene.waiting()).toEqual([`g-${jobId}`]);
      const pressed = await click(messageId, 'Cancel');
      expect(pressed.callbackType).toBe(6);
      expect(pressed.followups).toEqual([]);
      expect(await scene.waiting()).toEqual([]);
      expect(await scene.redis.client.get(keys.cancelled(jobId))).toBe('1');
      expect(refusal(await click(messageId, 'Cancel'))).toBe('Nothing to cancel');
    });

    it('and for moderators', async () => {
      const messageId = await scene.messageOf(await ask());
      expect((await click(messageId, 'Cancel', moderator)).callbackType).toBe(6);
      expect(await scene.waiting()).toEqual([]);
    });

    it('but not for those of another channel or another server, who can only have forged it', async () => {
      const here = await scene.messageOf(await ask());
      const lounge = { locale: 'en-US', channelId: scene.discord.loungeId };
      const { id: there } = await scene.discord.run(member, 'imagine', { prompt: FOX }, lounge);
      await scene.messageOf(there);
      const forged = `v1|cancel|0|${there}`;
      expect(refusal(await click(here, forged, moderator, true))).toBe('Job action restricted');
      // the same channel id, as if it were another server's
      const { client } = scene.redis;
      const record = JSON.parse((await client.get(keys.job(there))) as string);
      const elsewhere = { ...record, channelId: scene.discord.channelId, guildId: '1190000000000000999' };
      await client.set(keys.job(there), JSON.stringify(elsewhere));
      expect(refusal(await click(here, forged, moderator, true))).toBe('Job action restricted');
      expect(await scene.waiting()).toHaveLength(2);
      expect((await click(here, forged, member, true)).callbackType).toBe(6);
      expect(await scene.waiting()).toHaveLength(1);
    });

    it('also by ❌', async () => {
      const jobId = await ask();
      const messageId = await scene.messageOf(jobId);
      scene.discord.react(stranger, messageId, '❌');
      await answered(stranger, messageId, jobId);
      expect(await scene.waiting()).toEqual([`g-${jobId}`]);
      scene.discord.react(member, messageId, '❌');
      await expect.poll(() => scene.waiting(), { timeout: 10_000 }).toEqual([]);
      expect(scene.discord.message(messageId)).toBeDefined();
    });

    it('❌ takes a finished picture away', async () => {
      const { jobId, messageId } = await grid();
      await scene.empty();
      await scene.redis.client.set(keys.owner(jobId), member);
      for (const other of [stranger, moderator]) scene.discord.react(other, messageId, '❌');
      await answered(stranger, messageId, jobId);
      expect(scene.discord.message(messageId)).toBeDefined();
      expect(scene.bot.events.filter((event) => event['msg'] === 'deleted')).toEqual([]);
      scene.discord.react(member, messageId, '❌');
      await scene.discord.waitFor(() => scene.discord.message(messageId) === undefined);
    });
  });
});
