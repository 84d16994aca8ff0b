import { createHash } from 'node:crypto';
import type { Env } from '../shared/env.ts';
import { UserError } from '../shared/errors.ts';
import { cleanPicture, type FetchRules, fetchPicture, IMAGE_LIMITS } from '../shared/image.ts';
import { pictureKeys } from '../shared/store.ts';
import type { App } from './app.ts';

/** Where pictures may come from: the named hosts, and the operator's own CDN. */
export const fetchRules = (env: Env): FetchRules => ({ hosts: env.IMAGE_HOSTS, trusted: env.DISCORD_CDN });

export interface Attached {
  url: string;
  size: number;
}

/**
 * The picture that a prompt starts from, attached or linked in front, in the store as a PNG of ours.
 * The key is the hash of what was sent: the same file is kept once. @throws UserError image-*
 */
export async function takeImagePrompt(
  app: App,
  attached: Attached | undefined,
  links: readonly string[],
): Promise<{ key: string } | undefined> {
  const [link, ...more] = attached ? [attached.url, ...links] : links;
  if (link === undefined) return undefined;
  if (more.length > 0) throw new UserError('image-many', { n: more.length + 1 });
  if (attached && attached.size > IMAGE_LIMITS.bytes)
    throw new UserError('image-bytes', { max: IMAGE_LIMITS.bytes / 1024 / 1024 });
  const bytes = await fetchPicture(link, fetchRules(app.env));
  const key = pictureKeys.upload(createHash('sha256').update(bytes).digest('hex'));
  if (!(await app.store.has(key))) await app.store.put(key, await cleanPicture(bytes));
  return { key };
}
