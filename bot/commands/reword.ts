import { ApplicationCommandOptionType } from 'discord.js';
import { type ParsedPrompt, parsePrompt } from '../../shared/prompt/index.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import { UserError } from '../../shared/service/errors.ts';
import { newWords, rewordingModel, TEXT_MAX } from '../buttons/reword.ts';
import { draftsOf } from '../submit/drafts.ts';
import { paintingModel } from '../submit/expandPrompts.ts';
import { takeImagePrompt } from '../submit/imagePrompt.ts';
import { describeProblems } from '../submit/promptProblems.ts';
import { begin, submit } from '../submit/submit.ts';
import { type Command, completeModel, EVERYWHERE, named } from './command.ts';

/** /reword: the Reword button for an uploaded picture: it shows …, it should show …; four strengths. */
export const rewordCommand: Command = {
  kind: 'message',
  definition: {
    ...named('reword'),
    ...EVERYWHERE,
    options: [
      { ...named('reword.image'), type: ApplicationCommandOptionType.Attachment, required: true },
      {
        ...named('reword.should'),
        type: ApplicationCommandOptionType.String,
        required: true,
        max_length: TEXT_MAX,
      },
      { ...named('reword.shows'), type: ApplicationCommandOptionType.String, max_length: TEXT_MAX },
      {
        ...named('reword.model'),
        type: ApplicationCommandOptionType.String,
        max_length: 64,
        autocomplete: true,
      },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const { options } = interaction;
    const chosen = options.getString('model');
    const { models, model: usual } = await paintingModel(app, asker, chosen);
    const typed = options.getString('should', true);
    const wish = readWish(asker.locale, typed, models, usual);
    const asked = wish.params.model ?? chosen?.trim();
    const model = rewordingModel(models, asked ?? usual, asked !== undefined);
    const from = (options.getString('shows') ?? '').trim().slice(0, TEXT_MAX);
    const to = newWords(wish.parts);
    const params = { ...wish.params, model };
    const [draft] = draftsOf([{ ...wish, params }], model);
    if (!draft) throw new UserError('reword-empty');
    const reworded = { ...draft, action: 'reword' as const, reword: { from, to } };
    if (!(await begin(app, asker, [reworded]))) return;
    const image = await takeImagePrompt(app, asker, options.getAttachment('image', true), []);
    await submit(app, asker, answer, [{ ...reworded, ...(image ? { image } : {}) }]);
  },
  complete: completeModel,
};

/** One picture becomes one job. @throws UserError prompt, too-many */
function readWish(
  locale: string,
  typed: string,
  models: ReadonlyMap<string, ModelCard>,
  defaultModel: string,
): ParsedPrompt {
  const parsed = parsePrompt(typed, { models, defaultModel });
  if (!parsed.ok) {
    if (parsed.problems.every(({ code }) => code === 'empty-prompt')) throw new UserError('reword-empty');
    throw new UserError('prompt', { lines: describeProblems(locale, typed, parsed.problems) });
  }
  const jobs = parsed.prompts.reduce((sum, { params }) => sum + (params.repeat ?? 1), 0);
  const [only] = parsed.prompts;
  if (only === undefined || jobs > 1) throw new UserError('too-many', { n: jobs, max: 1 });
  return only;
}
