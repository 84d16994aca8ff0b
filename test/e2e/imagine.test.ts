import { rm } from 'node:fs/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../playground/index.ts';
import { readRecipe } from '../../shared/picture/png.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import type { TestProcess } from '../support/processes.ts';
import { isGrid, isSingle, type Stack, startStack } from '../support/stack.ts';

/** The whole way on the model that ships: bot, queue, worker, engine, delivery; then all of it again after restarts. */
let stack: Stack;
let bot: TestProcess;
let worker: TestProcess;

beforeAll(async () => {
  stack = await startStack();
  [bot, worker] = await Promise.all([stack.startBot(), stack.startWorker()]);
});
afterAll(() => stack?.close());

const PAINT_MS = 120_000;

/** What `userId` gets from a command or a click: the message, once `done` says it is finished. */
async function finished(
  handle: { id: string; message: MessageView | undefined },
  done: (m: MessageView) => boolean,
): Promise<MessageView> {
  return stack.playground.waitFor(
    () => (handle.message && done(handle.message) ? handle.message : undefined),
    PAINT_MS,
    'the finished message',
  );
}

const imagine = async (prompt: string): Promise<MessageView> => {
  const handle = await stack.playground.run(stack.playground.users.member, 'imagine', { prompt });
  expect(handle.state).toBe('acknowledged');
  return finished(handle, isGrid);
};

const press = async (
  message: MessageView,
  label: string,
  done: (m: MessageView) => boolean,
  user = stack.playground.users.member,
) => finished(await stack.playground.click(user, message.id, label), done);

const fileOf = (message: MessageView): Buffer => message.attachments[0]!.data;
const recipeOf = (message: MessageView): Recipe => {
  const recipe = readRecipe(fileOf(message));
  expect(recipe).toBeDefined();
  return recipe as Recipe;
};

/** Mean absolute difference of two pictures, 0..255. */
async function difference(a: Buffer, b: Buffer): Promise<number> {
  const [x, y] = await Promise.all([a, b].map((bytes) => sharp(bytes).removeAlpha().raw().toBuffer()));
  if (x!.length !== y!.length) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < x!.length; i++) sum += Math.abs(x![i]! - y![i]!);
  return sum / x!.length;
}

