import { beforeEach, describe, expect, it } from 'vitest';
import { rerollOf } from '../../../bot/submit/drafts.ts';
import type { OptionValue } from '../../../playground/discord/commandOptions.ts';
import { printCustomId } from '../../../shared/picture/customId.ts';
import { resolveRecipe } from '../../../shared/picture/resolve.ts';
import { announce } from '../../../shared/queue/registry.ts';
import { PEOPLE, reader, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

describe('Reword, and one model of each way of painting', { timeout: 120_000 }, () => {
  const scene = useScene();
  const { member } = PEOPLE;
  const install = () => announce(scene.redis.client, { id: 'reader', models: [reader] });
  beforeEach(install);

  const run = (command: string, options: Record<string, OptionValue>) =>
    scene.discord.run(member, command, options, { locale: 'en-US' });
  const picture = {
    name: 'x.png',
    // One red pixel.
    file: Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC',
      'base64',
    ),
  };
  const press = async (jobId: string, messageId: string) => {
    const id = printCustomId({ action: 'reword', index: 0, jobId });
    return scene.discord.click(member, messageId, id, { locale: 'en-US', forge: true });
  };

  it('asks for both texts and paints on a model that reads pictures, whatever painted the picture', async () => {
    const grid = await run('imagine', { prompt: 'a fox in the snow --ar 3:2' });
    const { messageId, recipe } = await finish(scene, grid.id);
    await install();
    const opened = await press(grid.id, messageId);
    expect(JSON.stringify(opened.modal)).toMatch(/It shows.*a fox in the snow.*It should show/);
    const sent = await scene.discord.submitModal(
      member,
      opened,
      { from: 'a fox by day', prompt: 'a fox at night --stylize 200' },
      { locale: 'en-US' },
    );
    expect(sent.message?.content).toContain(`Reworded by <@${member}>`);
    expect(await scene.requestOf(sent.id)).toMatchObject({
      action: 'reword',
      model: 'tiny-unclip',
      count: 4,
      reword: { from: 'a fox by day', to: 'a fox at night' },
      params: { stylize: 200 },
      parent: { jobId: grid.id, index: 0, recipe },
    });
  });

  it('refuses in words where nobody reads pictures so', async () => {
    const grid = await run('imagine', { prompt: 'a fox' });
    const { messageId } = await finish(scene, grid.id);
    await announce(scene.redis.client, { id: 'reader', models: [{ ...reader, pictureEmbedding: false }] });
    const told = await press(grid.id, messageId);
    expect(told.message?.ephemeral).toBe(true);
    expect(told.message?.embeds[0]?.['title']).toBe('No model here can reword a picture');
  });

  it('/reword takes any picture, its words or none, and parameters with the new ones', async () => {
    const sent = await run('reword', { image: picture, should: 'a fox at night --chaos 20', shows: 'a fox' });
    expect(sent.message?.content).toContain(`Reworded by <@${member}>`);
    const request = await scene.requestOf(sent.id);
    expect(request).toMatchObject({
      action: 'reword',
      model: 'tiny-unclip',
      count: 4,
      reword: { from: 'a fox', to: 'a fox at night' },
      params: { chaos: 20 },
      image: { key: expect.stringContaining('uploads/') },
    });
    const recipe = resolveRecipe(request, reader);
    expect(recipe).toMatchObject({ image: request.image, meaning: { layout: true } });
    expect(rerollOf(recipe)).toMatchObject({ reword: request.reword, image: request.image });
    const bare = await run('reword', { image: picture, should: 'a fox at night --count 2' });
    expect(await scene.requestOf(bare.id)).toMatchObject({ count: 2, reword: { from: '' } });
    const titles = [];
    for (const options of [
      { should: 'a fox --modle x' },
      { should: '--chaos 5' },
      { should: 'a fox', model: 'pocket' },
      { should: 'a fox', model: 'nobody' },
    ])
      titles.push((await run('reword', { image: picture, ...options })).message?.embeds[0]?.['title']);
    expect(titles).toEqual([
      'Invalid prompt',
      'Words are missing',
      'No model here can reword a picture',
      'Invalid prompt',
    ]);
  });

  it('/blend weighs its pictures, on a model that is chosen for it', async () => {
    const pictures = { image1: picture, image2: picture };
    const sent = await run('blend', { ...pictures, weights: '70:30', model: 'tiny-unclip' });
    expect(sent.message?.content).toContain('a blend of 2 pictures, 70 % / 30 %');
    const { blend, model } = await scene.requestOf(sent.id);
    expect(blend?.map(({ share }) => share)).toEqual([0.7, 0.3]);
    expect(model).toBe('tiny-unclip');
    for (const weights of ['1', '1 2 3', '1, 0', '1, -1', 'much, little'])
      expect((await run('blend', { ...pictures, weights })).message?.embeds[0]?.['title']).toBe(
        'Weights do not fit',
      );
  });

  it('what paints whole pictures is asked for no part of one', async () => {
    const grid = await run('imagine', { prompt: 'a fox --model tiny-unclip' });
    const { messageId } = await finish(scene, grid.id, reader);
    await install();
    for (const action of ['vary-region', 'zoom-2', 'zoom-custom', 'pan-left'] as const) {
      const id = printCustomId({ action, index: 0, jobId: grid.id });
      const told = await scene.discord.click(member, messageId, id, { locale: 'en-US', forge: true });
      expect(told.message?.embeds[0]?.['title']).toBe('Whole pictures only');
    }
  });

  it('/compare without names sets one of each way side by side', async () => {
    const handle = await run('compare', { prompt: 'a fox' });
    const requests = await Promise.all([handle.id, `${handle.id}.1`].map((id) => scene.requestOf(id)));
    expect(requests.map(({ model }) => model)).toEqual(['pocket', 'tiny-unclip']);
    expect(new Set(requests.map(({ seed }) => seed)).size).toBe(1);
    expect(requests[0]?.compare?.labels).toEqual([
      'pocket · latent diffusion',
      'tiny-unclip · prior, small picture, enlarged',
    ]);
  });
});
