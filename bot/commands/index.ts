import { blendCommand } from './blend.ts';
import { cancelJobApp } from './cancelJob.ts';
import type { Command, MessageApp } from './command.ts';
import { compareCommand } from './compare.ts';
import { describeCommand } from './describe.ts';
import { dmResultsApp } from './dmResults.ts';
import { dreamgridCommand } from './dreamgrid.ts';
import { helpCommand } from './help.ts';
import { imagineCommand } from './imagine.ts';
import { infoCommand } from './info.ts';
import { inspectCommand } from './inspect.ts';
import { inspectApp } from './inspectApp.ts';
import { laneCommands } from './lanes.ts';
import { modelsCommand } from './models.ts';
import { mydataCommand } from './mydata.ts';
import { preferCommand } from './prefer.ts';
import { rewordCommand } from './reword.ts';
import { settingsCommand } from './settings.ts';
import { shortenCommand } from './shorten.ts';
import { showCommand } from './show.ts';
import { visibilityCommands } from './visibility.ts';

const table: readonly Command[] = [
  imagineCommand,
  blendCommand,
  rewordCommand,
  describeCommand,
  shortenCommand,
  compareCommand,
  inspectCommand,
  infoCommand,
  helpCommand,
  modelsCommand,
  settingsCommand,
  preferCommand,
  ...laneCommands,
  ...visibilityCommands,
  showCommand,
  mydataCommand,
  dreamgridCommand,
];

const apps: readonly MessageApp[] = [cancelJobApp, dmResultsApp, inspectApp];

/** All slash commands by name; adding one is a file and a line. */
export const commands: ReadonlyMap<string, Command> = new Map(
  table.map((command) => [command.definition.name, command]),
);

/** Message apps (right click on a message) by English name. */
export const messageApps: ReadonlyMap<string, MessageApp> = new Map(
  apps.map((app) => [app.definition.name, app]),
);

/** Definitions of all commands and apps, as registered at start. */
export const definitions = () =>
  [...commands.values(), ...messageApps.values()].map(({ definition }) => definition);