describe('from /imagine to the grid', () => {
  let grid: MessageView;

  it('acknowledges, shows the picture clearing up, and ends in one grid in the same message', async () => {
    const { playground } = stack;
    const contents: string[] = [];
    let previews = 0;
    const stop = playground.on(() => {
      const last = playground.messages(playground.channelId, playground.users.member).at(-1);
      if (!last || contents.at(-1) === last.content) return;
      contents.push(last.content);
      if (/\d+%/.test(last.content) && last.attachments.length === 1) previews++;
    });
    grid = await imagine('a fox in the snow at night --seed 7 --quality 4');
    stop();
    expect(contents[0]).toMatch(/Waiting to start/);
    expect(previews).toBeGreaterThanOrEqual(1);
    expect(grid.content).toContain('a fox in the snow at night');
    expect(playground.messages(playground.channelId, playground.users.member)).toHaveLength(1);

    const meta = await sharp(fileOf(grid)).metadata();
    expect([meta.format, meta.width, meta.height]).toEqual(['png', 256, 256]);
    expect(recipeOf(grid)).toMatchObject({ seed: 7, count: 4, model: 'pocket', action: 'imagine' });
    expect(grid.attachments[0]!.filename).toMatch(/^[\w.-]+\.png$/);
  });

  it('U2 is the second picture, larger; 🔄 is another grid; V3 varies the third', async () => {
    const [single, again, varied] = [
      await press(grid, 'U2', isSingle),
      await press(grid, '🔄', isGrid),
      await press(grid, 'V3', isGrid),
    ];
    expect(recipeOf(single)).toMatchObject({ action: 'upscale-subtle', count: 1, parent: { index: 1 } });
    const size = await sharp(fileOf(single)).metadata();
    expect(size.width).toBeGreaterThanOrEqual(512);
    const second = await sharp(fileOf(grid))
      .extract({ left: 128, top: 0, width: 128, height: 128 })
      .png()
      .toBuffer();
    const small = await sharp(fileOf(single)).resize(128, 128).png().toBuffer();
    const first = await sharp(fileOf(grid))
      .extract({ left: 0, top: 0, width: 128, height: 128 })
      .png()
      .toBuffer();
    expect(await difference(small, second)).toBeLessThan(12);
    expect(await difference(small, second)).toBeLessThan((await difference(small, first)) / 2);

    expect(recipeOf(again)).toMatchObject({ action: 'imagine', prompt: expect.stringContaining('a fox') });
    expect(recipeOf(again).seed).not.toBe(7);
    expect(recipeOf(varied)).toMatchObject({ action: 'vary-strong', count: 4, parent: { index: 2 } });
    expect(await difference(fileOf(again), fileOf(grid))).toBeGreaterThan(1);
  });

  it('the same prompt and seed give the same bytes', async () => {
    const again = await imagine('a fox in the snow at night --seed 7 --quality 4');
    expect(await difference(fileOf(again), fileOf(grid))).toBe(0);
  });

  it('every old button works after everything was restarted, also when pictures and Redis are gone', async () => {
    const before = await press(grid, 'U2', isSingle);
    for (const process of [bot, worker]) process.signal('SIGTERM');
    expect(await Promise.all([bot.ended, worker.ended])).toEqual([0, 0]);
    await rm(stack.dataDir, { recursive: true, force: true });
    await stack.redis.client.flushall();
    [bot, worker] = await Promise.all([stack.startBot(), stack.startWorker()]);
    const after = await press(grid, 'U2', isSingle);
    expect(await difference(fileOf(after), fileOf(before))).toBe(0);
    expect(isGrid(await press(grid, 'V1', isGrid))).toBe(true);
  });

  it('answers bad input with an ephemeral word that helps, and queues nothing', async () => {
    const { playground } = stack;
    for (const [prompt, says] of [
      ['a fox --stilize 50', /stylize/],
      ['a fox --stylize 5000', /0.*1000/],
      ['   ', /prompt/i],
      ['--ar 1:1', /prompt/i],
    ] as const) {
      const handle = await playground.run(playground.users.member, 'imagine', { prompt });
      const reply = handle.message!;
      expect(reply.ephemeral, prompt).toBe(true);
      expect(JSON.stringify([reply.content, reply.embeds]), prompt).toMatch(says);
    }
    const bomb = await playground.run(playground.users.member, 'imagine', {
      prompt: 'a fox',
      image: { name: 'not.png', file: Buffer.from('GIF89a not an image') },
    });
    expect(bomb.message!.ephemeral).toBe(true);
  });

  it('lets only the author and moderators cancel', async () => {
    const { playground } = stack;
    const handle = await playground.run(playground.users.member, 'imagine', {
      prompt: 'a castle --quality 4',
    });
    const stranger = await playground.click(playground.users.stranger, handle.message!.id, '❌');
    expect((stranger.followups[0] ?? stranger.message)!.ephemeral).toBe(true);
    await playground.click(playground.users.member, handle.message!.id, '❌');
    const cancelled = await playground.waitFor(
      () => (/cancel/i.test(handle.message?.content ?? '') ? handle.message : undefined),
      PAINT_MS,
    );
    expect(cancelled.buttons.map(({ label }) => label)).not.toContain('U1');
  });

  it('sent nothing that Discord would refuse, pinged nobody but the author, and left nothing open', async () => {
    const { playground, redis } = stack;
    expect(playground.violations).toEqual([]);
    const pinged = playground.messages(playground.channelId).flatMap((message) => message.pinged);
    expect(pinged.filter((id) => id !== playground.users.member)).toEqual([]);
    // A cancelled job's place is given back after its message says so.
    await expect.poll(() => redis.client.exists('{dreamgrid}:open')).toBe(0);
    expect(await stack.temporaryFiles()).toEqual([]);
    const logs = stack.processes.flatMap(({ lines }) => lines).join('\n');
    expect(logs).not.toMatch(/canary-redis-password/);
    for (const { request } of playground.requests.map((request) => ({ request })).slice(-50)) {
      const token = /webhooks\/\d+\/([^/]{20,})/.exec(request.path)?.[1];
      if (token) expect(logs).not.toContain(token);
    }
  });
});
