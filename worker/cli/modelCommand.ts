import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { readEnv } from '../../shared/service/env.ts';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import { StoreError } from '../models/hub/errors.ts';
import { modelsFolder } from './usage.ts';

/** One call of a subcommand of `dreamgrid models`. */
export interface Call {
  readonly models: string;
  readonly words: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  /** The result: JSON for programs, text for people. */
  say(value: unknown, text: string): void;
  note(text: string): void;
}

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

/**
 * 0 done, 1 failed, 2 called wrongly, 130 interrupted. With --json one JSON value goes to stdout, an error as
 * {"error":{"code","message"}}; notes for people go to stderr.
 */
export const command =
  (usage: string, options: Options, run: (call: Call) => Promise<number>) =>
  async (args: string[]): Promise<number> => {
    const json = args.includes('--json');
    try {
      const { values, positionals } = parseCall(args, options);
      return await run({
        models: modelsFolder(readEnv()),
        words: positionals,
        flags: values as Call['flags'],
        say: (value, text) => void process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text}\n`),
        note: (text) => void (json || process.stderr.write(`${text}\n`)),
      });
    } catch (error) {
      return report(error, usage, json);
    }
  };

function parseCall(args: string[], options: Options) {
  try {
    return parseArgs({ args, options: { json: { type: 'boolean' }, ...options }, allowPositionals: true });
  } catch (error) {
    throw new StoreError('usage', messageOf(error));
  }
}

function report(error: unknown, usage: string, json: boolean): number {
  if (!(error instanceof StoreError) && !(error instanceof ConfigError)) throw error;
  const code = error instanceof StoreError ? error.code : 'setting';
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message: error.message } })}\n`);
  else process.stderr.write(`${error.message}\n${code === 'usage' ? `\n${usage}\n` : ''}`);
  return code === 'stopped' ? 130 : code === 'usage' ? 2 : 1;
}

export const one = (words: readonly string[], what: string): string => {
  const [word, ...rest] = words;
  if (word === undefined || rest.length > 0) throw new StoreError('usage', `Give one ${what}.`);
  return word;
};

/** Asks on a terminal; elsewhere nobody can answer, so --yes must have been given. */
export async function agree({ flags, note }: Call, question: string): Promise<boolean> {
  if (flags['yes']) return true;
  if (!process.stdin.isTTY || flags['json']) throw new StoreError('usage', `${question} Say so with --yes.`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const closed = new Promise<never>((_, reject) => {
      lines.once('close', () => reject(new StoreError('stopped', 'Nothing was done.')));
    });
    const answer = await Promise.race([lines.question(`${question} [y/N] `), closed]);
    if (/^y(es)?$/i.test(answer.trim())) return true;
    note('Nothing was done.');
    return false;
  } finally {
    lines.close();
  }
}

/** While `work` runs, Ctrl-C and SIGTERM abort its signal; a second one ends the process. */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
