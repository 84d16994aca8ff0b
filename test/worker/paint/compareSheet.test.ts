import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openFolderStore, pictureKeys, type Store } from '../../../shared/picture/store.ts';
import { partId, type RenderRequest, type RenderResult, sheetId } from '../../../shared/queue/job.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { openLog } from '../../../shared/service/log.ts';
import { type Discord, openDiscord } from '../../../worker/deliver/discord.ts';
import { composeSheet, postSheet } from '../../../worker/paint/compareSheet.ts';
import { CHANNEL, makeJob, makeRecipe, snowflake } from '../../support/jobs.ts';
import { type Recorder, startRecorder } from '../../support/recorder.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

/** The sheet of a /compare: real Redis, store and sharp, a Discord that writes down what it gets. */
let redis: TestRedis;
let recorder: Recorder;
let discord: Discord;
let store: Store;
let folder: string;
const log = openLog('test', 'silent');
const compare = { prompt: 'a fox --seed 7', labels: ['ddim', 'euler-a', 'dpmpp-2m'] };

beforeAll(async () => {
  [redis, recorder] = await Promise.all([startRedis(), startRecorder()]);
  discord = openDiscord({ api: recorder.api, botToken: 'canary', timeoutMs: 60_000 });
  folder = await mkdtemp(join(tmpdir(), 'dreamgrid-data-'));
  store = await openFolderStore(folder);
});
beforeEach(() => {
  recorder.requests.length = 0;
});
afterAll(async () => {
  await Promise.all([redis.close(), recorder.close()]);
  await rm(folder, { recursive: true, force: true });
});

const flat = (colour: string, width = 64, height = 64): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: colour } })
    .png()
    .toBuffer();

/** One of the jobs is painted. */
async function painted(jobId: string, colour: string): Promise<void> {
  const key = `${jobId}/1.png`;
  await store.put(key, await flat(colour));
  const result: RenderResult = {
    v: 1,
    jobId,
    recipe: makeRecipe({ count: 1 }),
    pictures: [key],
    width: 64,
    height: 64,
    paintMs: 1,
  };
  await store.put(pictureKeys.result(jobId), Buffer.from(JSON.stringify(result)));
}

const post = (jobId: string, render: Partial<RenderRequest> = {}, deliver = {}) =>
  postSheet(
    { redis: redis.client, store, discord, log },
    makeJob({ jobId, count: 1, compare, ...render }, deliver),
    compare,
  );

it('is posted once, when the last picture is there, and pings nobody', async () => {
  const base = snowflake();
  await painted(base, '#f00');
  await painted(partId(base, 2), '#00f');
  await post(partId(base, 2));
  expect(recorder.requests).toEqual([]);
  await painted(partId(base, 1), '#0f0');
  await post(partId(base, 1));
  await post(base);
  expect(recorder.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    expect.stringMatching(new RegExp(`^POST .*/channels/${CHANNEL}/messages$`)),
  ]);
  const [{ body, files }] = recorder.requests as [Recorder['requests'][number]];
  expect(body['content']).toBe(
    '**a fox --seed 7** - Compare by <@1000000000000000004>\n-# **1** ddim · **2** euler-a · **3** dpmpp-2m',
  );
  expect(body).toMatchObject({ nonce: sheetId(base), enforce_nonce: true, allowed_mentions: { parse: [] } });
  expect(files[0]?.name).toMatch(/^mai_a_fox_\d+_99\.webp$/);
  const { data, info } = await sharp(files[0]?.bytes).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([3 * 256 + 16, 256]);
  const middle = (cell: number): number[] => {
    const at = (128 * info.width + cell * 264 + 128) * 3;
    return [...data.subarray(at, at + 3)].map((value) => Math.round(value / 255));
  };
  expect([middle(0), middle(1), middle(2)]).toEqual([
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ]);
  expect(await redis.client.get(keys.message(sheetId(base)))).toMatch(new RegExp(`^${CHANNEL}:`));
});

it('of pictures in stealth goes to their owner alone', async () => {
  const base = snowflake();
  for (const at of [0, 1, 2]) await painted(partId(base, at), '#888');
  await post(base, {}, { stealth: true });
  expect(recorder.requests.map(({ path }) => path.replace(/^.*?\/(users|channels)/, '$1'))).toEqual([
    'users/@me/channels',
    'channels/1100000000000000001/messages',
  ]);
});

it('holds pictures of different shapes whole, each with its number', async () => {
  const white = [await flat('#fff', 64, 64), await flat('#fff', 128, 64), await flat('#fff', 64, 128)];
  const numbered = await sharp(await composeSheet(white)).metadata();
  expect([numbered.width, numbered.height]).toEqual([3 * 256 + 16, 256]);
  const corner = await sharp(await composeSheet([white[0] as Buffer, white[0] as Buffer]))
    .extract({ left: 0, top: 0, width: 40, height: 40 })
    .stats();
  expect(corner.channels[0]?.min).toBeLessThan(100);
});
