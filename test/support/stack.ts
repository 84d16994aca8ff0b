import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type MessageView,
  type Playground,
  type PlaygroundOptions,
  startPlayground,
} from '../../playground/index.ts';
import { isMessage, startProcess, type TestProcess } from './processes.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { CANARY } from './secrets.ts';

/** Everything real: Redis, the local Discord, the bot's process, the worker's process (with its engine). */
export interface Stack {
  redis: TestRedis;
  playground: Playground;
  dataDir: string;
  env: Record<string, string>;
  /** Every process that was started, also those that were killed: for looking through all log lines. */
  processes: TestProcess[];
  /** @param file as `startProcess` takes it, and `within`; resolves when it logs `ready` */
  start(
    file: string,
    ready: string,
    env?: Record<string, string>,
    within?: readonly string[],
  ): Promise<TestProcess>;
  startBot(env?: Record<string, string>): Promise<TestProcess>;
  startWorker(env?: Record<string, string>): Promise<TestProcess>;
  /** Files of writers that did not finish. */
  temporaryFiles(): Promise<string[]>;
  close(): Promise<void>;
}

export interface StackOptions {
  playground?: PlaygroundOptions;
  env?: Record<string, string>;
  /** How long a process may take to start. */
  startMs?: number;
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const [redis, playground, dataDir] = await Promise.all([
    startRedis(),
    startPlayground({ token: CANARY.botToken, ...options.playground }),
    mkdtemp(join(tmpdir(), 'dreamgrid-data-')),
  ]);
  const env: Record<string, string> = {
    REDIS_URL: redis.url,
    DISCORD_TOKEN: playground.token,
    DISCORD_API: `${playground.url}/api`,
    DISCORD_CDN: playground.url,
    DATA_DIR: dataDir,
    LOG_LEVEL: 'debug',
    SHUTDOWN_S: '20',
    ...options.env,
  };
  const processes: TestProcess[] = [];
  const start: Stack['start'] = async (file, ready, extra, within) => {
    const child = startProcess(file, { ...env, ...extra }, within);
    processes.push(child);
    await child.logged(isMessage(ready), options.startMs).catch((error: unknown) => {
      child.signal('SIGKILL'); // nobody knows of it
      throw error;
    });
    return child;
  };
  return {
    redis,
    playground,
    dataDir,
    env,
    processes,
    start,
    startBot: (extra) => start('bot/main.ts', 'bot ready', extra),
    startWorker: (extra) => start('worker/main.ts', 'worker ready', extra),
    temporaryFiles: async () =>
      (await readdir(dataDir, { recursive: true })).filter(
        (name) => name.endsWith('.tmp') && name !== '.tmp',
      ),
    close: async () => {
      for (const { process, ended } of processes) {
        if (process.exitCode === null && process.signalCode === null) process.kill('SIGKILL');
        await ended;
      }
      await playground.close();
      await redis.close();
      await rm(dataDir, { recursive: true, force: true });
      expectNoPings(playground);
    },
  };
}

/** Whatever a test was about: nobody but whoever asked may hear a sound. */
export function expectNoPings({ violations }: Playground): void {
  const pings = violations.filter(({ kind }) => kind === 'ping');
  if (pings.length > 0) throw new Error(`somebody would be pinged: ${JSON.stringify(pings.slice(0, 3))}`);
}

const labels = (message: MessageView): string[] => message.buttons.map(({ label }) => label);

/** A finished grid: one PNG, and U and V under it. */
export const isGrid = (message: MessageView): boolean =>
  labels(message).includes('U1') &&
  labels(message).includes('V4') &&
  message.attachments.length === 1 &&
  message.attachments[0]?.content_type === 'image/png';

/** A finished single picture. */
export const isSingle = (message: MessageView): boolean =>
  labels(message).some((label) => label.includes('Vary (Subtle)')) && message.attachments.length === 1;
