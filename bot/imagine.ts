import { UserError } from '../shared/errors.ts';
import { parsePrompt } from '../shared/prompt/index.ts';
import type { Answer } from './answer.ts';
import type { App, Asker } from './app.ts';
import { draftsOf } from './drafts.ts';
import { keepFix } from './fix.ts';
import { type Attached, takeImagePrompt } from './imagePrompt.ts';
import { describeProblems } from './promptProblems.ts';
import { onRedis } from './redisAway.ts';
import { submit } from './submit.ts';

/** What goes at once without being asked twice: expansions of `{a, b}`, and jobs in all. */
const MAX_EXPANSIONS = 4;
const MAX_JOBS = 10;

/** From the typed text to jobs in the queue; the command and the Fix it form both end here. */
export async function imagine(
  app: App,
  asker: Asker,
  answer: Answer,
  typed: string,
  attached: Attached | undefined,
): Promise<void> {
  const models = await onRedis(app.models());
  if (models.size === 0) throw new UserError('no-worker');
  const defaultModel = models.has(app.env.DEFAULT_MODEL)
    ? app.env.DEFAULT_MODEL
    : ([...models.keys()][0] as string);
  const parsed = parsePrompt(typed, { models, defaultModel, maxPermutations: MAX_EXPANSIONS });
  if (!parsed.ok) {
    const only = parsed.problems.length === 1 ? parsed.problems[0]?.code : undefined;
    if (only === 'empty-prompt') throw new UserError('empty');
    const text = (parsed.fixed ?? typed).trim();
    const offered = await keepFix(app, asker.interactionId, {
      text,
      ...(attached ? { image: attached } : {}),
    });
    throw new UserError('prompt', {
      lines: describeProblems(asker.locale, typed, parsed.problems),
      ...(offered ? { fix: asker.interactionId } : {}),
    });
  }
  const { prompts } = parsed;
  const jobs = prompts.reduce((sum, { params }) => sum + (params.repeat ?? 1), 0);
  if (jobs > MAX_JOBS) throw new UserError('too-many', { n: jobs, max: MAX_JOBS });
  const image = await takeImagePrompt(app, attached, prompts[0]?.images ?? []);
  await submit(app, asker, answer, draftsOf(prompts, defaultModel, image));
}
