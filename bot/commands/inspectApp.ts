import { findRecipe } from '../history/findRecipe.ts';
import { presentRecipe } from '../history/inspectView.ts';
import { appNamed, EVERYWHERE, type MessageApp } from './command.ts';
import { filesOfTarget, jobOfTarget } from './targetMessage.ts';

/** Right click → Inspect: how the message's picture was painted. */
export const inspectApp: MessageApp = {
  kind: 'private',
  definition: { ...appNamed('inspect'), ...EVERYWHERE },
  async run(call) {
    const { app, asker, answer, interaction } = call;
    const jobId = await jobOfTarget(call);
    const recipe = await findRecipe(app, jobId, filesOfTarget(interaction));
    await answer.send(presentRecipe(asker.locale, recipe, jobId));
  },
};
