import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../playground/index.ts';
import { pictureKeys } from '../../shared/picture/store.ts';
import { keys } from '../../shared/queue/redis.ts';
import { brightnessChecker } from '../support/onnxBuilder.ts';
import type { TestProcess } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { type ModelsFolder, makeModels } from '../support/tinyModel.ts';

/**
 * From the operator's SAFETY to the picture that arrives, with every process of ours and a checker that flags
 * pictures brighter than a level: the two brighter ones of the four that one seed gives.
 */
const PROMPT = 'a fox in the snow at night --seed 7';
const SIDE = 64;

let models: ModelsFolder;
let stack: Stack;
let worker: TestProcess | undefined;
/** The four pictures as nobody has touched them, and which of them are flagged. */
let plain: Buffer[];
let bright: number[];

const tilesOf = async (grid: Buffer): Promise<Buffer[]> =>
  Promise.all(
    [0, 1, 2, 3].map((i) =>
      sharp(grid)
        .extract({ left: (i % 2) * SIDE, top: Math.floor(i / 2) * SIDE, width: SIDE, height: SIDE })
        .removeAlpha()
        .raw()
        .toBuffer(),
    ),
  );
const mean = (pixels: Buffer): number => pixels.reduce((a, b) => a + b, 0) / pixels.length / 255;
/** Mean difference of neighbours in a row: what a blur takes away. */
const detail = (pixels: Buffer): number => {
  let sum = 0;
  for (let i = 3; i < pixels.length; i++) sum += Math.abs((pixels[i] as number) - (pixels[i - 3] as number));
  return sum / pixels.length;
};

async function writeChecker(level: number): Promise<void> {
  const dir = join(models.root, 'tiny', 'safety_checker');
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'model.onnx'), brightnessChecker(level));
  // long enough for a preview on its way
  const defaults = { steps: 24, guidance: 7, scheduler: 'EulerDiscreteScheduler' };
  await models.writeManifest('tiny', { defaults });
}

async function withSafety(safety: string): Promise<void> {
  worker?.signal('SIGTERM');
  await worker?.ended;
  worker = await stack.startWorker({ SAFETY: safety });
}

const finished = (id: string): Promise<MessageView> =>
  stack.playground.waitFor(
    () => {
      const message = stack.playground.message(id);
      const done = message?.attachments.some(({ filename }) => filename !== 'preview.webp');
      return done || message?.embeds.length ? message : undefined;
    },
    120_000,
    'the end of the job',
  );
async function imagine(): Promise<{ jobId: string; message: MessageView }> {
  const { users } = stack.playground;
  const asked = await stack.playground.run(users.member, 'imagine', { prompt: PROMPT }, { locale: 'en-US' });
  const message = await finished(asked.message?.id as string);
  return { jobId: asked.id, message };
}
const grid = ({ attachments: [file] }: MessageView): Buffer => file?.data as Buffer;
const previews = (): number =>
  stack.playground.requests.filter(({ files }) => files.some(({ name }) => name === 'preview.webp')).length;
const others = (): number[] => [0, 1, 2, 3].filter((i) => !bright.includes(i));

describe('what the safety checker flags', { timeout: 400_000 }, () => {
  beforeAll(async () => {
    models = await makeModels();
    await writeChecker(0.5);
    stack = await startStack({ env: { MODELS_DIR: models.root, DEFAULT_MODEL: 'tiny', THREADS: '1' } });
    await Promise.all([stack.startBot(), withSafety('off')]);
  }, 240_000);
  afterAll(async () => {
    await stack?.close();
    await models?.remove();
  });

  it('off: leaves as it was painted', async () => {
    const { message } = await imagine();
    expect(message.content).not.toContain('safety');
    expect(previews()).toBeGreaterThan(0);
    plain = await tilesOf(grid(message));
    const order = [0, 1, 2, 3].sort((a, b) => mean(plain[b] as Buffer) - mean(plain[a] as Buffer));
    bright = order.slice(0, 2).sort();
    await writeChecker(
      (mean(plain[order[1] as number] as Buffer) + mean(plain[order[2] as number] as Buffer)) / 2,
    );
  });

  it('blur: what is flagged is blurred, in the store too, and no preview tells', async () => {
    await withSafety('blur');
    const before = previews();
    const { jobId, message } = await imagine();
    expect(previews()).toBe(before);
    expect(message.content).toContain('2 pictures blurred by the safety check');
    const tiles = await tilesOf(grid(message));
    for (const i of others()) expect(tiles[i]?.equals(plain[i] as Buffer)).toBe(true);
    for (const i of bright) expect(detail(tiles[i] as Buffer)).toBeLessThan(detail(plain[i] as Buffer) / 5);
    for (const i of bright) {
      const stored = await readFile(join(stack.dataDir, pictureKeys.picture(jobId, i)));
      expect((await sharp(stored).removeAlpha().raw().toBuffer()).equals(tiles[i] as Buffer)).toBe(true);
    }

    // U starts from what may be seen
    const { users } = stack.playground;
    const pressed = await stack.playground.click(users.member, message.id, `U${(bright[0] as number) + 1}`);
    const large = await finished(pressed.message?.id as string);
    const small = await sharp(grid(large)).resize(SIDE, SIDE).removeAlpha().raw().toBuffer();
    expect(detail(small)).toBeLessThan(detail(plain[bright[0] as number] as Buffer) / 5);
  });

  it('spoiler: is hidden until it is clicked', async () => {
    await withSafety('spoiler');
    const { message } = await imagine();
    expect(message.attachments[0]).toMatchObject({ spoiler: true });
    expect(message.attachments[0]?.filename).toMatch(/^SPOILER_mai_a_fox_in_the_snow/);
    expect(message.content).toContain('2 pictures flagged by the safety check');
    expect((await tilesOf(grid(message))).every((tile, i) => tile.equals(plain[i] as Buffer))).toBe(true);

    // a server may want more
    await stack.redis.client.hset(keys.server(stack.playground.guildId), 'safety', '"block"');
    const stricter = await imagine();
    expect(stricter.message.content).toContain('2 pictures withheld by the safety check');
    expect(stricter.message.attachments[0]?.filename).toMatch(/^mai_/);
    await stack.redis.client.del(keys.server(stack.playground.guildId));
  });

  it('block: leaves nothing of it, and where nothing is left, says so', async () => {
    await withSafety('block');
    // a server cannot want less
    await stack.redis.client.hset(keys.server(stack.playground.guildId), 'safety', '"spoiler"');
    const { message } = await imagine();
    expect(message.content).toContain('2 pictures withheld by the safety check');
    const tiles = await tilesOf(grid(message));
    for (const i of others()) expect(tiles[i]?.equals(plain[i] as Buffer)).toBe(true);
    for (const i of bright)
      expect(tiles[i]?.equals(Buffer.alloc(SIDE * SIDE * 3, Buffer.from([0x2b, 0x2d, 0x31])))).toBe(true);

    await writeChecker(-1);
    await withSafety('block');
    const { jobId, message: refused } = await imagine();
    expect(refused.embeds[0]?.['title']).toBe('Not shown');
    expect(refused.attachments).toEqual([]);
    await expect(readFile(join(stack.dataDir, pictureKeys.picture(jobId, 0)))).rejects.toThrow('ENOENT');
    expect(stack.playground.violations).toEqual([]);
  });
});
