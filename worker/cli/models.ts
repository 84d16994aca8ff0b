import { readEnv } from '../../shared/env.ts';
import { type InstalledModel, readModels } from '../models.ts';
import { modelCommands } from './modelStore.ts';
import { modelsFolder, readArgs, UsageError } from './usage.ts';

const USAGE = `dreamgrid models [${Object.keys(modelCommands).join('|')}] [--json]`;

/** What is installed, with its defaults; what is broken, with the file to mend. Exit code 1 where nothing works. */
export async function models(args: string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const command = Object.hasOwn(modelCommands, name) ? modelCommands[name] : undefined;
  if (command) return command(rest);
  const { values, positionals } = readArgs(args, { json: { type: 'boolean' } }, USAGE);
  if (positionals.length > 0) throw new UsageError(`models takes no ${positionals[0]}. Usage: ${USAGE}`);
  const env = readEnv();
  const root = modelsFolder(env);
  const { all, problems } = await readModels(root);
  if (values.json) {
    const list = all.map((model) => ({ ...describe(model), default: model.name === env.DEFAULT_MODEL }));
    process.stdout.write(`${JSON.stringify({ root, models: list, problems }, null, 2)}\n`);
  } else {
    for (const model of all) process.stdout.write(`${line(model, model.name === env.DEFAULT_MODEL)}\n`);
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    if (all.length === 0 && problems.length === 0) process.stderr.write(`There is no model in ${root}.\n`);
  }
  return all.length > 0 && problems.length === 0 ? 0 : 1;
}

const describe = ({ name, dir, hash, manifest }: InstalledModel) => {
  const { files, latentRgb: _, ...rest } = manifest;
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  return { ...rest, name, dir, hash, bytes };
};

function line({ name, manifest }: InstalledModel, isDefault: boolean): string {
  const { native, defaults, title, family } = manifest;
  return [
    `${name}${isDefault ? ' (default)' : ''}`.padEnd(22),
    title.padEnd(24),
    family.padEnd(18),
    `${native.width}x${native.height}`.padEnd(10),
    `${defaults.steps} steps, guidance ${defaults.guidance}, ${defaults.scheduler}`,
  ].join(' ');
}
