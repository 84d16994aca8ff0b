import { beforeEach, describe, expect, it } from 'vitest';
import { printCustomId } from '../../../shared/picture/customId.ts';
import { announce } from '../../../shared/queue/registry.ts';
import { PEOPLE, reader, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

describe('Reword, and one model of each way of painting', { timeout: 120_000 }, () => {
  const scene = useScene();
  const { member } = PEOPLE;
  const install = () => announce(scene.redis.client, { id: 'reader', models: [reader] });
  beforeEach(install);

  const run = (command: string, options: Record<string, string>) =>
    scene.discord.run(member, command, options, { locale: 'en-US' });
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
