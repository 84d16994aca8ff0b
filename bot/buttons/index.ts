import { Routes } from 'discord.js';
import { readSettings, type Settings } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { type ButtonAction, parseCustomId } from '../../shared/picture/customId.ts';
import type { Edit } from '../../shared/picture/editFrame.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { UserError } from '../../shared/service/errors.ts';
import { findRecipe, findRequest } from '../history/findRecipe.ts';
import { mydataButtons } from '../history/mydata.ts';
import { onRedis } from '../interaction/redisAway.ts';
import type { Draft } from '../submit/drafts.ts';
import { editOf, enhanceOf, rerollOf, retryOf, upscaleOf, variationOf } from '../submit/drafts.ts';
import { imagine } from '../submit/imagine.ts';
import type { Button, Click } from './button.ts';
import { cancel } from './cancel.ts';
import { claim, queue } from './claim.ts';
import { pickCells, region, regionPrompt, zoomCustom } from './edits.ts';
import { favourite } from './favourite.ts';
import { dropFix, FIX_INPUT, findFix, fixModal, takeFix } from './fix.ts';
import { remix, remixModal } from './remix.ts';
import { reword } from './reword.ts';
import { settingsButtons } from './settingsPanel.ts';
import { suggest, suggestAll } from './suggestions.ts';

type DraftOf = (click: Click, settings: Settings) => Promise<Draft>;

/** A draft from one picture of a job. */
const fromPicture =
  (draftOf: (jobId: string, index: number, recipe: Recipe, settings: Settings) => Draft): DraftOf =>
  async ({ app, id, files }, settings) => {
    const recipe = await findRecipe(app, id.jobId, files);
    if (id.index >= recipe.count) throw new UserError('forged');
    return draftOf(id.jobId, id.index, recipe, settings);
  };

/** A button that makes a new job at once. */
const paint = (draftOf: DraftOf): Button => ({
  kind: 'message',
  async press(click) {
    await claim(click.app, click.asker, click.id);
    const settings = await onRedis(readSettings(click.app.redis, click.asker.user.id));
    await queue(click, await draftOf(click, settings));
  },
});

/** A button that makes a new job; with Remix on, a form asks for the prompt first. */
const remixable = (draftOf: DraftOf): Button => ({
  kind: 'message',
  async press(click) {
    const { app, asker, answer, id } = click;
    const settings = await onRedis(readSettings(app.redis, asker.user.id));
    const draft = await draftOf(click, settings);
    // Discord takes a form only as the first answer: after a deferral the job keeps the recipe's prompt.
    if (settings.remix && answer.state === 'open')
      return answer.openModal(remixModal(asker.locale, id, draft.prompt));
    await claim(app, asker, id);
    await queue(click, draft);
  },
  form: {
    kind: 'message',
    prompt: FIX_INPUT,
    async submit(filled) {
      const { app, asker, id } = filled;
      const settings = await onRedis(readSettings(app.redis, asker.user.id));
      const draft = await draftOf(filled, settings);
      // The prompt is checked before the claim: sending a mended prompt is not a second click.
      const wanted = await remix(app, asker, id, filled.field(FIX_INPUT), draft);
      await claim(app, asker, id);
      await queue(filled, wanted);
    },
  },
});

/** 🔄: the same job with another seed, from the recipe, or for a failed job from its request. */
const reroll = remixable(({ app, id, files }) =>
  findRecipe(app, id.jobId, files).then(rerollOf, async (error: unknown) => {
    const request = await findRequest(app, id.jobId);
    if (!request) throw error;
    return retryOf(request);
  }),
);

const fix: Button = {
  kind: 'modal',
  async press({ app, asker, answer, id }) {
    const { text } = await findFix(app, asker, id.jobId);
    await answer.openModal(fixModal(asker.locale, id.jobId, text));
  },
  form: {
    kind: 'message',
    prompt: FIX_INPUT,
    async submit(filled) {
      const { app, asker, answer, id, field } = filled;
      // Image and button kept with the first prompt; where Redis forgot them, the prompt alone serves.
      const kept = await findFix(app, asker, id.jobId).catch((error: unknown) => {
        if (error instanceof UserError && error.code === 'fix-gone') return undefined;
        throw error;
      });
      const from = kept?.button === undefined ? undefined : parseCustomId(kept.button);
      const form = from?.ok ? buttonOf(from.id.action).form : undefined;
      if (from?.ok && form) return form.submit({ ...filled, id: from.id });
      await imagine(app, asker, answer, field(FIX_INPUT), kept?.image);
    },
  },
};

