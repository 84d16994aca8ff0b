import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { withRecipe } from '../../../shared/picture/png.ts';
import { type Recipe, seedOf } from '../../../shared/picture/recipe.ts';
import { openFolderStore, pictureKeys } from '../../../shared/picture/store.ts';
import { type RenderResult, renderRequestSchema } from '../../../shared/queue/job.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { PEOPLE, refusal, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

const FOX = 'a fox in the snow --seed 7';

describe('old pictures', { timeout: 60_000 }, () => {
  const scene = useScene();
  const { member, stranger, moderator } = PEOPLE;

  const EN = { locale: 'en-US' };
  const imagine = async (prompt = FOX, user = member) =>
    (await scene.discord.run(user, 'imagine', { prompt }, EN)).id;
  /** As the worker leaves it: pictures, grid, result. */
  const store = async (jobId: string, recipe: Recipe) => {
    const folder = await openFolderStore(scene.dataDir);
    const paint = async (side: number, shade: number) =>
      withRecipe(
        await sharp({
          create: { width: side, height: side, channels: 3, background: { r: shade, g: 90, b: 60 } },
        })
          .png()
          .toBuffer(),
        recipe,
      );
    const pictures = Array.from({ length: recipe.count }, (_, i) => pictureKeys.picture(jobId, i));
    for (const [i, key] of pictures.entries()) await folder.put(key, await paint(64, 40 * i));
    const grid = recipe.count > 1 ? { grid: pictureKeys.grid(jobId) } : {};
    if (grid.grid) await folder.put(grid.grid, await paint(128, 200));
    const result: RenderResult = {
      v: 1,
      jobId,
      recipe,
      pictures,
      ...grid,
      width: 128,
      height: 128,
      paintMs: 1,
    };
    await folder.put(pictureKeys.result(jobId), Buffer.from(JSON.stringify(result)));
  };
  const finished = async (prompt = FOX, user = member) => {
    const jobId = await imagine(prompt, user);
    const done = await finish(scene, jobId);
    await store(jobId, done.recipe);
    return { jobId, ...done };
  };
  const show = (job_id: string, user = member, locale = 'en-US') =>
    scene.discord.run(user, 'show', { job_id }, { locale });

  describe('/show', () => {
    it('posts the grid again, and its buttons work', async () => {
      const { jobId, recipe } = await finished();
      const shown = await show(jobId);
      expect(shown.message?.content).toBe(`**${FOX}** - <@${member}>`);
      expect(shown.message?.pinged).toEqual([]);
      const [file] = shown.message?.attachments ?? [];
      expect(file).toMatchObject({ width: 128, height: 128, content_type: 'image/png' });
      // So that /mydata erase finds it.
      await expect
        .poll(() => scene.redis.client.smembers(keys.shown(jobId)))
        .toEqual([`${scene.discord.channelId}:${shown.message?.id}`]);
      const pressed = await scene.discord.click(member, shown.message?.id as string, 'U2');
      await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === pressed.id);
      expect(renderRequestSchema.parse(await scene.render(pressed.id))).toMatchObject({
        seed: seedOf(recipe, 1),
        parent: { jobId, index: 1 },
      });
    });

    it('draws the family with links', async () => {
      const { jobId, messageId } = await finished();
      const varied = await scene.discord.click(member, messageId, 'V3', EN);
      const child = await finish(scene, varied.id);
      await store(varied.id, child.recipe);
      const taken = await scene.discord.click(stranger, child.messageId, 'U1', EN);
      await finish(scene, taken.id);
      const shown = await show(varied.id);
      expect(shown.message?.embeds[0]?.['title']).toBe('Family');
      const link = (id: string) =>
        `https://discord.com/channels/${scene.discord.guildId}/${scene.discord.channelId}/${id}`;
      expect(shown.message?.embeds[0]?.['description'].split('\n')).toEqual([
        FOX,
        `[Grid](${link(messageId)})`,
        '└ **this one**',
        `\u2003└ [#1 → Upscaled (Subtle)](${link(await scene.messageOf(taken.id))})`,
      ]);
      const vietnamese = await show(jobId, member, 'vi');
      expect(vietnamese.message?.embeds[0]?.['description']).toContain('#3 → Biến thể (Mạnh)');
    });

    it('paints again what the store lost, with the same seed', async () => {
      const jobId = await imagine(`${FOX} --ar 3:2`);
      const { recipe } = await finish(scene, jobId);
      const shown = await show(jobId);
      expect(shown.message?.content).toContain('(Waiting to start)');
      expect(await scene.render(shown.id)).toMatchObject({
        seed: recipe.seed,
        prompt: recipe.prompt,
        params: { seed: 7 },
      });
    });

    it('by the link of the message, also after Redis forgot', async () => {
      const { messageId } = await finished();
      await scene.empty();
      const link = `https://discord.com/channels/${scene.discord.guildId}/${scene.discord.channelId}/${messageId}`;
      expect((await show(link)).message?.content).toBe(`**${FOX}** - <@${member}>`);
    });

    it('suggests favourites first, then the latest, by words', async () => {
      const first = await finished('an owl');
      const single = await scene.discord.click(member, first.messageId, 'U1', EN);
      const { messageId } = await finish(scene, single.id);
      const later = await imagine('a red fox in the snow');
      await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === later);
      await scene.discord.click(member, messageId, '❤️', EN);
      const typing = async (text: string, user = member) =>
        (await scene.discord.autocomplete(user, 'show', 'job_id', { job_id: text }, EN)).choices ?? [];
      expect((await typing('')).map(({ value }) => value)).toEqual([single.id, later, first.jobId]);
      expect((await typing(''))[0]?.name).toMatch(/^❤️ an owl · [A-Z][a-z]{2} \d+$/);
      expect((await typing('RED')).map(({ value }) => value)).toEqual([later]);
      expect(await typing('', stranger)).toEqual([]);
    });

    it('is for one’s own jobs', async () => {
      const { jobId } = await finished();
      expect(refusal(await show(jobId, stranger))).toBe('Job action restricted');
      expect(refusal(await show('12345678901234567'))).toBe('Job not found');
      expect(refusal(await show('nonsense'))).toBe('Job not found');
      expect(
        refusal(await show('https://discord.com/channels/@me/12345678901234567/12345678901234567')),
      ).toBe('Job not found');
    });

    it('keeps a picture in stealth there', async () => {
      const { jobId } = await finished(`${FOX} --stealth`);
      expect((await show(jobId)).message?.ephemeral).toBe(true);
    });
  });

  describe('a right click', () => {
    const app = (user: string, messageId: string, name: string, locale = 'en-US') =>
      scene.discord.messageCommand(user, messageId, name, { locale });

    it('Cancel Job stops it, for its owner and moderators', async () => {
      const jobId = await imagine();
      const messageId = await scene.messageOf(jobId);
      expect(refusal(await app(stranger, messageId, 'Cancel Job'))).toBe('Job action restricted');
      expect((await app(member, messageId, 'Cancel Job')).message?.content).toBe('Cancelled.');
      expect(await scene.waiting()).toEqual([]);
      const other = await scene.messageOf(await imagine());
      expect((await app(moderator, other, 'Cancel Job', 'vi')).message?.content).toBe('Đã hủy.');
    });

    it('DM Results sends the pictures one by one, with their seeds', async () => {
      const { messageId, recipe } = await finished();
      const clicked = await app(stranger, messageId, 'DM Results');
      expect(clicked.message).toMatchObject({ ephemeral: true, content: 'Sent by direct message.' });
      const [dm] = scene.discord.messages(scene.discord.dm(stranger));
      expect(dm?.attachments.map(({ width }) => width)).toEqual([64, 64, 64, 64]);
      expect(dm?.content).toContain(`Seeds: #1 7 · #2 8 · #3 9 · #4 ${seedOf(recipe, 3)}`);
    });

    it('Inspect tells how it was painted, and runs it again', async () => {
      const { messageId } = await finished(`${FOX} --ar 3:2 --no trees`);
      const { message } = await app(stranger, messageId, 'Inspect', 'vi');
      expect(message?.ephemeral).toBe(true);
      const text = JSON.stringify(message?.embeds);
      for (const part of ['Ảnh được vẽ ra sao', 'pocket (0123456789abcdef)', '"7–10"', 'trees', '"ddim"'])
        expect(text).toContain(part);
      const again = await scene.discord.click(stranger, message?.id as string, 'Vẽ lại', { locale: 'vi' });
      await expect.poll(() => scene.waiting()).toContain(`g-${again.id}`);
    });

    it('on a message that has no job says so', async () => {
      const said = scene.discord.say(member, 'hello');
      for (const name of ['Cancel Job', 'DM Results', 'Inspect'])
        expect(refusal(await app(member, said.id, name)), name).toBe('Job not found');
    });
  });

  describe('✉️', () => {
    it('sends the pictures to whoever reacted', async () => {
      const { messageId } = await finished();
      scene.discord.react(moderator, messageId, '✉️');
      const dm = scene.discord.dm(moderator);
      const [sent] = await scene.discord.waitFor(() => {
        const all = scene.discord.messages(dm);
        return all.length > 0 ? all : undefined;
      });
      expect(sent?.attachments).toHaveLength(4);
    });

    it('sends the message’s own file where the store lost the pictures', async () => {
      const jobId = await imagine();
      const { messageId } = await finish(scene, jobId);
      await scene.redis.client.del(keys.recipe(jobId));
      const dm = scene.discord.dm(member);
      const before = scene.discord.messages(dm).length;
      scene.discord.react(member, messageId, '✉️');
      const sent = await scene.discord.waitFor(() => scene.discord.messages(dm)[before]);
      expect(sent.attachments).toHaveLength(1);
      expect(sent.content).toContain('Seeds: #1 7');
    });
  });
});
