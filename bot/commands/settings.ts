import { showSettings } from '../buttons/settingsPanel.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

export const settingsCommand: Command = {
  kind: 'private',
  definition: { ...named('settings'), ...EVERYWHERE },
  run: ({ app, asker, answer }) => showSettings(app, asker, answer),
};
