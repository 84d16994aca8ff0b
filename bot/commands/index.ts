import type { Command } from './command.ts';
import { helpCommand } from './help.ts';
import { imagineCommand } from './imagine.ts';
import { infoCommand } from './info.ts';
import { modelsCommand } from './models.ts';

/** All slash commands by name; adding one is a file and a line. */
export const commands: ReadonlyMap<string, Command> = new Map(
  [imagineCommand, infoCommand, helpCommand, modelsCommand].map((command) => [
    command.definition.name,
    command,
  ]),
);

/** What Discord is told at start. */
export const definitions = () => [...commands.values()].map(({ definition }) => definition);
