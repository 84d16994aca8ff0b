import { say } from '../../shared/messages/index.ts';
import { sendResults } from '../history/dmResults.ts';
import { appNamed, EVERYWHERE, type MessageApp } from './command.ts';
import { filesOfTarget, jobOfTarget } from './targetMessage.ts';

/** Right click → DM Results: sends the pictures by direct message, as the ✉️ reaction does. */
export const dmResultsApp: MessageApp = {
  kind: 'private',
  definition: { ...appNamed('dm-results'), ...EVERYWHERE },
  async run(call) {
    const {
      app,
      asker: { user, locale },
      answer,
      interaction,
    } = call;
    const to = { userId: user.id, name: user.name, locale };
    await sendResults(app, to, await jobOfTarget(call), filesOfTarget(interaction));
    await answer.send({ content: say(locale, 'app.dm-results.done'), allowed_mentions: { parse: [] } });
  },
};
