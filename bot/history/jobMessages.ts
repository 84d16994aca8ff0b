import { type APIMessage, type REST, Routes } from 'discord.js';
import { parseCustomId } from '../../shared/picture/customId.ts';
import { keys, RECIPE_TTL_S } from '../../shared/queue/redis.ts';
import type { App } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';

/** The fields of a Discord message that tell whose it is and which job it shows. */
export type OurMessage = Pick<APIMessage, 'author' | 'components' | 'attachments' | 'application_id'>;

/** A message; undefined where it is deleted or the bot may not read it. */
export const readMessage = async (
  rest: REST,
  channelId: string,
  messageId: string,
): Promise<OurMessage | undefined> =>
  (await rest.get(Routes.channelMessage(channelId, messageId)).catch(() => undefined)) as
    | OurMessage
    | undefined;

/** Job id of a message, from the custom id of any of its buttons. */
export function jobOf({ components = [] }: Pick<OurMessage, 'components'>): string | undefined {
  for (const row of components)
    for (const part of 'components' in row ? row.components : []) {
      const parsed = parseCustomId('custom_id' in part ? part.custom_id : '');
      if (parsed.ok) return parsed.id.jobId;
    }
  return undefined;
}

export interface Place {
  channelId: string;
  messageId: string;
}

const placeOf = (at: string | null | undefined): Place | undefined => {
  const [channelId, messageId] = at?.split(':') ?? [];
  return channelId && messageId ? { channelId, messageId } : undefined;
};

/** Notes where /show put a job, for /mydata erase; a failure is only logged. */
export async function rememberShown({ redis, log }: App, jobId: string, place: Place): Promise<void> {
  await redis
    .multi()
    .sadd(keys.shown(jobId), `${place.channelId}:${place.messageId}`)
    .expire(keys.shown(jobId), RECIPE_TTL_S)
    .exec()
    .catch((error: unknown) => log.warn({ err: error, jobId }, 'shown, but not remembered where'));
}

/** Everywhere that /show put a job again. */
export const shownAt = async ({ redis }: App, jobId: string): Promise<Place[]> =>
  (await onRedis(redis.smembers(keys.shown(jobId)))).flatMap((at) => placeOf(at) ?? []);

/** Channel and message of each job, for jobs whose message is known. */
export async function placesOf({ redis }: App, jobIds: readonly string[]): Promise<Map<string, Place>> {
  if (jobIds.length === 0) return new Map();
  const found = await onRedis(redis.mget(jobIds.map(keys.message)));
  return new Map(
    found.flatMap((at, i) => {
      const place = placeOf(at);
      return place ? [[jobIds[i] as string, place] as const] : [];
    }),
  );
}

/** The address of a message, as Discord's own "Copy Message Link" gives it. */
export const linkTo = ({ channelId, messageId }: Place, guildId: string | undefined): string =>
  `https://discord.com/channels/${guildId ?? '@me'}/${channelId}/${messageId}`;

/** A message link as people paste it. */
export function readLink(text: string): Place | undefined {
  const found = /\/channels\/(?:\d{15,20}|@me)\/(\d{15,20})\/(\d{15,20})\/?$/.exec(text.trim());
  return found ? { channelId: found[1] as string, messageId: found[2] as string } : undefined;
}
