import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Pixels } from '../paint/pixels.ts';
import type { Answers, Ask, FromChild, LoadNews, Painted, StepNews, ToChild } from './protocol.ts';

/** `crashed`, `hung`, `aborted`, or a code of the engine's own (`out-of-memory`, `not-a-number`, `bad-model` …). */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure';
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface AskOptions {
  signal?: AbortSignal | undefined;
  onStep?: ((news: StepNews) => void) | undefined;
  onLoading?: ((news: LoadNews) => void) | undefined;
  /** After this the question is stopped, and the process killed where it does not stop or does nothing else. */
  deadlineMs: number;
}

export interface EngineProcess {
  readonly pid: number | undefined;
  /** False once the process has ended or was told to. */
  readonly alive: boolean;
  /** Asks a question, several at a time; each fails by itself, unless the process ends. */
  ask<A extends Ask>(ask: A, options: AskOptions): Promise<Answers[A['kind']]>;
  /** Resolves once the process has answered every request to stop, or has ended: until then it may hang. */
  heard(): Promise<void>;
  /** Ends the process at once, also in a model call; resolves when it is gone and its memory is free. */
  kill(): Promise<void>;
}

interface Pending {
  pictures: Pixels[];
  onStep: ((news: StepNews) => void) | undefined;
  onLoading: ((news: LoadNews) => void) | undefined;
  resolve(answer: unknown): void;
  reject(error: EngineFailure): void;
}

/**
 * Between two steps the child sees a request to stop. A child that does not answer it within this time is killed,
 * unless it also works on other questions: their deadlines tell whether it hangs or has a long step.
 */
const ABORT_GRACE_MS = 5_000;
/** A process inside a driver's call (state D) may never end: the worker gives up its memory and goes on after this. */
const EXIT_MS = 10_000;
/** A model is a file from strangers: the process that reads it gets no secrets in its environment. */
const SECRET = /TOKEN|PASSWORD|SECRET|REDIS_URL|_KEY$/i;

export interface ProcessOptions {
  /** A call of the network with so many rows begins. */
  onCalled?: ((rows: number) => void) | undefined;
  /** Memory ran out in a call of the network, which now takes so many rows of the model's native size. */
  onHalved?: ((mostRows: number) => void) | undefined;
}

