import type { ButtonAction, CustomId } from '../shared/customId.ts';
import { UserError } from '../shared/errors.ts';
import type { Recipe } from '../shared/recipe.ts';
import { PREFIX } from '../shared/redis.ts';
import type { Answer, AnswerKind } from './answer.ts';
import type { App, Asker } from './app.ts';
import { cancel } from './cancel.ts';
import { rerollOf, retryOf, upscaleOf, variationOf } from './drafts.ts';
import { findFix, fixModal } from './fix.ts';
import { findRecipe, findRequest } from './recipes.ts';
import { onRedis } from './redisAway.ts';
import { type Draft, submit } from './submit.ts';

/**
 * The table of buttons. Anyone may press U, V and 🔄, and the result belongs to whoever pressed; stopping a
 * job is for its owner and for moderators. A new button starts in `customId.ts`; the compiler asks for its row.
 */
export interface Click {
  app: App;
  asker: Asker;
  answer: Answer;
  id: CustomId;
  /** Addresses of the files on the message with the button. */
  files: readonly string[];
  /** What was picked, where it is a menu. */
  values: readonly string[];
}

export interface Button {
  kind: AnswerKind;
  press(click: Click): Promise<void>;
}

/** A new job from a picture. */
const paint = (draftOf: (jobId: string, index: number, recipe: Recipe) => Draft): Button => ({
  kind: 'message',
  async press({ app, asker, answer, id, files }) {
    await claim(app, asker, id);
    const recipe = await findRecipe(app, id.jobId, files);
    if (id.index >= recipe.count) throw new UserError('forged');
    await paintable(app, answer, asker, draftOf(id.jobId, id.index, recipe));
  },
});

/** The same wish again: from the recipe, or for a job that failed, from its request. */
const reroll: Button = {
  kind: 'message',
  async press({ app, asker, answer, id, files }) {
    await claim(app, asker, id);
    const draft = await findRecipe(app, id.jobId, files).then(rerollOf, async (error: unknown) => {
      const request = await findRequest(app, id.jobId);
      if (!request) throw error;
      return retryOf(request);
    });
    await paintable(app, answer, asker, draft);
  },
};

const fix: Button = {
  kind: 'modal',
  async press({ app, asker, answer, id }) {
    const { text } = await findFix(app, id.jobId);
    await answer.openModal(fixModal(asker.locale, id.jobId, text));
  },
};

export const buttons = {
  upscale: paint((jobId, index, recipe) => upscaleOf(jobId, index, recipe, 'upscale-subtle')),
  vary: paint((jobId, index, recipe) => variationOf(jobId, index, recipe, 'vary-strong')),
  reroll,
  'upscale-subtle': paint((jobId, index, recipe) => upscaleOf(jobId, index, recipe, 'upscale-subtle')),
  'upscale-creative': paint((jobId, index, recipe) => upscaleOf(jobId, index, recipe, 'upscale-creative')),
  'vary-subtle': paint((jobId, index, recipe) => variationOf(jobId, index, recipe, 'vary-subtle')),
  'vary-strong': paint((jobId, index, recipe) => variationOf(jobId, index, recipe, 'vary-strong')),
  cancel: {
    kind: 'update',
    async press({ app, asker, answer, id }) {
      await cancel(app, id.jobId, asker);
      await answer.defer();
    },
  },
  fix,
} satisfies Record<ButtonAction, Button>;

/** A model that nobody paints with any more is said at once, not after an hour in the queue. */
async function paintable(app: App, answer: Answer, asker: Asker, draft: Draft): Promise<void> {
  const models = await onRedis(app.models());
  if (models.size > 0 && !models.has(draft.model)) throw new UserError('no-model', { model: draft.model });
  await submit(app, asker, answer, [draft]);
}

const PRESSED_MS = 2000;

/**
 * One job for ten clicks a second. The claim names the interaction, so that the same click delivered twice is
 * not taken for a second one.
 */
async function claim(app: App, asker: Asker, { action, index, jobId }: CustomId): Promise<void> {
  const key = `${PREFIX}:clicked:${asker.user.id}:${action}:${index}:${jobId}`;
  const other = await onRedis(app.redis.set(key, asker.interactionId, 'PX', PRESSED_MS, 'NX', 'GET'));
  if (other !== null && other !== asker.interactionId) throw new UserError('too-fast');
}
