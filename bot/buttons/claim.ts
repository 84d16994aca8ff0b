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
 * A missing model or LoRA is refused at once, not after an hour in the queue. A job made from a
 * stealth picture is stealth too.
 */
export async function queue({ app, asker, answer, id }: Click, draft: Draft): Promise<void> {
  const [models, [from]] = await onRedis(Promise.all([app.models(), readJobs(app.redis, [id.jobId])]));
  if (models.size > 0 && !models.has(draft.model)) throw new UserError('no-model', { model: draft.model });
  // A pan that has no room to grow is refused at once too.
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

/** Refuses edits of a region, also before a form or a picker opens. @throws UserError('no-repaint') */
export function mayRepaint({ action }: Pick<Draft, 'action'>, { name, family }: ModelCard): void {
  if (isEdit(action) && !repaintsParts(family)) throw new UserError('no-repaint', { model: name });
}

const PRESSED_MS = 2000;

/**
 * Clicks of a member on one button within 2 s make one job. The claim holds the interaction's id, so a click
 * that Discord delivers twice is not taken for a second click.
 */
export async function claim(app: App, asker: Asker, { action, index, jobId }: CustomId): Promise<void> {
  const key = `${PREFIX}:clicked:${asker.user.id}:${action}:${index}:${jobId}`;
  const other = await onRedis(app.redis.set(key, asker.interactionId, 'PX', PRESSED_MS, 'NX', 'GET'));
  if (other !== null && other !== asker.interactionId) throw new UserError('too-fast');
}
