import type { Command, MessageApp } from './command.ts';
import { dreamgridCommand } from './dreamgrid.ts';
import { helpCommand } from './help.ts';
import { imagineCommand } from './imagine.ts';
import { infoCommand } from './info.ts';
import { modelsCommand } from './models.ts';

/** All slash commands by name; adding one is a file and a line. */
export const commands: ReadonlyMap<string, Command> = new Map(
  [imagineCommand, infoCommand, helpCommand, modelsCommand, dreamgridCommand].map((command) => [
    command.definition.name,
    command,
  ]),
);

/** What a right click on a message offers, by its English name. */
export const messageApps: ReadonlyMap<string, MessageApp> = new Map(
  ([] as MessageApp[]).map((app) => [app.definition.name, app]),
);

/** What Discord is told at start. */
export const definitions = () =>
  [...commands.values(), ...messageApps.values()].map(({ definition }) => definition);
