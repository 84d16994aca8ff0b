import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openFolderStore } from '../../../shared/picture/store.ts';
import { deliverJobSchema, renderRequestSchema } from '../../../shared/queue/job.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { openScene, PEOPLE, refusal, told, useScene } from '../../support/bot.ts';

const FOX = 'a fox in the snow at night';

describe('/imagine', { timeout: 240_000 }, () => {
  const scene = useScene({ env: { MAX_OPEN_JOBS: '13' } });
  const { member } = PEOPLE;

  const imagine = (prompt: string, user = member, locale?: string) =>
    scene.discord.run(user, 'imagine', { prompt }, { locale });

  it('acknowledges with the message and queues both jobs', async () => {
    const asked = await imagine(`${FOX} --ar 3:2 --seed 7`);
    expect(asked.callbackType).toBe(4);
    const { message } = asked;
    expect(message?.content).toMatch(
      new RegExp(
        `^\\*\\*${FOX} --ar 3:2 --seed 7\\*\\* - <@${member}> \\(Waiting to start\\)\n-# next in line$`,
      ),
    );
    expect(message?.buttons.map(({ label }) => label)).toEqual([expect.stringContaining('Cancel')]);
    await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === asked.id);
    const job = deliverJobSchema.parse(await scene.deliver(asked.id));
    expect(job.render).toMatchObject({
      jobId: asked.id,
      action: 'imagine',
      prompt: `${FOX} --ar 3:2 --seed 7`,
      parts: [{ text: FOX, weight: 1 }],
      model: 'pocket',
      seed: 7,
      count: 4,
      user: { id: member },
    });
    expect(job.deliver).toMatchObject({
      original: true,
      channelId: scene.discord.channelId,
      locale: 'en-US',
    });
    expect(renderRequestSchema.parse(await scene.render(asked.id))).toEqual(job.render);
    const { client } = scene.redis;
    expect(await client.get(keys.token(asked.id))).toBe(asked.token);
    expect(await client.ttl(keys.token(asked.id))).toBeGreaterThan(800);
    expect(await client.get(keys.owner(asked.id))).toBe(member);
    await expect
      .poll(() => client.get(keys.message(asked.id)))
      .toBe(`${scene.discord.channelId}:${message?.id}`);
  });

  it('says place in line and expected wait', async () => {
    await scene.redis.client.hset(keys.pace, 'pocket', '10000');
    await imagine(FOX);
    await imagine(FOX);
    const third = await imagine(FOX);
    expect(third.message?.content).toContain('\n-# 2 jobs ahead of you · about 30 sec');
  });

  it('answers in Vietnamese', async () => {
    const asked = await imagine('một con cáo', member, 'vi');
    expect(asked.message?.content).toContain('(Đang chờ bắt đầu)');
    const wrong = await imagine('một con cáo --chaos 300', member, 'vi');
    expect(wrong.message?.embeds[0]?.['title']).toBe('Lời mô tả không hợp lệ');
  });

  it('says how another program’s signs were read, to whoever typed them', async () => {
    const asked = await imagine('a {red|blue} fox');
    await expect.poll(() => asked.followups.length, { timeout: 60_000 }).toBe(1);
    expect(asked.followups[0]).toMatchObject({
      ephemeral: true,
      content: expect.stringContaining('`{red, blue}`'),
    });
  });

  it('works in direct messages', async () => {
    const dm = scene.discord.dm(member);
    const asked = await scene.discord.run(member, 'imagine', { prompt: FOX }, { channelId: dm });
    expect(asked.message?.content).toContain('(Waiting to start)');
    await expect.poll(async () => (await scene.deliver(asked.id))?.deliver.channelId).toBe(dm);
  });

  it('repeats as messages of their own', async () => {
    const asked = await imagine(`${FOX} --repeat 3`);
    const ids = [asked.id, `${asked.id}.1`, `${asked.id}.2`];
    await expect.poll(async () => (await scene.waiting()).sort()).toEqual(ids.map((id) => `g-${id}`));
    const jobs = await Promise.all(ids.map((id) => scene.deliver(id)));
    expect(jobs.map((job) => job?.deliver.original)).toEqual([true, false, false]);
    expect(new Set(jobs.map((job) => job?.render.seed)).size).toBe(3);
    const messages = await Promise.all(ids.map((id) => scene.redis.client.get(keys.message(id))));
    expect(new Set(messages).size).toBe(3);
    const tokens = await Promise.all(ids.map((id) => scene.redis.client.exists(keys.token(id))));
    expect(tokens).toEqual([1, 0, 0]);
    for (const at of messages)
      expect(scene.discord.message(at?.split(':')[1] as string)?.content).toContain('(Waiting to start)');
  });

  describe('a permutation', () => {
    const Q = 'a {red, blue} fox --repeat 2';

    it('asks first: how many, which, how long; Yes queues them', async () => {
      await scene.redis.client.hset(keys.pace, 'pocket', '10000');
      const asked = await imagine(Q);
      expect(asked.message?.ephemeral).toBe(true);
      const [embed] = asked.message?.embeds ?? [];
      expect(embed?.['title']).toBe('This makes 4 jobs. Go?');
      expect(embed?.['description']).toContain('- a red fox\n- a blue fox');
      expect(embed?.['description']).toContain('about 40 sec');
      expect(await scene.waiting()).toEqual([]);
      const question = asked.message?.id as string;
      const yes = await scene.discord.click(member, question, 'Yes');
      expect(yes.message?.ephemeral).toBe(false);
      await expect.poll(async () => (await scene.waiting()).length, { timeout: 20_000 }).toBe(4);
      expect((await scene.render(`${yes.id}.2`))?.prompt).toBe('a blue fox');
      await scene.discord.waitFor(() => scene.discord.message(question) === undefined);
    });

    it('is asked still where Yes was refused, and not where it was queued', async () => {
      const { client } = scene.redis;
      const asked = await imagine(Q);
      const later = async () => client.del(keys.open(member), ...(await client.keys('*clicked*')));
      for (let i = 0; i < 13; i++) await client.zadd(keys.open(member), String(Date.now()), `other-${i}`);
      const press = async () => {
        const handle = await scene.discord.click(
          member,
          asked.message?.id as string,
          `v1|confirm|0|${asked.id}`,
          {
            forge: true,
          },
        );
        return told(handle)?.embeds[0]?.['title'];
      };
      expect(await press()).toBe('Queue full');
      await later();
      await press();
      await expect.poll(async () => (await scene.waiting()).length, { timeout: 20_000 }).toBe(4);
      await scene.discord.waitFor(() => scene.discord.message(asked.message?.id as string) === undefined);
      expect(await client.keys(`*:fix:${member}:*`)).toEqual([]);
    });

    it('is dropped by Cancel, and Yes comes too late then', async () => {
      const asked = await imagine(Q, member, 'vi');
      expect(asked.message?.embeds[0]?.['title']).toContain('4 lượt vẽ');
      const question = asked.message?.id as string;
      const no = await scene.discord.click(member, question, 'Hủy', { locale: 'vi' });
      expect(no.callbackType).toBe(7);
      expect(no.message?.content).toBe('Chưa có gì được xếp.');
      expect(no.message?.buttons).toEqual([]);
      const late = await scene.discord.click(member, question, `v1|confirm|0|${asked.id}`, { forge: true });
      expect(late.message?.embeds[0]?.['title']).toBe('Too late');
      expect(await scene.waiting()).toEqual([]);
    });

    it('of more than ten is refused', async () => {
      const many = await imagine('a {a, b, c, d} {e, f, g} fox');
      expect(many.message?.ephemeral).toBe(true);
      expect(many.message?.embeds[0]?.['description']).toContain('makes 12 jobs; at most 10');
    });
  });

  it('refuses the job over the cap and says why', async () => {
    await imagine(`${FOX} --repeat 10`);
    const more = await imagine(`${FOX} --repeat 4`);
    expect(more.message?.ephemeral).toBe(true);
    expect(more.message?.embeds[0]?.['title']).toBe('Queue full');
    expect(await scene.redis.client.zcard(keys.open(member))).toBe(10);
    // Discord takes five messages in five seconds from a bot, so the last ones come late.
    await expect.poll(async () => (await scene.waiting()).length, { timeout: 30_000 }).toBe(10);
    const other = await imagine(FOX, scene.discord.users.stranger, 'en-US');
    expect(other.message?.content).toContain('(Waiting to start)');
  });

  it('pings nobody and formats nothing', async () => {
    const asked = await imagine('@everyone <@&1> **bold** [x](https://evil.example) `c`');
    expect(asked.message?.mentionEveryone).toBe(false);
    expect(asked.message?.pinged).toEqual([]);
    expect(asked.message?.content).toContain('\\@everyone');
  });

  describe('with an image', () => {
    const run = (file: Buffer, name: string) =>
      scene.discord.run(member, 'imagine', { prompt: FOX, image: { file, name } });

    it('keeps a clean PNG under its hash', async () => {
      const file = await sharp({ create: { width: 2000, height: 1000, channels: 3, background: 'red' } })
        .jpeg()
        .toBuffer();
      const asked = await run(file, 'fox.jpg');
      await expect
        .poll(async () => (await scene.render(asked.id))?.image?.key)
        .toMatch(/^uploads\/[0-9a-f]{64}\.png$/);
      const key = (await scene.render(asked.id))?.image?.key as string;
      const kept = await (await openFolderStore(scene.dataDir)).get(key);
      expect(await sharp(kept).metadata()).toMatchObject({ format: 'png', width: 1024, height: 512 });
    });

    it('refuses what is no picture', async () => {
      const asked = await run(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'fox.png');
      await scene.discord.waitFor(() => asked.message ?? asked.followups[0]);
      expect(refusal(asked)).toBe('Invalid image');
      expect(await scene.waiting()).toEqual([]);
    });
  });

  describe('wrong prompts', () => {
    const refused = async (prompt: string) => {
      const asked = await imagine(prompt);
      expect(asked.message?.ephemeral).toBe(true);
      expect(await scene.waiting()).toEqual([]);
      return asked;
    };

    it('shows every problem at once, with carets, and the command to copy', async () => {
      const asked = await refused(`${FOX} --stylise 5000 --chas 3`);
      const [embed] = asked.message?.embeds ?? [];
      expect(embed?.['title']).toBe('Invalid prompt');
      expect(embed?.['description']).toContain('^');
      expect(embed?.['description']).toContain('must be between 0 and 1000 with `--model pocket`');
      expect(embed?.['description']).toContain('Did you mean `--chaos`?');
      expect(embed?.['footer'].text).toBe(`/imagine prompt: ${FOX} --stylise 5000 --chas 3`);
      expect(asked.message?.buttons.map(({ label }) => label)).toEqual(['Fix it']);
    });

    it('mends itself through the form', async () => {
      const asked = await refused(`${FOX} --stylize 5000`);
      const pressed = await scene.discord.click(member, asked.message?.id as string, 'Fix it');
      expect(pressed.callbackType).toBe(9);
      const value = JSON.stringify(pressed.modal);
      expect(value).toContain(`${FOX} --stylize 1000`);
      const sent = await scene.discord.submitModal(member, pressed, { prompt: `${FOX} --stylize 900` });
      expect(sent.message?.ephemeral).toBe(false);
      expect(sent.message?.content).toContain('--stylize 900');
      await expect.poll(async () => (await scene.render(sent.id))?.params.stylize).toBe(900);
    });

    it.each([
      ['only spaces', '   ', 'Empty prompt'],
      ['only parameters', '--ar 3:2', 'Empty prompt'],
    ])('%s', async (_, prompt, title) => {
      const asked = await refused(prompt);
      expect(asked.message?.embeds[0]?.['title']).toBe(title);
    });
  });

  it('waits for a worker where there is none, and says so', async () => {
    const other = await openScene({ worker: false });
    try {
      const prompt = `${FOX} --model not-here-yet --turbo`;
      const asked = await other.discord.run(other.discord.users.member, 'imagine', { prompt });
      expect(asked.message?.ephemeral).toBe(false);
      expect(asked.message?.content).toContain(
        '(Waiting to start)\n-# nobody is painting just now; your job waits',
      );
      await expect.poll(() => other.waiting()).toEqual([`g-${asked.id}`]);
      expect(await other.render(asked.id)).toMatchObject({ model: 'not-here-yet', lane: 'turbo' });
    } finally {
      await other.close();
    }
  });

  it('says what to do instead in the language of the member', async () => {
    const asked = await imagine(`${FOX} --hd`, member, 'vi');
    expect(asked.message?.embeds[0]?.['description']).toContain(
      '`--hd` không có tác dụng ở đây. Hãy dùng các nút Phóng to dưới bức ảnh.',
    );
  });
});
