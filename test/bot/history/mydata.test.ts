import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../../../shared/memory/settings.ts';
import { openFolderStore, pictureKeys } from '../../../shared/picture/store.ts';
import { addAsk } from '../../../shared/queue/queue.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { openScene, PEOPLE, refusal, type Scene, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

const EN = { locale: 'en-US' };

describe('/mydata', { timeout: 240_000 }, () => {
  const scene = useScene();
  const { member, stranger } = PEOPLE;

  const run = (user: string, command: string, options: Parameters<Scene['discord']['run']>[2] = {}) =>
    scene.discord.run(user, command, options, EN);
  const picture = () =>
    sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
  const folder = () => openFolderStore(scene.dataDir);

  /** A life: settings, an option, an upload, a finished grid, a variation of it, a favourite, a waiting job. */
  async function live(user: string, prompt: string) {
    await run(user, 'prefer option set', { option: 'mine', value: 'in my secret ink' });
    await run(user, 'prefer suffix', { new_value: '--raw' });
    const image = { file: await picture(), name: 'fox.png' };
    const grid = await run(user, 'imagine', { prompt: `${prompt} --mine`, image });
    const { messageId, recipe } = await finish(scene, grid.id);
    const store = await folder();
    for (let i = 0; i < 4; i++) await store.put(pictureKeys.picture(grid.id, i), await picture());
    await store.put(pictureKeys.result(grid.id), Buffer.from('{}'));
    const one = await scene.discord.click(user, messageId, 'U1', EN);
    const single = await finish(scene, one.id);
    await scene.discord.click(user, single.messageId, '❤️', EN);
    const waiting = await run(user, 'imagine', { prompt });
    await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === waiting.id);
    const [upload] = await scene.redis.client.smembers(keys.uploads(user));
    return {
      grid: grid.id,
      single: one.id,
      waiting: waiting.id,
      messageId,
      recipe,
      upload: upload as string,
    };
  }

  it('export hands out everything, as a file for oneself', async () => {
    const life = await live(member, 'a fox');
    await live(stranger, 'an owl');
    const { message } = await run(member, 'mydata export');
    expect(message?.ephemeral).toBe(true);
    const [file] = message?.attachments ?? [];
    expect(file?.filename).toBe('dreamgrid.json');
    const data = JSON.parse(file?.data.toString('utf8') as string);
    expect(data).toMatchObject({
      version: 1,
      userId: member,
      settings: { suffix: '--raw' },
      options: { mine: 'in my secret ink' },
      favourites: [{ jobId: life.single, index: 0 }],
      uploads: [life.upload],
    });
    expect(data.jobs.map(({ jobId }: { jobId: string }) => jobId)).toEqual([
      life.waiting,
      life.single,
      life.grid,
    ]);
    expect(data.jobs[2].recipe).toMatchObject({
      prompt: 'a fox in my secret ink --raw',
      seed: life.recipe.seed,
    });
    expect(data.jobs[2].link).toContain(life.messageId);
    expect(data.jobs[1]).toMatchObject({ action: 'upscale-subtle', parent: { jobId: life.grid, index: 0 } });
    expect(JSON.stringify(data)).not.toContain('owl');
  });

  it('export packs what is too large for a message', async () => {
    const small = await openScene({ playground: { attachmentLimit: 1500 } });
    try {
      for (let i = 0; i < 5; i++)
        await small.discord.run(small.discord.users.member, 'imagine', { prompt: 'a fox' }, EN);
      await expect.poll(async () => (await small.waiting()).length).toBe(5);
      const asked = await small.discord.run(small.discord.users.member, 'mydata export', {}, EN);
      const [file] = asked.message?.attachments ?? [];
      expect(file?.filename).toBe('dreamgrid.json.gz');
      expect(JSON.parse(gunzipSync(file?.data as Buffer).toString('utf8')).jobs).toHaveLength(5);
    } finally {
      await small.close();
    }
  });

  it('erase erases: queue, messages, store, recipes, memory; and nothing of anyone else', async () => {
    const life = await live(member, 'a fox canary');
    const other = await live(stranger, 'an owl');
    await run(member, 'imagine', { prompt: 'a canary --stylize 5000' }); // waits behind Fix it
    await scene.redis.client.set(keys.offered(member, life.grid), '["a canary"]');
    await addAsk(scene.queues, {
      v: 1,
      id: life.single,
      question: { kind: 'shorten', text: 'a canary', suffix: '' },
      model: 'pocket',
      userId: member,
      applicationId: scene.discord.applicationId,
      locale: 'en-US',
    });
    // Where /show put it again.
    const heron = await run(scene.discord.users.moderator, 'imagine', { prompt: 'a heron' });
    const { messageId: again } = await finish(scene, heron.id);
    await scene.redis.client.sadd(keys.shown(life.grid), `${scene.discord.channelId}:${again}`);
    const asked = await run(member, 'mydata erase');
    expect(asked.message?.ephemeral).toBe(true);
    expect(asked.message?.embeds[0]?.['description']).toContain('3 jobs with their pictures');
    const question = asked.message?.id as string;
    const forged = await scene.discord.click(stranger, other.messageId, `v1|my-erase|0|${member}`, {
      ...EN,
      forge: true,
    });
    expect(refusal(forged)).toBe('Unknown button');
    await scene.discord.click(member, question, 'Erase everything', EN);
    await scene.discord.waitFor(
      () => scene.discord.message(question)?.content === 'Erased: 3 jobs, and everything else.',
      30_000,
    );
    await expect.poll(() => scene.discord.message(again)).toBeUndefined();
    expect(scene.discord.message(question)?.buttons).toEqual([]);

    const { client } = scene.redis;
    expect(await readSettings(client, member)).toEqual({});
    const left: string[] = [];
    for (const key of await client.keys('*')) {
      // Marks that go by themselves: who took an interaction, a click, a cancellation, what is not to be delivered, how many today, turns until the queue is empty.
      if (/:(claim|clicked|cancelled|delivered|erased|quota|events|fair|open-server)(:|$)/.test(key))
        continue;
      const type = await client.type(key);
      const text =
        key +
        (type === 'string'
          ? await client.get(key)
          : type === 'hash'
            ? JSON.stringify(await client.hgetall(key))
            : type === 'zset'
              ? (await client.zrange(key, '0', '-1')).join()
              : type === 'set'
                ? (await client.smembers(key)).join()
                : '');
      if ([member, life.grid, life.single, life.waiting, 'canary'].some((mine) => text.includes(mine)))
        left.push(`${key} ${text.slice(0, 200)}`);
    }
    expect(left).toEqual([]);
    const store = await folder();
    expect(await store.has(pictureKeys.result(life.grid))).toBe(false);
    expect(await store.has(pictureKeys.picture(life.grid, 0))).toBe(false);
    expect(scene.discord.message(life.messageId)).toBeUndefined();
    const waits = [other.grid, other.single, other.waiting, heron.id].map((id) => `g-${id}`);
    expect((await scene.waiting()).sort()).toEqual(waits.sort());

    expect(life.upload).toBe(other.upload); // both sent the same file
    expect(await store.has(other.upload)).toBe(true);
    expect(await store.has(pictureKeys.result(other.grid))).toBe(true);
    expect(await client.exists(keys.recipe(other.grid))).toBe(1);
    const { message } = await run(stranger, 'mydata export');
    expect(JSON.parse(message?.attachments[0]?.data.toString('utf8') as string).jobs).toHaveLength(3);

    await scene.discord.click(
      stranger,
      (await run(stranger, 'mydata erase')).message?.id as string,
      'Erase everything',
      EN,
    );
    await expect.poll(() => store.has(other.upload), { timeout: 20_000 }).toBe(false);
  });

  it('erase can be thought better of', async () => {
    await live(member, 'a fox');
    const question = (await run(member, 'mydata erase')).message?.id as string;
    const kept = await scene.discord.click(member, question, 'Keep it', EN);
    expect(kept.message?.content).toBe('Nothing was erased.');
    expect(await scene.redis.client.zcard(keys.history(member))).toBe(3);
  });
});
