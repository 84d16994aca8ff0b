import type { Redis } from 'ioredis';
import sharp from 'sharp';
import { fileName, presentSheet } from '../../shared/picture/jobMessage.ts';
import { paintedXmp } from '../../shared/picture/png.ts';
import type { Store } from '../../shared/picture/store.ts';
import { type Compare, type DeliverJob, partId, sheetId } from '../../shared/queue/job.ts';
import { keys } from '../../shared/queue/redis.ts';
import { readResult } from '../../shared/queue/results.ts';
import type { Log } from '../../shared/service/log.ts';
import type { Discord } from '../deliver/discord.ts';
import { rememberMessage } from '../deliver/messages.ts';

/** The pictures of a /compare on one sheet, numbered. */
export interface SheetDeps {
  redis: Redis;
  store: Store;
  discord: Discord;
  log: Log;
}

/** Smaller pictures are enlarged to this: a number must fit in a corner. */
const SMALLEST = 256;
const GAP = 8;

/**
 * Posted by the last of the sheet's jobs, when all pictures are there; as a direct message where the pictures are for
 * their owner alone. The nonce keeps two jobs that end at once from posting two sheets. Each picture is on a message of
 * its own already, so a failure to post the sheet is only logged.
 */
export async function postSheet(
  { redis, store, discord, log }: SheetDeps,
  { render, deliver }: DeliverJob,
  compare: Compare,
): Promise<void> {
  const id = sheetId(render.jobId);
  const base = id.slice(0, id.indexOf('.'));
  try {
    if ((await redis.exists(keys.message(id))) === 1) return;
    const results = await Promise.all(compare.labels.map((_, at) => readResult(store, partId(base, at))));
    const files = await Promise.all(
      results.map((result) => (result ? store.get(result.pictures[0] as string) : undefined)),
    );
    const pictures = files.filter((bytes) => bytes !== undefined);
    if (pictures.length < compare.labels.length) return;
    const veil = results.some((result) => result?.safety === 'spoiler') ? 'SPOILER_' : '';
    const name = `${veil}${fileName(render.user.name, compare.prompt, id, 'webp')}`;
    const body = presentSheet({ render, compare, locale: deliver.locale, fileName: name });
    const channelId = deliver.stealth ? await discord.openDm(render.user.id) : deliver.channelId;
    const file = { name, bytes: await composeSheet(pictures), type: 'image/webp' };
    await rememberMessage(redis, id, channelId, await discord.create(channelId, { body, file }, id, {}));
  } catch (error) {
    log.warn({ err: error, jobId: render.jobId }, 'no sheet of the comparison');
  }
}

/** Up to three in a row, on dark ground, each in the size of the largest. @returns WebP */
export async function composeSheet(pictures: readonly Buffer[]): Promise<Buffer> {
  const sizes = await Promise.all(pictures.map((bytes) => sharp(bytes).metadata()));
  const most = (side: 'width' | 'height') => Math.max(...sizes.map((size) => size[side] ?? 1));
  const scale = Math.max(1, SMALLEST / Math.max(most('width'), most('height')));
  const [width, height] = [Math.round(most('width') * scale), Math.round(most('height') * scale)];
  const columns = pictures.length === 4 ? 2 : Math.min(3, pictures.length);
  const rows = Math.ceil(pictures.length / columns);
  const cells = await Promise.all(
    pictures.map(async (bytes, i) => {
      const fitted = sharp(bytes).resize(width, height, {
        fit: 'contain',
        background: '#111',
        kernel: 'lanczos3',
      });
      const numbered = fitted.composite([
        { input: badge(i + 1, Math.min(width, height) / 7), left: 0, top: 0 },
      ]);
      const [column, row] = [i % columns, Math.floor(i / columns)];
      return {
        input: await numbered.png().toBuffer(),
        left: column * (width + GAP),
        top: row * (height + GAP),
      };
    }),
  );
  const size = { width: columns * (width + GAP) - GAP, height: rows * (height + GAP) - GAP };
  return sharp({ create: { ...size, channels: 3, background: '#111' } })
    .composite(cells)
    .webp({ quality: 92 })
    .withXmp(paintedXmp())
    .toBuffer();
}

/** Strokes of the digits in a box of 10 × 16, because an image without fonts cannot draw text. */
const DIGITS = [
  'M2 4L6 1V15',
  'M1 5C1 -1 9 -1 9 5C9 8 1 12 1 15H9',
  'M1 2H9L5 7C11 7 10 15 5 15C3 15 2 14 1 13',
  'M7 15V1L1 11H10',
  'M9 1H2L1.500 7C9 4 11 15 5 15C3 15 2 14 1 13',
  'M8 1C3 3 1 7 1 11C1 16.500 9 16.500 9 11C9 6 1 6 1 11',
] as const;

/** @param size of the badge's square, px */
const badge = (number: number, size: number): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.round(size)}" height="${Math.round(size)}" viewBox="0 0 32 32">` +
      '<circle cx="17" cy="17" r="13" fill="#111" fill-opacity=".75"/>' +
      `<path transform="translate(12 9)" d="${DIGITS[number - 1]}" fill="none" stroke="#fff" stroke-width="2.600" stroke-linecap="round" stroke-linejoin="round"/></svg>`,
  );
