import { modelCommands } from './modelStore.ts';

/** `dreamgrid models`: lists installed models; subcommands change them. */
export async function models(args: string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const command = Object.hasOwn(modelCommands, name) ? modelCommands[name] : undefined;
  return command ? command(rest) : modelCommands['list']!(args);
}
