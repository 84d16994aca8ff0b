import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { changeServer } from '../../../bot/server/settings.ts';
import type { LoraCard } from '../../../shared/picture/lora.ts';
import { withText } from '../../../shared/picture/png.ts';
import { askSchema, type ModelCard } from '../../../shared/queue/job.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { openScene, pocket, type Scene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

const lora = (name: string, words: string[], digit: string): LoraCard => ({
  ...{ name, words, weight: 0.8, base: 'pocket' },
  sha256: digit.repeat(64),
});
const loras = [lora('blueprint', ['drawn plan'], 'a'), lora('gore', [], 'b')];
const painter: ModelCard = {
  ...pocket,
  name: 'painter',
  base: 'pocket',
};

describe('LoRAs, as a server allows them', { timeout: 120_000 }, () => {
  let scene: Scene;
  let member: string;
  beforeAll(async () => {
    scene = await openScene({ models: [painter], loras, env: { DEFAULT_MODEL: 'painter' } });
    ({ member } = scene.discord.users);
  }, 240_000);
  afterAll(() => scene?.close());
  afterEach(async () => {
    expect(scene.discord.violations).toEqual([]);
    await scene.empty();
  });
  const allow = (...loras: string[]) =>
    changeServer(scene.redis.client, scene.discord.guildId, { loras, channelLoras: {} });
  const run = (command: string, options: Record<string, string>) =>
    scene.discord.run(member, command, options, { locale: 'en-US' });
  const wordsOf = ({ message }: Awaited<ReturnType<typeof run>>) => JSON.stringify(message?.embeds);

  it('the field completes those that may be used, several of them, of the chosen model', async () => {
    await allow('-gore');
    const choices = async (typed: string, field = 'lora', command = 'imagine') =>
      (await scene.discord.autocomplete(member, command, field, { prompt: 'x', [field]: typed })).choices;
    expect(await choices('')).toEqual([{ name: 'blueprint:0.8 · drawn plan', value: 'blueprint:0.8' }]);
    expect(await choices('blueprint:0.3, bl', 'loras', 'compare')).toEqual([
      { name: 'blueprint:0.3, blueprint:0.8 · drawn plan', value: 'blueprint:0.3, blueprint:0.8' },
    ]);
    const { id } = await run('imagine', { prompt: 'a fox', lora: 'blueprint:0.3, blueprint:0.5' });
    await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === id);
    expect((await scene.render(id))?.params.loras).toEqual([{ name: 'blueprint', weight: 0.5 }]);
  });

  it('one that is denied is called denied: typed, by Fix it, in /compare', async () => {
    await allow('-gore');
    const typed = await run('imagine', { prompt: 'a fox <lora:gore:1>' });
    expect(wordsOf(typed)).toMatch(/`gore` may not be used on this server. Allowed: blueprint/);
    expect(wordsOf(await run('imagine', { prompt: 'a fox <lora:bluprint:0.5>' }))).toMatch(
      /Did you mean `<lora:blueprint:0.5>`/,
    );
    const compared = wordsOf(await run('compare', { prompt: 'a fox', loras: 'gore, blueprint' }));
    expect(compared).toMatch(/may not be used/);
    expect(compared).toContain('/compare prompt: a fox');
    const heavy = wordsOf(await run('compare', { prompt: 'a fox', loras: 'blueprint:5, blueprint' }));
    expect(heavy).toMatch(/`--lora` must be between -2 and 2/);
  });

  it('a button asks again: what was allowed when it was painted may be denied by now', async () => {
    const grid = await run('imagine', { prompt: 'a fox --lora gore:1 --seed 7' });
    const { messageId, recipe } = await finish(scene, grid.id, { ...painter, loras });
    await allow('blueprint');
    for (const button of ['V1', 'U1', '🔄']) {
      const told = await scene.discord.click(member, messageId, button, { locale: 'en-US' });
      expect(wordsOf(told)).toMatch(/`gore` may not be used on this server. Allowed: blueprint/);
    }
    await allow();
    const again = await scene.discord.click(member, messageId, 'V2', { locale: 'en-US' });
    expect(again.message?.content).toContain('gore');
    const gone = { ...recipe, prompt: 'a fox --lora gone:1' };
    await scene.redis.client.set(keys.recipe(grid.id), JSON.stringify(gone));
    const told = await scene.discord.click(member, messageId, 'V3', { locale: 'en-US' });
    expect(wordsOf(told)).toMatch(/There is no LoRA `gone` for this model. Installed: blueprint, gore/);
  });

  it('/describe puts those behind its prompts that the file names and the next picture can have', async () => {
    await allow('-gore');
    const file = withText(
      await sharp({ create: { width: 24, height: 16, channels: 3, background: '#583' } })
        .png()
        .toBuffer(),
      {
        parameters:
          'a castle <lora:old name:0.6> <lora:gore:1> <lora:x:1>\nSteps: 9, Lora hashes: "old name: aaaaaaaaaaaa"',
      },
    );
    const asked = await scene.discord.run(member, 'describe', { image: { name: 'x.png', file } });
    await scene.bot.logged((event) => event['msg'] === 'asked' && event['id'] === asked.id);
    const [job] = await scene.queues.ask.getJobs(['waiting', 'prioritized']);
    expect(askSchema.parse(job?.data).question).toMatchObject({ suffix: '--ar 3:2 --lora blueprint:0.6' });
    const told = await scene.discord.run(
      member,
      'inspect',
      { image: { name: 'x.png', file } },
      { locale: 'en-US' },
    );
    expect(told.message?.embeds[0]?.['fields']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'Not installed here, so left out', value: 'x' }),
        expect.objectContaining({ name: 'Not allowed on this server, so left out', value: 'gore' }),
      ]),
    );
  });
});
