import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { MessageParams } from '../../shared/messages/index.ts';
import { presentAskFailure, presentDescribed, presentShortened } from '../../shared/picture/answerMessage.ts';
import type { Store } from '../../shared/picture/store.ts';
import { type AskedBy, type AskRequest, parseAsk, parseAskedBy } from '../../shared/queue/job.ts';
import { type AskHandler, hasKilled } from '../../shared/queue/queue.ts';
import { keys, RECIPE_TTL_S, TOKEN_TTL_S } from '../../shared/queue/redis.ts';
import { PermanentError, UserError } from '../../shared/service/errors.ts';
import type { Log } from '../../shared/service/log.ts';
import { type Discord, DiscordError } from '../deliver/discord.ts';
import { faultPoint } from '../faultInjection.ts';
import type { Placement } from '../giveBack/placement.ts';
import { leaveToOthers } from '../giveBack/schemaVersion.ts';
import type { InstalledModel } from '../models/installed.ts';
import { decodePng } from '../paint/grid.ts';
import { explain } from '../paint/render.ts';
import type { Engine } from '../process/enginePool.ts';
import { describe } from './describe.ts';
import { shortened, weighWords } from './shorten.ts';

/**
 * Questions that paint nothing: `/describe` and `/shorten`. The answer is an edit of the interaction's message, so
 * it may be sent twice; what it offers is remembered for its buttons. No deliver job follows a question, so a failed
 * one is answered here, with the reason.
 */
export interface AskDeps {
  engine: Engine;
  store: Store;
  redis: Redis;
  discord: Discord;
  log: Log;
  deadlineS: number;
  model(name: string): InstalledModel | undefined;
  /** Which worker answers which question, where workers have different models. */
  placement?: Placement;
}

const DESCRIPTIONS = 4;
/** Attempts to find an answer, some 15 s; after that only sending it is tried again. */
const ANSWER_ATTEMPTS = 6;
/** The asker sees "thinking…", so a question waits shorter than a picture for a worker of its version. */
const LEAVE_MS = 2 * 60_000;

export function openAsk(deps: AskDeps): AskHandler {
  const { redis, log } = deps;
  return async (job) => {
    await leaveToOthers(redis, job, job.token, LEAVE_MS);
    await deps.placement?.leaveToBetter(job, job.token);
    const ask = parseAsk(job.data);
    const asked = ask ?? parseAskedBy(job.data);
    if (!ask) log.warn({ job: job.id }, 'a question of another version, or forged');
    if (!asked) return;
    const { id, userId } = asked;
    const began = performance.now();
    const body = ask ? await settle(deps, ask, job) : failure(asked);
    // Before the answer is shown: its reader may ask the next question at once.
    await redis.eval(MAY_ASK_ON, 1, keys.asking(userId), id);
    await show(deps, asked, body);
    await redis.del(keys.answer(userId, id));
    log.info({ id, kind: ask?.question.kind, ms: Math.round(performance.now() - began) }, 'answered');
  };
}

/** Deletes the mark of an open question, unless the asker's next question has set its own meanwhile. */
const MAY_ASK_ON = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
`;

const failure = ({ locale }: AskedBy, code = 'broke', params: MessageParams = {}): object =>
  presentAskFailure({ locale, code, params });

/** The answer, or why there is none. @throws errors that are worth another attempt */
async function settle(deps: AskDeps, ask: AskRequest, job: Job<AskRequest>): Promise<object> {
  const { redis, log } = deps;
  const { id, userId } = ask;
  const known = await redis.get(keys.answer(userId, id));
  if (known !== null) return JSON.parse(known) as object;
  if (hasKilled(job)) {
    log.error({ id }, 'no answer: workers die of this question');
    return failure(ask);
  }
  try {
    const { prompts, payload } = await answer(deps, ask);
    await redis.set(keys.offered(userId, id), JSON.stringify(prompts), 'EX', RECIPE_TTL_S);
    await redis.set(keys.answer(userId, id), JSON.stringify(payload), 'EX', TOKEN_TTL_S);
    return payload;
  } catch (error) {
    const why = explain(error, deps.deadlineS, ask.model);
    if (!(why instanceof PermanentError) && job.attemptsMade + 1 < ANSWER_ATTEMPTS) {
      log.warn({ err: error, id, attempt: job.attemptsMade + 1 }, 'no answer yet; it is tried again');
      throw error;
    }
    log.error({ err: error, id }, 'no answer');
    return why instanceof PermanentError ? failure(ask, why.code, why.params) : failure(ask);
  }
}

async function answer(
  { engine, store, model: find }: AskDeps,
  { id, locale, question, model: name }: AskRequest,
): Promise<{ prompts: string[]; payload: object }> {
  const model = find(name);
  if (!model) throw new UserError('no-model', { model: name });
  await faultPoint('mid-question');
  const whole = (text: string): string => [text, question.suffix].filter(Boolean).join(' ');
  if (question.kind === 'describe') {
    const bytes = await store.get(question.image.key);
    if (!bytes) throw new UserError('no-parent');
    const prompts = (await describe(engine, model, await decodePng(bytes), DESCRIPTIONS)).map(whole);
    return { prompts, payload: presentDescribed({ id, locale, prompts }) };
  }
  const words = await weighWords(engine, model, question.text);
  const prompts = shortened(words).map(whole);
  return { prompts, payload: presentShortened({ id, locale, words, prompts }) };
}

/** Sends the answer; a permanent refusal by Discord ends the question. */
async function show({ redis, discord, log }: AskDeps, ask: AskedBy, body: object): Promise<void> {
  const token = await redis.get(keys.token(ask.id));
  if (!token) return log.info({ id: ask.id }, 'answered too late');
  try {
    await discord.edit(
      { by: 'token', applicationId: ask.applicationId, token },
      { body },
      { patienceMs: 30_000 },
    );
  } catch (error) {
    if (!(error instanceof DiscordError) || error.trouble === 'transient' || error.trouble === 'rate-limited')
      throw error;
    log.warn({ err: error, id: ask.id }, 'answer not shown');
  }
}
