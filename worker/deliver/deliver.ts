import { type Job, UnrecoverableError } from 'bullmq';
import type { Redis } from 'ioredis';
import type { MessageParams } from '../../shared/messages/index.ts';
import {
  fileName,
  presentCancelled,
  presentFailure,
  presentResult,
} from '../../shared/picture/jobMessage.ts';
import type { Store } from '../../shared/picture/store.ts';
import { release } from '../../shared/queue/fairness.ts';
import {
  type DeliverJob,
  parseDeliver,
  parseEnvelope,
  type RenderResult,
  renderResultSchema,
} from '../../shared/queue/job.ts';
import { hasKilled, type Outcome, outcomeOf } from '../../shared/queue/queue.ts';
import { messageOf } from '../../shared/service/errors.ts';
import type { Log } from '../../shared/service/log.ts';
import { faultPoint } from '../faultInjection.ts';
import { postSheet } from '../paint/compareSheet.ts';
import { fitUnder } from '../paint/grid.ts';
import { type Discord, DiscordError, type Message, type SendOptions, type Target } from './discord.ts';
import { findPlaces, isDelivered, markDelivered, rememberMessage } from './messages.ts';

/**
 * The end of a job: result, failure or cancellation becomes the one message that everybody sees. All edits are
 * idempotent and the only create carries a nonce, so a repeat after a crash shows the same one message.
 */
export interface DeliverDeps {
  redis: Redis;
  store: Store;
  discord: Discord;
  log: Log;
  /** Jobs that were posted, but not yet marked so because Redis takes no writes just now. */
  posted: Set<string>;
}

/** An edit itself waits as long as Discord asks, up to this; longer waits are left to the queue's back-off. */
const PATIENCE_MS = 60_000;
const PATIENT: SendOptions = { patienceMs: PATIENCE_MS };
/** Discord's own limit for one request, whatever the server's boost allows. */
const MOST_BYTES = 24 * 1024 * 1024;
/** A picture file is not made smaller than this: nothing could be seen on it. */
const SMALLEST_BYTES = 4_000;
/** The bot acknowledges within 3 s; a stored grid can be faster. By this attempt it has acknowledged, or never will. */
const ACKNOWLEDGED_BY_ATTEMPT = 4;
/** Attempts in two minutes. After them the picture only waits to be shown, and holds up no next job of its owner. */
const HELD_ATTEMPTS = 9;

/** @returns false where the job was delivered before */
export async function deliver(deps: DeliverDeps, job: Job<DeliverJob>): Promise<boolean> {
  const data = parseDeliver(job.data);
  if (!data) return turnAway(deps, job.data);
  const { jobId, user } = data.render;
  const log = deps.log.child({ jobId });
  const { posted } = deps;
  if (!posted.has(jobId) && (await isDelivered(deps.redis, jobId))) {
    await release(deps.redis, user.id, jobId);
    return false;
  }

  try {
    if (!posted.has(jobId)) {
      const outcome = await endingOf(deps, data, job);
      await faultPoint('before-deliver');
      const { sent, alone } = await post(deps, data, outcome, job.attemptsMade);
      if (data.deliver.autoDm && outcome.kind === 'done' && !alone) await sendDm(deps, data, sent);
      if (data.render.compare && outcome.kind === 'done') await postSheet(deps, data, data.render.compare);
      await faultPoint('after-deliver');
      log.info({ outcome: outcome.kind }, 'delivered');
    }
  } catch (error) {
    if (!(error instanceof DiscordError) || !isFinal(error)) {
      if (job.attemptsMade + 1 >= HELD_ATTEMPTS) await release(deps.redis, user.id, jobId);
      throw error;
    }
    // The message is gone or forbidden: trying again would only cost requests to Discord.
    if (error.trouble === 'gone') log.info('message or channel is gone');
    else log.warn({ err: error }, 'cannot post here');
  }
  posted.add(jobId);
  await markDelivered(deps.redis, jobId);
  await release(deps.redis, user.id, jobId);
  posted.delete(jobId);
  return true;
}

/** Puts the result on the message once more, over a preview that came late. */
export async function showAgain(deps: DeliverDeps, job: Job<DeliverJob>): Promise<void> {
  const data = parseDeliver(job.data);
  if (data) await post(deps, data, await endingOf(deps, data, job), job.attemptsMade);
}

/**
 * A job of another version that no worker could read: where a message of it waits, the message says so now. No
 * message is made for it.
 * @throws UnrecoverableError when the message says it; DiscordError where another attempt may succeed
 */
