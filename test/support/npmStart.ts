import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { watchLog } from './secrets.ts';

const root = resolve(import.meta.dirname, '../..');

/** `npm start` itself, under test. */
export interface NpmStart {
  child: ChildProcess;
  lines: string[];
  /** Resolves with the first line from now on that matches; rejects when the launcher ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** The page's address, once bot and worker are ready. */
  ready: Promise<string>;
  ended: Promise<number | null>;
  /** SIGTERM, as Ctrl-C does; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** @param home folder of the private Redis, the pictures and the playground's history (`DREAMGRID_HOME`) */
export function npmStart(home: string, env: Record<string, string> = {}): NpmStart {
  const child = spawn(process.execPath, [join(root, 'start.mjs')], {
    cwd: root,
    env: {
      ...process.env,
      DISCORD_TOKEN: '',
      REDIS_URL: '',
      DREAMGRID_HOME: home,
      PLAYGROUND_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const log = watchLog('npm start', lines, env);
  child.once('exit', () => {
    const file = join(home, 'redis/password'); // of its private Redis
    if (existsSync(file)) log.also(readFileSync(file, 'utf8').trim());
  });
  const listeners = new Set<(line: string) => void>();
  const hear = (line: string): void => {
    lines.push(line);
    for (const listener of listeners) listener(line);
  };
  createInterface({ input: child.stdout }).on('line', hear);
  createInterface({ input: child.stderr }).on('line', hear);
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const said = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((found, reject) => {
      const look = (line: string): void => {
        const match = pattern.exec(line);
        if (!match) return;
        listeners.delete(look);
        found(match);
      };
      listeners.add(look);
      void ended.then((code) =>
        reject(new Error(`npm start ended with ${code}:\n${lines.slice(-20).join('\n')}`)),
      );
    });
  const ready = said(/Dreamgrid is ready .*(http:\/\/127\.0\.0\.1:\d+)/).then(([, url]) => url as string);
  ready.catch(() => undefined); // awaited by those who want it
  return {
    child,
    lines,
    said,
    ready,
    ended,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}
