import type { Redis } from 'ioredis';
import { PermanentError, UserError } from '../shared/errors.ts';
import { type AskRequest, parseAsk } from '../shared/job.ts';
import type { Log } from '../shared/log.ts';
import { presentAskFailure, presentDescribed, presentShortened } from '../shared/presentAsk.ts';
import type { AskHandler } from '../shared/queue.ts';
import { keys, RECIPE_TTL_S } from '../shared/redis.ts';
import type { Store } from '../shared/store.ts';
import { describe } from './describe.ts';
import { type Discord, DiscordError } from './discord.ts';
import type { Engine } from './engineHost.ts';
import { decodePng } from './grid.ts';
import type { InstalledModel } from './models.ts';
import { explain } from './render.ts';
import { shortened, weighWords } from './shorten.ts';

/**
 * Questions that paint nothing: `/describe` and `/shorten`. The answer is an edit of the interaction's message, so
 * it may be given twice; what it offers is remembered for its buttons.
 */
export interface AskDeps {
  engine: Engine;
  store: Store;
  redis: Redis;
  discord: Discord;
  log: Log;
  deadlineS: number;
  model(name: string): InstalledModel | undefined;
}

const DESCRIPTIONS = 4;

export function openAsk(deps: AskDeps): AskHandler {
  const { redis, log } = deps;
  return async (job) => {
    const ask = parseAsk(job.data);
    if (!ask) return log.warn({ job: job.id }, 'a question of another version, or forged');
    const { id, locale, userId } = ask;
    const began = performance.now();
    let body: object;
    try {
      const { prompts, payload } = await answer(deps, ask);
      await redis.set(keys.offered(userId, id), JSON.stringify(prompts), 'EX', RECIPE_TTL_S);
      body = payload;
    } catch (error) {
      const why = explain(error, deps.deadlineS, ask.model);
      const last = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
      if (!(why instanceof PermanentError) && !last) throw error;
      log.error({ err: error, id }, 'no answer');
      const { code, params } = why instanceof PermanentError ? why : new PermanentError('failed');
      body = presentAskFailure({ locale, code, params });
    }
    await show(deps, ask, body);
    await redis.del(keys.asking(userId));
    log.info({ id, kind: ask.question.kind, ms: Math.round(performance.now() - began) }, 'answered');
  };
}

async function answer(
  { engine, store, model: find }: AskDeps,
  { id, locale, question, model: name }: AskRequest,
): Promise<{ prompts: string[]; payload: object }> {
  const model = find(name);
  if (!model) throw new UserError('no-model', { model: name });
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

/** Where nobody is left to be told, the answer is over. */
async function show({ redis, discord, log }: AskDeps, ask: AskRequest, body: object): Promise<void> {
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