async function turnAway({ redis, discord, log }: DeliverDeps, data: unknown): Promise<never> {
  const envelope = parseEnvelope(data);
  if (envelope && !(await isDelivered(redis, envelope.render.jobId))) {
    const { render, deliver } = envelope;
    const body = presentFailure({ render, locale: deliver.locale, code: 'failed', params: {}, ping: true });
    const { byToken, byId } = await findPlaces(redis, envelope);
    for (const place of [byToken, byId]) {
      if (!place) continue;
      try {
        await discord.edit(place, { body }, { patienceMs: PATIENCE_MS });
        break;
      } catch (error) {
        if (!(error instanceof DiscordError) || !isFinal(error)) throw error;
        log.info({ err: error, jobId: render.jobId }, 'not told');
      }
    }
    await markDelivered(redis, render.jobId);
    await release(redis, render.user.id, render.jobId);
  }
  throw new UnrecoverableError('deliver job of another version, or forged');
}

export const isFinal = ({ trouble }: DiscordError): boolean =>
  trouble === 'gone' ||
  trouble === 'forbidden' ||
  trouble === 'archived' ||
  trouble === 'refused' ||
  trouble === 'token-expired';

type Ending =
  | { kind: 'done'; result: RenderResult; png: Buffer }
  | { kind: 'failed'; code: string; params: MessageParams }
  | { kind: 'cancelled' };

async function endingOf(deps: DeliverDeps, data: DeliverJob, job: Job<DeliverJob>): Promise<Ending> {
  if (!hasKilled(job)) return readOutcome(deps, data, await outcomeOf(job));
  deps.log.error({ jobId: data.render.jobId }, 'its picture is not shown: workers die of it');
  return { kind: 'failed', code: 'failed', params: {} };
}

async function readOutcome(deps: DeliverDeps, data: DeliverJob, outcome: Outcome): Promise<Ending> {
  if (outcome.kind === 'cancelled') return outcome;
  if (outcome.kind === 'failed') return readFailure(outcome.reason);
  const parsed = renderResultSchema.safeParse(outcome.result);
  if (!parsed.success) return { kind: 'failed', code: 'failed', params: {} };
  const result = parsed.data as RenderResult;
  const png = await deps.store.get(result.grid ?? (result.pictures[0] as string));
  if (png) return { kind: 'done', result, png };
  deps.log.error(
    { jobId: data.render.jobId },
    'the picture is not in the store; do all workers share DATA_DIR, or STORE?',
  );
  return { kind: 'failed', code: 'failed', params: {} };
}

/** What `render` failed with, as it travels through the queue: `code {params}`. */
export function readFailure(reason: string): Ending {
  const found = /^([a-z][a-z-]{0,39}) (\{.*\})$/s.exec(reason);
  const code = found?.[1] ?? 'failed';
  if (code === 'cancelled') return { kind: 'cancelled' };
  try {
    return { kind: 'failed', code, params: JSON.parse(found?.[2] ?? '{}') as MessageParams };
  } catch {
    return { kind: 'failed', code: 'failed', params: {} };
  }
}

/** The second copy of /prefer auto_dm. A user who takes no direct messages still has the picture on the message. */
async function sendDm(
  { discord, log }: DeliverDeps,
  { render }: DeliverJob,
  message: Message,
): Promise<void> {
  try {
    await discord.create(await discord.openDm(render.user.id), message, `${render.jobId}d`, {});
  } catch (error) {
    log.info({ err: error, jobId: render.jobId }, 'no direct message');
  }
}

/** Posts the outcome, with a smaller file where the channel takes no larger. @returns what was sent, and to whom */
async function post(
  deps: DeliverDeps,
  data: DeliverJob,
  ending: Ending,
  attempt: number,
): Promise<{ sent: Message; alone: boolean }> {
  let limit = Math.min(data.deliver.attachmentLimit, MOST_BYTES);
  for (;;) {
    try {
      const sent = await present(data, ending, limit);
      return { sent, alone: await place(deps, data, sent, attempt) };
    } catch (error) {
      if (!(error instanceof DiscordError) || error.trouble !== 'too-large' || limit < SMALLEST_BYTES)
        throw error;
      limit = Math.floor(limit / 2);
    }
  }
}

async function present({ render, deliver }: DeliverJob, ending: Ending, limit: number): Promise<Message> {
  const { locale } = deliver;
  if (ending.kind === 'cancelled') return { body: presentCancelled({ render, locale }) };
  const { kind, ...rest } = ending;
  if (kind === 'failed')
    return {
      body: presentFailure({
        render,
        locale,
        ping: !deliver.quiet,
        ...(rest as { code: string; params: MessageParams }),
      }),
    };
  const { result, png } = ending;
  const { bytes, extension } = await fitUnder(png, limit, result.recipe);
  // Discord hides a file with this prefix until it is clicked.
  const veil = result.safety === 'spoiler' ? 'SPOILER_' : '';
  const name = `${veil}${fileName(render.user.name, render.prompt, render.jobId, extension)}`;
  return {
    body: presentResult({ render, result, locale, ping: !deliver.quiet, fileName: name }),
    file: { name, bytes, type: `image/${extension}` },
  };
}

