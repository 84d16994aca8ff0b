import { say } from '../../shared/messages/index.ts';
import { type CustomId, printCustomId } from '../../shared/picture/customId.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import { UserError } from '../../shared/service/errors.ts';
import { findRecipe } from '../history/findRecipe.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { rewordOf } from '../submit/drafts.ts';
import type { Button, Click, Filled } from './button.ts';
import { claim, queue } from './claim.ts';
import { FIX_INPUT } from './fix.ts';
import { remix } from './remix.ts';

/**
 * Reword: "it shows … / it should show …". The picture is moved from one text to the other, by four strengths, on a
 * model with a picture embedding: the picture's own model, or where that has none, another installed one.
 */
const FROM = 'from';
export const TEXT_MAX = 1000;

export const reword: Button = {
  kind: 'modal',
  async press(click) {
    const { asker, answer, id } = click;
    const { recipe } = await pictureOf(click);
    await answer.openModal(rewordModal(asker.locale, id, shownBy(recipe)));
  },
  form: {
    kind: 'message',
    prompt: FIX_INPUT,
    async submit(filled) {
      const { app, asker, id } = filled;
      const { recipe, model } = await pictureOf(filled);
      const from = fieldOr(filled, FROM, shownBy(recipe)).trim().slice(0, TEXT_MAX);
      const typed = filled.field(FIX_INPUT);
      const words = { from, to: typed.slice(0, TEXT_MAX) };
      const draft = rewordOf(id.jobId, id.index, recipe, model, words);
      // The prompt is checked before the claim: sending a mended prompt is not a second click.
      const wanted = await remix(app, asker, id, typed, draft);
      const to = newWords(wanted.parts);
      await claim(app, asker, id);
      await queue(filled, { ...wanted, reword: { from, to } });
    },
  },
};

/** The words that a picture shall show, of a parsed prompt. @throws UserError reword-empty */
export function newWords(parts: readonly { text: string }[]): string {
  const words = parts
    .map(({ text }) => text)
    .join(' ')
    .trim()
    .slice(0, TEXT_MAX);
  if (words === '') throw new UserError('reword-empty');
  return words;
}

async function pictureOf({ app, id, files }: Click): Promise<{ recipe: Recipe; model: string }> {
  const recipe = await findRecipe(app, id.jobId, files);
  if (id.index >= recipe.count) throw new UserError('forged');
  return { recipe, model: rewordingModel(await onRedis(app.models()), recipe.model) };
}

/**
 * The wished model where it has a picture embedding, else another one that has.
 * @param alone no other model than the wished one is taken
 * @throws UserError('no-reword') where no installed model has a picture embedding
 */
export function rewordingModel(models: ReadonlyMap<string, ModelCard>, own: string, alone = false): string {
  const reads = (card: ModelCard | undefined): boolean => card?.pictureEmbedding === true;
  if (reads(models.get(own))) return own;
  const other = alone ? undefined : [...models.values()].find(reads);
  if (!other) throw new UserError('no-reword', { model: own });
  return other.name;
}

/** What the picture was asked to show. */
const shownBy = ({ parts }: Recipe): string =>
  parts
    .filter(({ weight }) => weight > 0)
    .map(({ text }) => text)
    .join(' ')
    .trim()
    .slice(0, TEXT_MAX);

/** The value of a form's field; `otherwise` where there is none, as in the Fix it form. */
function fieldOr(filled: Filled, name: string, otherwise: string): string {
  try {
    return filled.field(name);
  } catch {
    return otherwise;
  }
}

const rewordModal = (locale: string, id: CustomId, shown: string): object => ({
  custom_id: printCustomId(id),
  title: say(locale, 'reword.title'),
  components: [
    // An empty "it shows" field: the model describes the picture itself.
    input(FROM, say(locale, 'reword.from'), shown, false),
    input(FIX_INPUT, say(locale, 'reword.to'), shown),
  ],
});

const input = (id: string, label: string, value: string, required = true): object => ({
  type: 1,
  components: [
    {
      type: 4,
      custom_id: id,
      label,
      style: 2,
      ...(value === '' ? {} : { value }),
      required,
      max_length: TEXT_MAX,
    },
  ],
});
