import type { APIEmbed, RawFile } from 'discord.js';
import { readJobs } from '../../shared/memory/jobRecords.ts';
import { readSettings } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { fileName, presentResult } from '../../shared/picture/jobMessage.ts';
import { jobIdSchema, type Recipe } from '../../shared/picture/recipe.ts';
import type { RenderRequest, RenderResult } from '../../shared/queue/job.ts';
import { keys } from '../../shared/queue/redis.ts';
import { readResult } from '../../shared/queue/results.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import type { Answer } from '../interaction/acknowledge.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { mayShow } from '../submit/admission.ts';
import { repaintOf } from '../submit/drafts.ts';
import { submit } from '../submit/submit.ts';
import { findRecipe } from './findRecipe.ts';
import { jobOf, type Place, placesOf, readLink, readMessage, rememberShown } from './jobMessages.ts';
import { drawFamily, readFamily } from './lineage.ts';

/**
 * /show: a member's own job again, with live buttons and its family. From the store; what the store lost
 * is painted again from its recipe, with the same seed. @throws UserError no-job, not-your-job, recipe-gone
 */
export async function show(app: App, asker: Asker, answer: Answer, typed: string): Promise<void> {
  const { jobId, at } = await findJob(app, asker, typed);
  const [record] = await onRedis(readJobs(app.redis, [jobId]));
  await checkOwner(app, asker, jobId, at);
  const settings = await onRedis(readSettings(app.redis, asker.user.id));
  const stealth = record?.stealth || settings.visibility === 'stealth';
  const shy = stealth && asker.guildId !== undefined;
  const result = await readResult(app.store, jobId);
  const bytes = result && (await app.store.get(result.grid ?? (result.pictures[0] as string)));
  const asItIs = result && (await mayShow(app, asker, result.recipe, result));
  if (asItIs && bytes && bytes.length <= asker.attachmentLimit) {
    const family = record && drawFamily(asker.locale, await readFamily(app, record, asker.user.id));
    const { payload, file } = presentAgain(asker, result, bytes, family);
    if (!shy || (await answer.hide())) {
      const messageId = await answer.send(payload, [file]);
      if (messageId && !shy) await rememberShown(app, jobId, { channelId: asker.channelId, messageId });
    } else {
      await answer.retract(); // removes the public "thinking…" message
      await answer.whisper(payload, [file]);
    }
    return;
  }
  const place = at ?? (await placesOf(app, [jobId])).get(jobId);
  const message = place && (await readMessage(app.rest, place.channelId, place.messageId));
  const recipe = await findRecipe(app, jobId, message?.attachments.map(({ url }) => url) ?? []);
  const draft = repaintOf(recipe);
  const params = { ...draft.params, ...(record?.stealth ? { visibility: 'stealth' as const } : {}) };
  await submit(app, asker, answer, [{ ...draft, params }]);
}

/** A job's id, or the link of its message, which must be ours: another bot may give its buttons any id. */
async function findJob(
  app: App,
  { applicationId }: Asker,
  typed: string,
): Promise<{ jobId: string; at?: Place }> {
  const text = typed.trim();
  if (jobIdSchema.safeParse(text).success) return { jobId: text };
  const at = readLink(text);
  const message = at && (await readMessage(app.rest, at.channelId, at.messageId));
  const ours = message?.author.id === applicationId || message?.application_id === applicationId;
  const jobId = message && ours ? jobOf(message) : undefined;
  if (!at || jobId === undefined) throw new UserError('no-job');
  return { jobId, at };
}

/** Only the job's owner passes; where no owner is known, any member with a link to this channel. */
async function checkOwner(app: App, asker: Asker, jobId: string, at: Place | undefined): Promise<void> {
  const owner = await onRedis(app.redis.get(keys.owner(jobId)));
  if (owner === asker.user.id) return;
  if (owner === null && at?.channelId === asker.channelId) return;
  throw new UserError(owner === null ? 'no-job' : 'not-your-job');
}

/** The job's message as /show posts it. Pure. */
function presentAgain(
  { locale, user }: Asker,
  result: RenderResult,
  bytes: Buffer,
  family: string | undefined,
): { payload: object; file: RawFile } {
  const { recipe, jobId } = result;
  const veil = result.safety === 'spoiler' ? 'SPOILER_' : '';
  const name = `${veil}${fileName(user.name, recipe.prompt, jobId, 'png')}`;
  const render = requestOf(jobId, recipe, user);
  const payload = presentResult({ render, result, locale, ping: false, fileName: name });
  const embeds: APIEmbed[] = family ? [{ title: say(locale, 'family.title'), description: family }] : [];
  return { payload: { ...payload, embeds }, file: { name, data: bytes, contentType: 'image/png' } };
}

/** The fields of a render request that the job's message shows, from a recipe. */
const requestOf = (jobId: string, recipe: Recipe, user: Asker['user']): RenderRequest => ({
  v: 1,
  jobId,
  ...repaintOf(recipe),
  seed: recipe.seed,
  user: { id: user.id, name: user.name.slice(0, 100) },
  createdAt: 0,
});
