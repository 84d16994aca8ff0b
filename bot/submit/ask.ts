import { readSettings } from '../../shared/memory/settings.ts';
import { type AskRequest, askId, SCHEMA_VERSION } from '../../shared/queue/job.ts';
import { addAsk } from '../../shared/queue/queue.ts';
import { keys, TOKEN_TTL_S } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import type { Answer } from '../interaction/acknowledge.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { mayAsk } from './admission.ts';
import { modelFor } from './expandPrompts.ts';

/** A question without an answer (a worker died) blocks the member's next one for this long. */
const ASKING_S = 120;

/**
 * Hands a question to a worker; "thinking…" stays until the worker edits the message.
 * @param prepare makes the question (fetches a picture) after it was admitted
 * @throws UserError no-worker, ask-busy, what `mayAsk` refuses and `prepare` throws
 */
export async function ask(
  app: App,
  asker: Asker,
  answer: Answer,
  prepare: () => Promise<AskRequest['question']>,
): Promise<void> {
  const { redis, queues, env, log } = app;
  const { interactionId: id, user } = asker;
  await mayAsk(app, asker);
  const [models, settings] = await onRedis(Promise.all([app.models(), readSettings(redis, user.id)]));
  if (models.size === 0) throw new UserError('no-worker');
  const free = await onRedis(redis.set(keys.asking(user.id), id, 'EX', ASKING_S, 'NX', 'GET'));
  if (free !== null && free !== id) throw new UserError('ask-busy');
  const question = await prepare().catch(async (error: unknown) => {
    await redis
      .del(keys.asking(user.id))
      .catch((err) => log.warn({ err, id }, 'no question can be asked for a while'));
    throw error;
  });
  await answer.defer();
  const request: AskRequest = {
    v: SCHEMA_VERSION,
    id,
    question,
    model: modelFor(models, settings.model ?? env.DEFAULT_MODEL),
    userId: user.id,
    applicationId: asker.applicationId,
    locale: asker.locale,
  };
  const hand = async (): Promise<void> => {
    await redis.set(keys.token(id), asker.token, 'EX', TOKEN_TTL_S);
    await addAsk(queues, request);
  };
  await onRedis(hand());
  app.again.keep(async () => {
    if ((await redis.exists(queues.ask.toKey(askId(id)))) > 0) return;
    await hand();
    log.warn({ id }, 'lost by Redis; asked again');
  });
  log.info({ id, kind: question.kind }, 'asked');
}