/** Starts one child process for one model. */
export function startEngineProcess({ onCalled, onHalved }: ProcessOptions = {}): EngineProcess {
  const child = forkChild();
  const pending = new Map<number, Pending>();
  const deaf = new Map<number, () => void>();
  const last: string[] = [];
  let nextId = 1;
  let ended: string | undefined;
  let killed = false;

  const keep = (bytes: Buffer): void => {
    last.push(bytes.toString('utf8'));
    if (last.length > 20) last.shift();
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const unheard = new Map<number, Promise<void>>();
  const hear = (id: number): void => {
    deaf.get(id)?.();
    deaf.delete(id);
    unheard.delete(id);
  };
  const gone = new Promise<void>((resolve) => {
    const end = (how: string): void => {
      ended ??= how;
      for (const { reject } of pending.values())
        reject(
          new EngineFailure('crashed', `the engine process ended (${ended})${lastLine(last)}`.slice(0, 600)),
        );
      pending.clear();
      for (const id of [...deaf.keys()]) hear(id);
      resolve();
    };
    child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    child.once('error', (error) => end(error.message));
  });

  child.on('message', (message: FromChild) => {
    if (message.kind === 'called') return onCalled?.(message.rows);
    if (message.kind === 'halved') return onHalved?.(message.mostRows);
    if (message.kind === 'done' || message.kind === 'failed') hear(message.id);
    const question = pending.get(message.id);
    if (!question) return;
    if (message.kind === 'step') return question.onStep?.(message.news);
    if (message.kind === 'loading') return question.onLoading?.(message.news);
    if (message.kind === 'picture') {
      question.pictures.push(asPixels(message.picture));
      return;
    }
    pending.delete(message.id);
    if (message.kind === 'failed') {
      const failure = new EngineFailure(message.code, message.message);
      if (message.stack) failure.stack = message.stack;
      question.reject(failure);
    } else if (question.pictures.length > 0) {
      question.resolve({ ...(message.answer as Painted), pictures: question.pictures });
    } else question.resolve(message.answer);
  });

  const kill = async (): Promise<void> => {
    killed = true;
    child.kill('SIGKILL');
    const given = new AbortController();
    await Promise.race([gone, sleep(EXIT_MS, undefined, given).catch(() => undefined)]);
    given.abort();
  };
  const send = (message: ToChild): void => {
    if (child.connected) child.send(message, () => undefined); // a lost message is followed by 'exit'
  };

  return {
    get pid() {
      return child.pid;
    },
    get alive() {
      return ended === undefined && !killed;
    },
    kill,
    heard: async () => {
      await Promise.all(unheard.values());
    },
    ask: async (ask, { signal, onStep, onLoading, deadlineMs }) => {
      if (ended !== undefined || killed)
        throw new EngineFailure('crashed', `the engine process ended (${ended ?? 'killed'})`);
      if (signal?.aborted) throw new EngineFailure('aborted', 'stopped before it began');
      const id = nextId++;
      const timers: NodeJS.Timeout[] = [];
      let late = false;
      const giveUp = (code: string, message: string, deadly = true): void => {
        const question = pending.get(id);
        pending.delete(id);
        if (deadly || pending.size === 0) void kill();
        question?.reject(new EngineFailure(code, message));
      };
      const stop = (): void => {
        if (deaf.has(id) || !pending.has(id)) return;
        unheard.set(id, new Promise((heard) => deaf.set(id, heard)));
        send({ id, abort: true });
      };
      const onAbort = (): void => {
        stop();
        timers.push(setTimeout(() => giveUp('aborted', 'stopped', false), ABORT_GRACE_MS));
      };
      const onDeadline = (): void => {
        const why = `no answer within ${deadlineMs} ms`;
        if (pending.size === 1) {
          giveUp('hung', why);
          return;
        }
        late = true;
        stop();
        timers.push(setTimeout(() => giveUp('hung', why), Math.min(ABORT_GRACE_MS, deadlineMs)));
      };
      try {
        return await new Promise<never>((resolve, reject) => {
          const answer = resolve as (answer: unknown) => void;
          pending.set(id, { pictures: [], onStep, onLoading, resolve: answer, reject });
          signal?.addEventListener('abort', onAbort, { once: true });
          timers.push(setTimeout(onDeadline, deadlineMs));
          send({ id, ask });
        });
      } catch (error) {
        const { code } = error as EngineFailure;
        if (late && code === 'aborted' && !signal?.aborted)
          throw new EngineFailure('hung', `not done within ${deadlineMs} ms`, { cause: error });
        if (signal?.aborted && code !== 'hung')
          throw new EngineFailure('aborted', 'stopped', { cause: error });
        throw error;
      } finally {
        for (const timer of timers) clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      }
    },
  };
}

function forkChild(): ChildProcess {
  const self = fileURLToPath(import.meta.url);
  const fromSource = self.endsWith('.ts');
  const file = fileURLToPath(new URL(fromSource ? './child.ts' : './child.js', import.meta.url));
  const tsx = (): string => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !SECRET.test(name)));
  return fork(file, [], {
    serialization: 'advanced',
    execArgv: fromSource ? ['--import', tsx()] : [],
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

/** Typed arrays arrive as views of the whole message; copying them frees the message. */
const asPixels = ({ width, height, data }: Pixels): Pixels => ({
  width,
  height,
  data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

function lastLine(chunks: string[]): string {
  const line = chunks.join('').trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line.slice(0, 300)}`;
}
