import { say } from '../../shared/messages/index.ts';
import { cancel } from '../buttons/cancel.ts';
import { appNamed, EVERYWHERE, type MessageApp } from './command.ts';
import { jobOfTarget } from './targetMessage.ts';

/** Right click → Cancel Job: for its owner and for moderators, waiting or running. */
export const cancelJobApp: MessageApp = {
  kind: 'private',
  definition: { ...appNamed('cancel-job'), ...EVERYWHERE },
  async run(call) {
    const { app, asker, answer } = call;
    await cancel(app, await jobOfTarget(call), asker);
    await answer.send({ content: say(asker.locale, 'app.cancel-job.done'), allowed_mentions: { parse: [] } });
  },
};