/** Whether this error means for certain that no job was queued. */
const isRefused = (error: unknown): boolean =>
  error instanceof UserError && error.code !== 'partly' && error.code !== 'redis-unknown';

/** Yes to a permutation: queues the jobs and removes the question's message. */
const confirm: Button = {
  kind: 'message',
  async press({ app, asker, answer, id }) {
    await claim(app, asker, id);
    const { text, image, token, putBack } = await takeFix(app, asker, id.jobId);
    await imagine(app, asker, answer, text, image, true).catch(async (error: unknown) => {
      if (isRefused(error)) await putBack().catch((err) => app.log.warn({ err }, 'the question is lost'));
      throw error;
    });
    if (token === undefined) return;
    const question = Routes.webhookMessage(asker.applicationId, token, '@original');
    await app.rest
      .delete(question, { auth: false })
      .catch((error) => app.log.debug({ err: error }, 'the question stays'));
  },
};

const dismiss: Button = {
  kind: 'update',
  async press({ app, asker, answer, id }) {
    await findFix(app, asker, id.jobId);
    await dropFix(app, asker, id.jobId);
    await answer.send({ content: say(asker.locale, 'confirm.dismissed'), embeds: [], components: [] });
  },
};

const upscaled = (action: 'upscale-subtle' | 'upscale-creative'): Button =>
  paint(fromPicture((jobId, index, recipe) => upscaleOf(jobId, index, recipe, action)));
const varied = (action: 'vary-subtle' | 'vary-strong'): Button =>
  remixable(fromPicture((jobId, index, recipe) => variationOf(jobId, index, recipe, action)));

const edited = (action: Edit, zoom?: number): Button =>
  remixable(
    fromPicture((jobId, index, recipe) =>
      editOf(jobId, index, recipe, { action, ...(zoom === undefined ? {} : { zoom }) }),
    ),
  );

/**
 * The table of buttons. Any member may press U, V and 🔄 and owns the resulting job; stopping a
 * job is for its owner and for moderators. A new button starts in `customId.ts`; the compiler asks for its row.
 */
export const buttons = {
  upscale: upscaled('upscale-subtle'),
  vary: remixable(
    fromPicture((jobId, index, recipe, { variability }) =>
      variationOf(jobId, index, recipe, variability === 'low' ? 'vary-subtle' : 'vary-strong'),
    ),
  ),
  reroll,
  enhance: paint(fromPicture((_jobId, _index, recipe) => enhanceOf(recipe))),
  'upscale-subtle': upscaled('upscale-subtle'),
  'upscale-creative': upscaled('upscale-creative'),
  'vary-subtle': varied('vary-subtle'),
  'vary-strong': varied('vary-strong'),
  suggest,
  'suggest-all': suggestAll,
  'vary-region': region,
  'region-cells': pickCells,
  'region-prompt': regionPrompt,
  'zoom-2': edited('zoom-out', 2),
  'zoom-1.5': edited('zoom-out', 1.5),
  'zoom-custom': zoomCustom,
  'pan-left': edited('pan-left'),
  'pan-right': edited('pan-right'),
  'pan-up': edited('pan-up'),
  'pan-down': edited('pan-down'),
  'make-square': edited('make-square'),
  reword,
  cancel: {
    kind: 'update',
    async press({ app, asker, answer, id }) {
      await cancel(app, id.jobId, asker);
      await answer.defer();
    },
  },
  fix,
  confirm,
  dismiss,
  favourite,
  ...settingsButtons,
  ...mydataButtons,
} satisfies Record<ButtonAction, Button>;

export const buttonOf = (action: ButtonAction): Button => buttons[action];
