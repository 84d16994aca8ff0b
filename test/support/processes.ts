import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { built } from './build.ts';
import { type WatchedLog, watchLog } from './secrets.ts';

/** One of our processes under test, its log lines kept. */
export interface TestProcess {
  process: ChildProcess;
  lines: string[];
  /** Searched for secrets whatever the test is about. */
  log: WatchedLog;
  events: Record<string, unknown>[];
  /** Resolves with the first log event, past or future, that matches. */
  logged(
    match: (event: Record<string, unknown>) => boolean,
    deadlineMs?: number,
  ): Promise<Record<string, unknown>>;
  signal(signal: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | string>;
}

const root = resolve(import.meta.dirname, '../..');

/**
 * @param file e.g. `worker/main.ts`: the bot and the worker as `npm run build` makes them, other files from their sources
 * @param within a command that becomes node, given as its last arguments
 */
export function startProcess(
  file: string,
  env: Record<string, string>,
  within: readonly string[] = [],
): TestProcess {
  const program = /^(bot|worker)\//.test(file)
    ? [built(file)]
    : ['--import', import.meta.resolve('tsx'), resolve(root, file)];
  const [command, ...args] = [...within, process.execPath, ...program];
  const child = spawn(command as string, args, {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      LANG: 'C.UTF-8',
      NODE_ENV: 'test',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const log = watchLog(file, lines, env);
  const events: Record<string, unknown>[] = [];
  const waiting = new Set<(event: Record<string, unknown>) => void>();
  const take = (line: string): void => {
    lines.push(line);
    if (!line.startsWith('{')) return;
    try {
      const event = JSON.parse(line) as Record<string, unknown>;
      events.push(event);
      for (const look of waiting) look(event);
    } catch {
      // not a log line
    }
  };
  createInterface({ input: child.stdout }).on('line', take);
  createInterface({ input: child.stderr }).on('line', take);
  const ended = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | string);

  const logged: TestProcess['logged'] = (match, deadlineMs = 180_000) =>
    new Promise((found, reject) => {
      const past = events.find(match);
      if (past) return found(past);
      const fail = (why: string): void => {
        waiting.delete(look);
        clearTimeout(timer);
        reject(new Error(`${file}: ${why}; its last lines:\n${lines.slice(-15).join('\n')}`));
      };
      const timer = setTimeout(() => fail(`not logged within ${deadlineMs} ms`), deadlineMs);
      const look = (event: Record<string, unknown>): void => {
        if (!match(event)) return;
        waiting.delete(look);
        clearTimeout(timer);
        found(event);
      };
      waiting.add(look);
      void ended.then((how) => waiting.has(look) && fail(`ended (${how}) before`));
    });

  return { process: child, lines, log, events, logged, signal: (signal) => child.kill(signal), ended };
}

export const isMessage =
  (text: string) =>
  (event: Record<string, unknown>): boolean =>
    event.msg === text;

/** The engine's process of a worker, for stopping and killing it from outside. */
export async function engineOf(worker: TestProcess): Promise<number> {
  const parent = worker.process.pid;
  const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8');
  for (const pid of children.trim().split(' ').map(Number)) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (/process\/child\.[jt]s/.test(command)) return pid;
  }
  throw new Error(`worker ${parent} has no engine process`);
}
