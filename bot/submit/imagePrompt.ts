import { createHash } from 'node:crypto';
import { recordUpload } from '../../shared/memory/jobRecords.ts';
import { pictureKeys } from '../../shared/picture/store.ts';
import {
  cleanPicture,
  type FetchRules,
  fetchPicture,
  IMAGE_LIMITS,
} from '../../shared/picture/uploadedImage.ts';
import type { Env } from '../../shared/service/env.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { openLimiter } from './concurrencyLimiter.ts';

/** Hosts that pictures may be fetched from: the named ones, and the operator's own CDN. */
export const fetchRules = (env: Env): FetchRules => ({ hosts: env.IMAGE_HOSTS, trusted: env.DISCORD_CDN });

export interface Attached {
  url: string;
  size: number;
}

/** Limits fetching and decoding: one picture may cost 20 MiB of network and 64 megapixels of memory and CPU. */
export const limited = openLimiter({ atOnce: 2, waiting: 16, perUser: 4 });

/**
 * The picture that a prompt starts from, attached or linked in front, in the store as a PNG of ours, and noted as
 * its member's. The key is the hash of the sent file: the same file is kept once. Costly: admission is checked
 * first. @throws UserError image-*
 */
export async function takeImagePrompt(
  app: App,
  asker: Pick<Asker, 'user'>,
  attached: Attached | undefined,
  links: readonly string[],
): Promise<{ key: string } | undefined> {
  return (await takeImageFile(app, asker, attached, links))?.image;
}

/** The same, also returning the file as it was sent. @throws UserError image-* */
export async function takeImageFile(
  app: App,
  { user }: Pick<Asker, 'user'>,
  attached: Attached | undefined,
  links: readonly string[],
): Promise<{ image: { key: string }; bytes: Buffer } | undefined> {
  const [link, ...more] = attached ? [attached.url, ...links] : links;
  if (link === undefined) return undefined;
  if (more.length > 0) throw new UserError('image-many', { n: more.length + 1 });
  if (attached && attached.size > IMAGE_LIMITS.bytes)
    throw new UserError('image-bytes', { max: IMAGE_LIMITS.bytes / 1024 / 1024 });
  return limited(user.id, async () => {
    const bytes = await fetchPicture(link, fetchRules(app.env));
    const key = pictureKeys.upload(createHash('sha256').update(bytes).digest('hex'));
    const clean = (await app.store.has(key)) ? undefined : await cleanPicture(bytes);
    await onRedis(recordUpload(app.redis, user.id, key));
    if (clean) await app.store.put(key, clean);
    return { image: { key }, bytes };
  });
}
