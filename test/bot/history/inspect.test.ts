import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { withText } from '../../../shared/picture/png.ts';
import { PEOPLE, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

describe('/inspect', { timeout: 120_000 }, () => {
  const scene = useScene();
  const { member } = PEOPLE;
  let plain: Buffer;
  beforeAll(async () => {
    plain = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#583' } })
      .png()
      .toBuffer();
  });

  const inspect = (file: Buffer, locale = 'en-US') =>
    scene.discord.run(member, 'inspect', { image: { name: 'x.png', file } }, { locale });
  /** The form that Run again opens, sent as it is. */
  const runAgain = async (handle: Awaited<ReturnType<typeof inspect>>) => {
    const form = await scene.discord.click(member, handle.message?.id as string, 'Run again', {
      locale: 'en-US',
    });
    const [value] = /"value":"((?:[^"\\]|\\.)*)"/.exec(JSON.stringify(form.modal))?.slice(1) ?? [];
    const prompt = JSON.parse(`"${value}"`) as string;
    return { prompt, sent: await scene.discord.submitModal(member, form, { prompt }, { locale: 'en-US' }) };
  };

  it('reads our own files, long after everything else forgot them', async () => {
    const grid = await scene.discord.run(member, 'imagine', { prompt: 'a fox --ar 3:2 --no snow' });
    const { messageId, recipe } = await finish(scene, grid.id);
    const file = scene.discord.message(messageId)?.attachments[0]?.data as Buffer;
    await scene.empty();
    const told = await inspect(file);
    expect(told.message?.ephemeral).toBe(true);
    const shown = JSON.stringify(told.message?.embeds);
    for (const part of ['a fox', 'pocket', String(recipe.seed), 'snow', '20']) expect(shown).toContain(part);
    const { prompt, sent } = await runAgain(told);
    expect(prompt).toContain(`--seed ${recipe.seed}`);
    expect(await scene.requestOf(sent.id)).toMatchObject({
      seed: recipe.seed,
      parts: recipe.parts,
      negative: 'snow',
    });
  });

  it('reads AUTOMATIC1111’s, and paints them here', async () => {
    const parameters =
      'a castle on a hill <lora:add detail:0.6>\nNegative prompt: blurry\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 99, Size: 768x512, Model: other';
    const told = await inspect(withText(plain, { parameters }));
    expect(told.message?.embeds[0]).toMatchObject({ footer: { text: 'AUTOMATIC1111' } });
    expect(told.message?.embeds[0]?.['fields']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'LoRAs', value: 'add detail:0.6' }),
        expect.objectContaining({ name: 'Not installed here, so left out', value: 'add detail' }),
      ]),
    );
    const { prompt, sent } = await runAgain(told);
    expect(prompt).toMatch(/^a castle on a hill --/);
    expect(prompt).not.toContain('lora');
    expect(await scene.requestOf(sent.id)).toMatchObject({
      prompt: expect.stringContaining('a castle on a hill'),
      negative: 'blurry',
      seed: 99,
      params: { aspect: [3, 2], scheduler: 'euler-a' },
      model: 'pocket',
    });
  });

  it('reads ComfyUI’s; a seed too long for us is shown and left out', async () => {
    const prompt = JSON.stringify({
      1: {
        class_type: 'KSampler',
        inputs: {
          seed: 156680208700286,
          steps: 20,
          cfg: 8,
          sampler_name: 'euler',
          positive: ['2', 0],
          negative: ['3', 0],
        },
      },
      2: { class_type: 'CLIPTextEncode', inputs: { text: 'a rose' } },
      3: { class_type: 'CLIPTextEncode', inputs: { text: '' } },
    });
    const told = await inspect(withText(plain, { prompt }), 'vi');
    expect(told.message?.embeds[0]).toMatchObject({ footer: { text: 'ComfyUI' } });
    expect(JSON.stringify(told.message?.embeds)).toContain('156680208700286');
    expect(JSON.stringify(told.message?.buttons)).not.toContain('Run again');
  });

  it('says where there is nothing to read', async () => {
    expect((await inspect(plain)).message?.embeds[0]?.['title']).toBe('Nothing to read');
    const none = await inspect(Buffer.from('hello'));
    expect(none.message?.embeds[0]?.['title']).toBe('Nothing to read');
    expect(scene.discord.violations).toEqual([]);
  });
});
