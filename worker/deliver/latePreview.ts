import { DelayedError, type Job } from 'bullmq';
import { printCustomId } from '../../shared/picture/customId.ts';
import { type DeliverJob, parseDeliver } from '../../shared/queue/job.ts';
import { keys } from '../../shared/queue/redis.ts';
import { type DeliverDeps, isFinal, showAgain } from './deliver.ts';
import { DiscordError } from './discord.ts';
import { findPlaces, markUnsure } from './messages.ts';

/**
 * Discord may apply a preview after the picture, where the preview's request was cut off without an answer. So the
 * message is read again this long after delivery, and a preview that covers the picture is replaced.
 */
const LOOK_AFTER_MS = [5_000, 20_000] as const;

/**
 * Looks at the message of a delivered job. Between the looks the job waits in the queue, which outlives the worker.
 * @throws DelayedError which tells the queue that there is one more look; DiscordError where a look must be repeated
 */
export async function lookAgain(deps: DeliverDeps, job: Job<DeliverJob>): Promise<void> {
  const data = parseDeliver(job.data);
  if (!data) return;
  const { redis, log } = deps;
  const { jobId } = data.render;
  const looked = await redis.get(keys.unsure(jobId));
  if (looked === null) return;
  const looks = Number(looked);
  try {
    if (looks > 0 && (await isOvertaken(deps, data))) {
      await showAgain(deps, job);
      log.warn({ jobId }, 'shown again');
    }
  } catch (error) {
    if (!(error instanceof DiscordError) || !isFinal(error)) throw error;
    log.info({ err: error, jobId }, 'not looked at again');
  }
  const wait = LOOK_AFTER_MS[looks];
  if (wait === undefined) return void (await redis.del(keys.unsure(jobId)));
  await markUnsure(redis, jobId, looks + 1);
  await job.moveToDelayed(Date.now() + wait, job.token);
  throw new DelayedError();
}

/** Whether the message still shows progress: only that has a ❌ button, which stops the job. */
async function isOvertaken({ redis, discord }: DeliverDeps, data: DeliverJob): Promise<boolean> {
  const { byToken, byId } = await findPlaces(redis, data);
  const target = byToken ?? byId;
  if (!target) return false;
  const { components } = await discord.read(target);
  const cancel = printCustomId({ action: 'cancel', index: 0, jobId: data.render.jobId });
  return JSON.stringify(components ?? []).includes(JSON.stringify(cancel));
}