/**
 * Edits the message by token while that lives, then by id; posts a new message where none was ever acknowledged. What
 * its owner alone may see never goes to the channel: after the token's 15 minutes it is a direct message. Where the
 * message cannot be reached any more, the result goes to a new message or a direct one.
 * @returns whether it went to its owner alone
 */
async function place(
  deps: DeliverDeps,
  data: DeliverJob,
  message: Message,
  attempt: number,
): Promise<boolean> {
  const { redis, discord } = deps;
  const { stealth, channelId } = data.deliver;
  const { byToken, byId } = await findPlaces(redis, data);
  if (byToken) {
    try {
      await discord.edit(byToken, message, PATIENT);
      return false;
    } catch (error) {
      const trouble = error instanceof DiscordError ? error.trouble : undefined;
      if (trouble === 'archived') return elsewhere(deps, data, message, byId, trouble);
      if (trouble !== 'token-expired') throw error;
      const { code } = error as DiscordError;
      if (!byId && code === 10015 && attempt < ACKNOWLEDGED_BY_ATTEMPT)
        throw new Error('not acknowledged yet', { cause: messageOf(error) });
    }
  }
  if (byId) {
    try {
      await discord.edit(byId, message, PATIENT);
      return false;
    } catch (error) {
      const trouble = error instanceof DiscordError ? error.trouble : undefined;
      if (trouble !== 'archived' && trouble !== 'forbidden') throw error;
      return elsewhere(deps, data, message, byId, trouble);
    }
  }
  if (stealth) {
    await postOnce(deps, data, message, await discord.openDm(data.render.user.id));
    return true;
  }
  try {
    await postOnce(deps, data, message, channelId);
    return false;
  } catch (error) {
    if (!(error instanceof DiscordError) || error.trouble !== 'forbidden') throw error;
    return elsewhere(deps, data, message, undefined, error.trouble);
  }
}

/** A new message, or the one that an earlier attempt made. */
async function postOnce(
  deps: DeliverDeps,
  data: DeliverJob,
  message: Message,
  channelId: string,
): Promise<void> {
  const { redis, discord } = deps;
  const { jobId } = data.render;
  // Discord tells a repeat by its nonce for minutes; a message whose id the bot lost may be an hour old.
  const posted = await findPosted(deps, channelId, jobId);
  if (await isDelivered(redis, jobId)) return; // erased by its owner meanwhile
  if (posted) await discord.edit({ by: 'message', channelId, messageId: posted }, message, PATIENT);
  const messageId = posted ?? (await discord.create(channelId, message, jobId, PATIENT));
  await rememberMessage(redis, jobId, channelId, messageId);
}

/**
 * The job's message cannot be changed. A new message takes its place and opens an archived thread again; where no
 * message may be written, the owner has the result as a direct message.
 * @throws DiscordError where the direct message is refused, too
 */
async function elsewhere(
  deps: DeliverDeps,
  data: DeliverJob,
  message: Message,
  old: Target | undefined,
  why: 'archived' | 'forbidden',
): Promise<boolean> {
  const { redis, discord } = deps;
  const { jobId, user } = data.render;
  const log = deps.log.child({ jobId });
  if (why === 'archived' && old?.by === 'message' && !data.deliver.stealth) {
    try {
      const made = await discord.create(old.channelId, message, `${jobId}n`, PATIENT);
      await rememberMessage(redis, jobId, old.channelId, made);
      log.info('the thread was archived; posted anew');
      await discord.remove(old.channelId, old.messageId).catch((error: unknown) => {
        if (!(error instanceof DiscordError)) throw error;
        log.info({ err: error }, 'the old message stays');
      });
      return false;
    } catch (error) {
      if (!(error instanceof DiscordError) || !isFinal(error)) throw error;
    }
  }
  log.info({ trouble: why }, 'its message cannot be reached; sent to its owner');
  await postOnce(deps, data, message, await discord.openDm(user.id));
  return true;
}

/** A message of this job posted before. Where the channel cannot be read, the nonce alone prevents a second one. */
async function findPosted(
  { discord, log }: DeliverDeps,
  channelId: string,
  jobId: string,
): Promise<string | undefined> {
  try {
    return await discord.find(channelId, jobId);
  } catch (error) {
    if (!(error instanceof DiscordError) || !isFinal(error)) throw error;
    log.warn({ err: error, jobId }, 'cannot look whether it is posted');
    return undefined;
  }
}
