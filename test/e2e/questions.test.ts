import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../playground/index.ts';
import { readRecipe } from '../../shared/picture/png.ts';
import { isGrid, type Stack, startStack } from '../support/stack.ts';

/** `/describe`, `/shorten` and `/blend` on the model that ships, from the command to the message. */
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
  await Promise.all([stack.startBot(), stack.startWorker()]);
}, 240_000);
afterAll(() => stack?.close());

const MS = 240_000;
const run = (command: string, options: Record<string, unknown>, locale = 'en-US') =>
  stack.playground.run(stack.playground.users.member, command, options as never, { locale });

async function until(
  handle: { message: MessageView | undefined },
  done: (message: MessageView) => boolean,
): Promise<MessageView> {
  return stack.playground.waitFor(
    () => (handle.message && done(handle.message) ? handle.message : undefined),
    MS,
    'the answer',
  );
}
const answered = (message: MessageView): boolean => message.embeds.length > 0;
const textOf = (message: MessageView): string => String(message.embeds[0]?.['description'] ?? '');

let grid: MessageView;
let pictures: Buffer[];

describe('questions', { timeout: MS }, () => {
  it('first there are pictures', async () => {
    grid = await until(await run('imagine', { prompt: 'a castle by the lake at sunset --seed 8' }), isGrid);
    const night = await until(
      await run('imagine', { prompt: 'a fox in the snow at night --seed 7' }),
      isGrid,
    );
    const first = (message: MessageView): Promise<Buffer> =>
      sharp(message.attachments[0]?.data)
        .extract({ left: 0, top: 0, width: 128, height: 128 })
        .png()
        .toBuffer();
    pictures = [await first(grid), await first(night)];
  });

  it('/describe says what is there, in the picture’s shape, and paints what it said', async () => {
    const wide = await sharp(pictures[0]).resize(192, 128, { fit: 'fill' }).png().toBuffer();
    const handle = await run('describe', { image: { name: 'wide.png', file: wide } });
    const message = await until(handle, answered);
    expect(message.ephemeral).toBe(true);
    const text = textOf(message);
    expect(text.match(/--ar 3:2/g)).toHaveLength(4);
    // The towers are small: the scene's light and place they do see.
    expect(text).toMatch(/castle|sunset|lake|sea/);
    expect(message.buttons).toHaveLength(5);
    const one = await stack.playground.click(stack.playground.users.member, message.id, '1️⃣', {
      locale: 'en-US',
    });
    const painted = await until(one, isGrid);
    const said = text
      .split('\n')[0]
      ?.replace(/^1️⃣\s*/, '')
      .replaceAll('\\', '') as string;
    expect(painted.content.replaceAll('\\', '')).toContain(said);
  });

  it('/shorten marks words and offers shorter prompts, parameters kept', async () => {
    const prompt =
      'please paint for me a very very lovely and quite nice fox in the snow at night --stylize 200';
    const message = await until(await run('shorten', { prompt }), answered);
    const text = textOf(message);
    expect(text).toMatch(/\*\*(?:fox|snow|night)\*\*/);
    expect(text).toMatch(/~~\w+~~/);
    const offered = text.split('\n').filter((line) => /^\d/.test(line));
    expect(offered.length).toBeGreaterThanOrEqual(2);
    const lengths = offered.map((line) => line.length);
    expect([...lengths].sort((a, b) => b - a)).toEqual(lengths);
    for (const line of offered) expect(line).toContain('--stylize 200');
    expect(offered[0]).toMatch(/fox/);
    const all = await stack.playground.click(stack.playground.users.member, message.id, 'Imagine all', {
      locale: 'en-US',
    });
    await until(all, (shown) => shown.content.includes('--stylize 200'));
  });

  it('/blend paints one picture out of several, with words found for each', async () => {
    const handle = await run('blend', {
      image1: { name: 'a.png', file: pictures[0] },
      image2: { name: 'b.png', file: pictures[1] },
      dimensions: 'landscape',
    });
    expect(handle.message?.content).toContain('a blend of 2 pictures');
    expect(handle.message?.content).toContain('Blend by');
    const message = await until(handle, isGrid);
    const recipe = readRecipe(message.attachments[0]?.data as Buffer);
    expect(recipe).toMatchObject({ action: 'blend', width: 192, height: 128, blend: [{}, {}] });
    expect(recipe?.parts).toHaveLength(2);
    expect(recipe?.parts.every(({ text, weight }) => text.length > 3 && weight === 0.5)).toBe(true);
    const varied = await stack.playground.click(stack.playground.users.member, message.id, 'V1');
    expect(await until(varied, isGrid)).toBeDefined();
  });

  it('answers in Vietnamese, and what is no picture is refused', async () => {
    const message = await until(
      await run('describe', { image: { name: 'a.png', file: pictures[1] } }, 'vi'),
      answered,
    );
    expect(message.embeds[0]?.['title']).toBe('Trong ảnh có gì');
    const none = await run('describe', {});
    expect(none.message?.embeds[0]?.['title']).toBe('No picture');
    const broken = await run('describe', { image: { name: 'a.png', file: Buffer.from('GIF89a') } });
    expect(broken.message?.embeds[0]?.['title']).toBe('Invalid image');
    expect(stack.playground.violations).toEqual([]);
  });
});
