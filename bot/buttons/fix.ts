import { z } from 'zod';
import { say } from '../../shared/messages/index.ts';
import { type CustomId, printCustomId } from '../../shared/picture/customId.ts';
import { PREFIX } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';

/**
 * Prompts kept in Redis for a Fix it button or the Yes to a permutation: a custom id has room for a job id
 * and nothing else.
 */
const TTL_S = 15 * 60;
const INPUT_MAX = 4000;
export const FIX_INPUT = 'prompt';

/** The key holds the user's id: another user finds nothing under the same interaction id. */
const keyOf = (userId: string, interactionId: string): string => `${PREFIX}:fix:${userId}:${interactionId}`;

const pendingSchema = z.object({
  text: z.string(),
  image: z.object({ url: z.string(), size: z.number() }).optional(),
  /** Interaction token of the question that waits for a Yes; used to delete that message. */
  token: z.string().optional(),
  /** Custom id of the button whose form had the prompt: the mended prompt goes back to that button. */
  button: z.string().max(100).optional(),
});
export type Pending = z.infer<typeof pendingSchema>;

/** Keeps a prompt for 15 min. False where it is too long or Redis is away: the error then has no button. */
export async function keepFix(
  { redis }: App,
  { user, interactionId }: Asker,
  pending: Pending,
): Promise<boolean> {
  if (pending.text.length > INPUT_MAX) return false;
  const kept = await redis
    .set(keyOf(user.id, interactionId), JSON.stringify(pending), 'EX', TTL_S)
    .catch(() => undefined);
  return kept === 'OK';
}

/** @throws UserError('fix-gone') */
export async function findFix({ redis }: App, { user }: Asker, interactionId: string): Promise<Pending> {
  const kept = await onRedis(redis.get(keyOf(user.id, interactionId)));
  if (kept === null) throw new UserError('fix-gone');
  return pendingSchema.parse(JSON.parse(kept));
}

/** Takes the kept prompt, so that a second click finds none; `putBack` restores it where no job was made. */
export async function takeFix(
  { redis }: App,
  { user }: Asker,
  interactionId: string,
): Promise<Pending & { putBack(): Promise<void> }> {
  const key = keyOf(user.id, interactionId);
  const kept = await onRedis(redis.getdel(key));
  if (kept === null) throw new UserError('fix-gone');
  const putBack = async () => void (await redis.set(key, kept, 'EX', TTL_S, 'NX'));
  return { ...pendingSchema.parse(JSON.parse(kept)), putBack };
}

export async function dropFix({ redis }: App, { user }: Asker, interactionId: string): Promise<void> {
  await onRedis(redis.del(keyOf(user.id, interactionId)));
}

/** The form with the mended prompt in it. */
export const fixModal = (locale: string, interactionId: string, text: string): object =>
  promptModal(say(locale, 'fix.title'), say(locale, 'fix.label'), text, {
    action: 'fix',
    index: 0,
    jobId: interactionId,
  });

/** A form with a prompt to change; it carries the custom id of the button that opened it. */
export const promptModal = (title: string, label: string, text: string, id: CustomId): object => ({
  custom_id: printCustomId(id),
  title,
  components: [
    {
      type: 1,
      components: [
        {
          type: 4,
          custom_id: FIX_INPUT,
          label,
          style: 2,
          value: text.slice(0, INPUT_MAX),
          required: true,
          max_length: INPUT_MAX,
        },
      ],
    },
  ],
});
