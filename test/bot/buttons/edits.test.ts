import { describe, expect, it } from 'vitest';
import { PEOPLE, refusal, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';

const FOX = 'a fox in the snow --ar 3:2 --seed 7';

describe('region, zoom, pan and square', { timeout: 120_000 }, () => {
  const scene = useScene();
  const { member, stranger } = PEOPLE;

  const click = (messageId: string, which: string, user = member, forge = false, locale = 'en-US') =>
    scene.discord.click(user, messageId, which, { locale, ...(forge ? { forge } : {}) });
  const submit = (user: string, opener: Awaited<ReturnType<typeof click>>, fields: Record<string, string>) =>
    scene.discord.submitModal(user, opener, fields, { locale: 'en-US' });
  /** A picture taken out of a grid. */
  const single = async () => {
    const grid = await scene.discord.run(member, 'imagine', { prompt: FOX }, { locale: 'en-US' });
    const { messageId } = await finish(scene, grid.id);
    const taken = await click(messageId, 'U2');
    return { jobId: taken.id, ...(await finish(scene, taken.id)) };
  };

  it.each([
    ['Zoom Out 2x', 'Zoom Out by', { action: 'zoom-out', zoom: 2 }],
    ['Zoom Out 1.5x', 'Zoom Out by', { action: 'zoom-out', zoom: 1.5 }],
    ['⬅️', 'Pan Left by', { action: 'pan-left' }],
    ['➡️', 'Pan Right by', { action: 'pan-right' }],
    ['⬆️', 'Pan Up by', { action: 'pan-up' }],
    ['⬇️', 'Pan Down by', { action: 'pan-down' }],
  ])('%s paints four, without the shape that the prompt once had', async (label, title, wanted) => {
    const { jobId, messageId, recipe } = await single();
    const pressed = await click(messageId, label);
    expect(pressed.message?.content).toContain(`${title} <@${member}>`);
    const request = await scene.requestOf(pressed.id);
    expect(request).toMatchObject({
      ...wanted,
      count: 4,
      prompt: 'a fox in the snow',
      parent: { jobId, recipe },
    });
    expect(request.params.aspect).toBeUndefined();
    expect(request.seed).not.toBe(recipe.seed);
    const { recipe: child } = await finish(scene, pressed.id);
    expect(child).toMatchObject({ ...wanted, parent: { jobId, index: 0 } });
  });

  it('a square has no Make Square; a picture that was panned has', async () => {
    const { messageId } = await single();
    const labels = (id: string) => scene.discord.message(id)?.buttons.map(({ label }) => label) ?? [];
    expect(labels(messageId)).not.toContain('↔️ Make Square');
    const panned = await click(messageId, '➡️');
    const { messageId: wide } = await finish(scene, panned.id);
    const taken = await click(wide, 'U1');
    const { messageId: one } = await finish(scene, taken.id);
    expect(labels(one)).toContain('↔️ Make Square');
    const square = await click(one, 'Make Square');
    expect(await scene.requestOf(square.id)).toMatchObject({ action: 'make-square' });
    const { recipe } = await finish(scene, square.id);
    expect(recipe.width).toBe(recipe.height);
    const rerolled = await click(await scene.messageOf(square.id), '🔄');
    expect(await scene.requestOf(rerolled.id)).toMatchObject({
      action: 'make-square',
      parent: { jobId: taken.id },
    });
  });

  it('Vary (Region): cells are chosen in a message of one’s own, then the prompt', async () => {
    const { jobId, messageId } = await single();
    const picker = await click(messageId, 'Vary (Region)', stranger);
    const own = picker.message;
    expect(own?.ephemeral).toBe(true);
    expect(own?.embeds[0]?.['image']).toBeDefined();
    expect(own?.buttons).toHaveLength(17);
    expect(own?.buttons.at(-1)).toMatchObject({ label: 'Paint these parts', disabled: true });
    const pick = async (at: number) => {
      const id = scene.discord.message(own?.id as string)?.buttons[at]?.customId as string;
      expect((await click(own?.id as string, id, stranger)).callbackType).toBe(7);
    };
    for (const at of [0, 5, 15, 0]) await pick(at);
    const shown = scene.discord.message(own?.id as string);
    expect(shown?.buttons.map(({ label }) => label).filter((label) => label.includes('🖌️'))).toHaveLength(2);
    const asked = await click(own?.id as string, 'Paint these parts', stranger);
    expect(JSON.stringify(asked.modal)).toContain('a fox in the snow');
    const sent = await submit(stranger, asked, { prompt: 'a red balloon --stylize 200' });
    expect(sent.message?.content).toContain(`Variations (Region) by <@${stranger}>`);
    expect(await scene.requestOf(sent.id)).toMatchObject({
      action: 'vary-region',
      cells: (1 << 5) | (1 << 15),
      parts: [{ text: 'a red balloon', weight: 1 }],
      params: { stylize: 200 },
      parent: { jobId, index: 0 },
      user: { id: stranger },
    });
  });

  it('the picker works after Redis forgot everything', async () => {
    const { messageId } = await single();
    const picker = await click(messageId, 'Vary (Region)');
    await scene.empty();
    const own = picker.message?.id as string;
    await click(own, picker.message?.buttons[6]?.customId as string);
    const asked = await click(own, 'Paint these parts');
    const sent = await submit(member, asked, { prompt: 'a fox' });
    expect(await scene.requestOf(sent.id)).toMatchObject({ action: 'vary-region', cells: 1 << 6 });
  });

  it('Custom Zoom takes its zoom and a new shape out of the prompt', async () => {
    const { messageId } = await single();
    const asked = await click(messageId, 'Custom Zoom');
    expect(JSON.stringify(asked.modal)).toContain('a fox in the snow --zoom 1.5');
    const sent = await submit(member, asked, { prompt: 'a fox —zoom 1,8 --ar 1:1' });
    expect(await scene.requestOf(sent.id)).toMatchObject({
      action: 'zoom-out',
      zoom: 1.8,
      params: { aspect: [1, 1] },
      prompt: 'a fox --ar 1:1',
    });
    const again = await click(messageId, 'Custom Zoom', stranger);
    const wrong = await submit(stranger, again, { prompt: 'a fox --zoom 3' });
    expect(refusal(wrong)).toBe('Invalid prompt');
    expect(JSON.stringify(wrong.message?.embeds)).toContain('between 1 and 2');
    const mended = await scene.discord.click(stranger, wrong.message?.id as string, 'Fix it');
    expect(JSON.stringify(mended.modal)).toContain('a fox --zoom 2');
    const zoomed = await submit(stranger, mended, { prompt: 'a fox --zoom 2' });
    expect(await scene.requestOf(zoomed.id)).toMatchObject({ action: 'zoom-out', zoom: 2 });
  });

  it('a mistake in the form is mended there, and the zoom is not forgotten', async () => {
    const { messageId } = await single();
    const asked = await click(messageId, 'Custom Zoom');
    const wrong = await submit(member, asked, {
      prompt: 'a fox --stilize 50 --zoom 1.25',
    });
    const mend = await click(wrong.message?.id as string, 'Fix it');
    expect(JSON.stringify(mend.modal)).toContain('--stylize 50');
    const sent = await submit(member, mend, { prompt: 'a fox --stylize 50' });
    expect(await scene.requestOf(sent.id)).toMatchObject({
      action: 'zoom-out',
      zoom: 1.25,
      params: { stylize: 50 },
    });
  });

  it('says in Vietnamese what it says in English', async () => {
    const { messageId } = await single();
    const picker = await click(messageId, 'Vary (Region)', member, false, 'vi');
    expect(picker.message?.content).toContain('Chọn những phần');
    const panned = await click(messageId, '⬇️', member, false, 'vi');
    expect(panned.message?.content).toContain('Mở rộng xuống dưới');
  });

  it.each([
    ['no cells', (jobId: string) => `v1|region-prompt|0|${jobId}|0`, 'Unknown button'],
    ['cells past the last', (jobId: string) => `v1|region-cells|0|${jobId}|10000`, 'Unknown button'],
    ['cells that are none', (jobId: string) => `v1|region-cells|0|${jobId}|zz`, 'Unknown button'],
    ['a picture that is not there', (jobId: string) => `v1|pan-left|3|${jobId}`, 'Unknown button'],
    ['a square of a square', (jobId: string) => `v1|make-square|0|${jobId}`, 'Nothing to paint'],
  ])('forged: %s', async (_, customId, title) => {
    const { jobId, messageId } = await single();
    const before = await scene.waiting();
    expect(refusal(await click(messageId, customId(jobId), member, true))).toBe(title);
    expect(await scene.waiting()).toEqual(before);
  });
});
