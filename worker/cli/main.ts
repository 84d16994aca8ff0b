import { existsSync } from 'node:fs';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import { UsageError } from './usage.ts';

/** The table of commands; each file is loaded when its command is used, so `help` needs no engine. */
const commands: Record<string, { help: string; run: (args: string[]) => Promise<number> }> = {
  imagine: {
    help: 'paint a prompt into a file: imagine "<prompt with parameters>" --out grid.png [--image FILE] [--model NAME] [--json]',
    run: async (args) => (await import('./imagine.ts')).imagine(args),
  },
  render: {
    help: 'run a model exactly as told: render --model-dir DIR --prompt TEXT --seed N --steps N … (render --help)',
    run: async (args) => (await import('./render.ts')).render(args),
  },
  inspect: {
    help: "how a picture was painted, ours or another program's: inspect FILE [--json]",
    run: async (args) => (await import('./inspect.ts')).inspect(args),
  },
  models: {
    help: 'what is installed, with its defaults: models [--json]; fetch more: models pull <repository>; also add, verify, optimise, remove',
    run: async (args) => (await import('./models.ts')).models(args),
  },
  loras: {
    help: 'LoRAs for prompts: loras [list], loras add FILE|URL, loras remove NAME',
    run: async (args) => (await import('./loraStore.ts')).adapterCommands('loras')(args),
  },
  embeddings: {
    help: 'words that stand for vectors (textual inversions): embeddings [list], add FILE|URL, remove NAME',
    run: async (args) => (await import('./loraStore.ts')).adapterCommands('embeddings')(args),
  },
  doctor: {
    help: 'check Redis, models, engine, Discord token and store, one line each: doctor [--json]',
    run: async (args) => (await import('./doctor.ts')).doctor(args),
  },
  plan: {
    help: 'how many workers, how long a wait, how much memory: plan --users N --per-day M [--model NAME] [--seconds S]',
    run: async (args) => (await import('./plan.ts')).plan(args),
  },
  store: {
    help: 'move pictures: store copy <folder | s3://bucket/prefix> <the other> [--compare] [--mirror] [--json]',
    run: async (args) => (await import('./pictureStore.ts')).store(args),
  },
  board: {
    help: 'look into the queues in a browser, by a link that expires: board [--port 9465] [--host 127.0.0.1] [--hours 1]',
    run: async (args) => (await import('./board.ts')).board(args),
  },
};

const help = (): string =>
  [
    'dreamgrid <command>',
    '',
    ...Object.entries(commands).map(([name, command]) => `  ${name.padEnd(10)} ${command.help}`),
    `  ${'help'.padEnd(10)} this text`,
    '',
    'Settings come from the environment and from .env (MODELS_DIR, DEFAULT_MODEL, PROVIDERS, THREADS, …).',
    '',
  ].join('\n');

/** @returns the exit code: 0 done, 1 failed, 2 called wrongly */
export async function main(args: string[]): Promise<number> {
  const [name = 'help', ...rest] = args;
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(help());
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(
      `Unknown command ${JSON.stringify(name)}; expected ${Object.keys(commands).join(', ')} or help.\n`,
    );
    return 2;
  }
  try {
    if (existsSync('.env')) process.loadEnvFile('.env');
    return await command.run(rest);
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof ConfigError)) throw error;
    process.stderr.write(`${messageOf(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
