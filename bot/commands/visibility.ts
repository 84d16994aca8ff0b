import { VISIBILITIES, type Visibility } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { chooseVisibility } from '../submit/preferences.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** /public, /stealth: visibility of a member's pictures from now on. */
const visibilityCommand = (visibility: Visibility): Command => ({
  kind: 'private',
  definition: { ...named(visibility), ...EVERYWHERE },
  async run({ app, asker, answer }) {
    await chooseVisibility(app, asker, visibility);
    await answer.send({
      content: say(asker.locale, `visibility.${visibility}`),
      allowed_mentions: { parse: [] },
    });
  },
});

export const visibilityCommands = VISIBILITIES.map(visibilityCommand);
