import { readJobs } from '../../shared/memory/jobRecords.ts';
import type { CustomId } from '../../shared/picture/customId.ts';
import { isEdit } from '../../shared/picture/editFrame.ts';
import { lorasOf, sizeFor } from '../../shared/picture/resolve.ts';
import { repaintsParts } from '../../shared/picture/wayOfPainting.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import { PREFIX } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import type { Draft } from '../submit/drafts.ts';
import { submit } from '../submit/submit.ts';
import type { Click } from './button.ts';

/**
 * A model that nobody paints with any more, or a LoRA that is gone, is said at once, not after an hour in the queue. What came of a
 * picture that its owner alone saw is for its owner alone too.
 */
export async function queue({ app, asker, answer, id }: Click, draft: Draft): Promise<void> {
  const [models, [from]] = await onRedis(Promise.all([app.models(), readJobs(app.redis, [id.jobId])]));
  if (models.size > 0 && !models.has(draft.model)) throw new UserError('no-model', { model: draft.model });
  // What has no room to grow is said at once too.
  const card = models.get(draft.model);
  if (card) {
    mayRepaint(draft, card);
    sizeFor(draft, card);
    lorasOf(draft.params.loras, card);
  }
  const visibility = draft.params.visibility ?? (from?.stealth ? ('stealth' as const) : undefined);
  const params = { ...draft.params, ...(visibility === undefined ? {} : { visibility }) };
  await submit(app, asker, answer, [{ ...draft, params }]);
}

/** Asked before a form or a picker is opened, too. @throws UserError('no-repaint') */
export function mayRepaint({ action }: Pick<Draft, 'action'>, { name, family }: ModelCard): void {
  if (isEdit(action) && !repaintsParts(family)) throw new UserError('no-repaint', { model: name });
}

const PRESSED_MS = 2000;

/**
 * One job for ten clicks a second. The claim names the interaction, so that the same click delivered twice is
 * not taken for a second one.
 */
export async function claim(app: App, asker: Asker, { action, index, jobId }: CustomId): Promise<void> {
  const key = `${PREFIX}:clicked:${asker.user.id}:${action}:${index}:${jobId}`;
  const other = await onRedis(app.redis.set(key, asker.interactionId, 'PX', PRESSED_MS, 'NX', 'GET'));
  if (other !== null && other !== asker.interactionId) throw new UserError('too-fast');
}
