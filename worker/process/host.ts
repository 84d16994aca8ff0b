import { setTimeout as sleep } from 'node:timers/promises';
import type { Embeddings, LoadOptions, ModelInfo } from '../engine/types.ts';
import type { InstalledModel } from '../models/installed.ts';
import { isBlack, type Pixels } from '../paint/pixels.ts';
import { type AskOptions, EngineFailure, type EngineProcess, startEngineProcess } from './parent.ts';
import type { Ask, LoadNews, Painted, PaintRequest, StepNews } from './protocol.ts';

/**
 * The parent's side of the engine: which process has which model, and what happens when one fails. A process
 * that crashed, hung or ran out of memory is replaced and the question asked once more; the second failure is
 * the caller's. Whoever crashes again and again is started slower and slower.
 */
export interface EngineOptions {
  providers: readonly string[];
  /** 0 = the engine decides. */
  threads: number;
  deadlineMs: number;
  /** false: no model's safety checker is loaded. */
  safetyChecker?: boolean;
  /** Models held at a time; the least recently used one goes, with its process. */
  maxLoaded?: number;
  /** Kinder to tests than 1 s. */
  firstDelayMs?: number;
  onRestart?: (failure: EngineFailure) => void;
  /** A model paints on another provider than the first one asked for; the text says which, and why. */
  onProviderMissing?: (text: string) => void;
}

export interface PaintOptions {
  signal?: AbortSignal | undefined;
  onStep?: ((news: StepNews) => void) | undefined;
  previewEveryMs?: number;
}

export interface Engine {
  load(model: InstalledModel, onLoading?: (news: LoadNews) => void): Promise<ModelInfo>;
  generate(model: InstalledModel, request: PaintRequest, options?: PaintOptions): Promise<Painted>;
  upscale(
    model: InstalledModel,
    picture: Pixels,
    factor: 2 | 4,
    options?: Pick<PaintOptions, 'signal'>,
  ): Promise<Pixels>;
  /** See the engine's `embed`. */
  embed(
    model: InstalledModel,
    texts: readonly string[],
    pictures?: readonly Pixels[],
    options?: Pick<PaintOptions, 'signal'>,
  ): Promise<Embeddings>;
  /** Whether the model's safety checker flags a picture; false where it has none. */
  check(model: InstalledModel, picture: Pixels, options?: Pick<PaintOptions, 'signal'>): Promise<boolean>;
  /** Why it could not paint right now; empty when it could. */
  problems(): string[];
  /** Names of the models that are loaded, the one used least recently first. */
  loaded(): string[];
  /** Of the process in use; for tests and logs. */
  pids(): number[];
  close(): Promise<void>;
}

const LONGEST_DELAY_MS = 30_000;
/** Loading gigabytes from a slow disk is not hanging. */
const LOAD_DEADLINE_MS = 900_000;
const RESTARTS = new Set(['crashed', 'hung', 'out-of-memory']);

interface Loaded {
  process: EngineProcess;
  info: ModelInfo;
}

export function openEngine(options: EngineOptions): Engine {
  const { deadlineMs, maxLoaded = 1, firstDelayMs = 1_000 } = options;
  const loaded = new Map<string, Loaded>(); // oldest use first
  let failures = 0;
  let resting: string | undefined;
  let closed = false;
  let turn: Promise<unknown> = Promise.resolve();

  /** One question at a time: two at once would only fight for the same cores or GPU. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work, work);
    turn = mine.catch(() => undefined);
    return mine;
  };

  const drop = async (key: string): Promise<void> => {
    const old = loaded.get(key);
    loaded.delete(key);
    await old?.process.kill();
  };

  const ready = async (
    model: InstalledModel,
    safe: boolean,
    signal?: AbortSignal,
    onLoading?: (news: LoadNews) => void,
  ): Promise<Loaded> => {
    // A killed one has its memory until it is gone.
    for (const [key, { process }] of [...loaded]) if (!process.alive) await drop(key);
    const key = `${model.name}|${model.hash}|${safe}`;
    const known = loaded.get(key);
    if (known) {
      loaded.delete(key);
      loaded.set(key, known);
      return known;
    }
    if (failures > 0) {
      resting = `the engine failed ${failures} times in a row`;
      const delay = Math.min(LONGEST_DELAY_MS, firstDelayMs * 2 ** (failures - 1));
      await sleep(delay, undefined, signal ? { signal } : {}).catch(() => {
        throw new EngineFailure('aborted', 'stopped while the engine restarted');
      });
    }
    for (const old of [...loaded.keys()].slice(0, Math.max(0, loaded.size - maxLoaded + 1))) await drop(old);
    if (closed) throw new EngineFailure('aborted', 'shutting down');
    const process = startEngineProcess();
    const entry: Loaded = { process, info: undefined as unknown as ModelInfo };
    loaded.set(key, entry);
    try {
      const ask: Ask = {
        kind: 'load',
        dir: model.dir,
        options: loadOptions(model, options, safe),
      };
      entry.info = await process.ask(ask, { deadlineMs: LOAD_DEADLINE_MS, signal, onLoading });
      resting = undefined;
      const missing = missingProviders(model.name, entry.info);
      if (missing !== undefined) options.onProviderMissing?.(missing);
      return entry;
    } catch (error) {
      await drop(key);
      throw error;
    }
  };

  /** Asks, and asks a fresh process once more where that can help. */
  const withRetry = <T>(
    model: InstalledModel,
    signal: AbortSignal | undefined,
    ask: (process: EngineProcess, again: EngineFailure | undefined) => Promise<T>,
  ): Promise<T> =>
    inTurn(async () => {
      let before: EngineFailure | undefined;
      for (;;) {
        const safe = before?.code === 'not-a-number';
        try {
          const { process } = await ready(model, safe, signal);
          const answer = await ask(process, before);
          failures = 0;
          return answer;
        } catch (error) {
          const failure = error as EngineFailure;
          if (RESTARTS.has(failure.code)) {
            failures++;
            options.onRestart?.(failure);
            // What ran out of memory needs all of it; what crashed takes nobody along.
            const asked = `${model.name}|`;
            for (const key of [...loaded.keys()])
              if (failure.code === 'out-of-memory' || key.startsWith(asked)) await drop(key);
          }
          const saferExists = options.providers.some((name) => name !== 'cpu');
          const worthwhile = RESTARTS.has(failure.code) || (failure.code === 'not-a-number' && saferExists);
          if (before || !worthwhile || signal?.aborted || closed) throw failure;
          before = failure;
        }
      }
    });

  return {
    load: (model, onLoading) => inTurn(async () => (await ready(model, false, undefined, onLoading)).info),
    generate: (model, request, { signal, onStep, previewEveryMs = 1_000 } = {}) =>
      withRetry(model, signal, async (process, again) => {
        const ask = {
          kind: 'generate',
          // What did not fit at once may fit one by one; the pictures are the same.
          request: again?.code === 'out-of-memory' ? { ...request, maxBatch: 1 } : request,
          previewEveryMs,
        } as const;
        const asking: AskOptions = { deadlineMs, signal, onStep };
        const painted = await process.ask(ask, asking);
        if (painted.pictures.some(isBlack))
          throw new EngineFailure('not-a-number', 'the decoder gave a picture of nothing but zeros');
        return painted;
      }),
    upscale: (model, picture, factor, { signal } = {}) =>
      withRetry(model, signal, (process) =>
        process.ask({ kind: 'upscale', picture, factor }, { deadlineMs, signal }),
      ),
    embed: (model, texts, pictures = [], { signal } = {}) =>
      withRetry(model, signal, (process) =>
        process.ask({ kind: 'embed', texts, pictures }, { deadlineMs, signal }),
      ),
    check: (model, picture, { signal } = {}) =>
      withRetry(model, signal, (process) => process.ask({ kind: 'check', picture }, { deadlineMs, signal })),
    problems: () => (resting ? [resting] : []),
    loaded: () =>
      [...loaded].flatMap(([key, { process, info }]) =>
        process.alive && info ? (key.split('|')[0] ?? []) : [],
      ),
    pids: () => [...loaded.values()].flatMap(({ process }) => process.pid ?? []),
    close: async () => {
      closed = true;
      for (const key of [...loaded.keys()]) await drop(key);
    },
  };
}

/** The loud word where a provider could not be started; undefined where the first one asked for is at work. */
export const missingProviders = (
  model: string,
  { provider, providersMissing }: Pick<ModelInfo, 'provider' | 'providersMissing'>,
): string | undefined =>
  providersMissing.length === 0
    ? undefined
    : `${model} paints on ${provider} instead of what PROVIDERS asks for first (${providersMissing.join('; ')})`;

/** `safe`: what gave not-a-number on a GPU in half precision is tried on the processor. */
function loadOptions(
  { manifest }: InstalledModel,
  { providers, threads, safetyChecker = true }: EngineOptions,
  safe: boolean,
): LoadOptions {
  const { latentRgb, upscaler, imageEncoder, stages } = manifest;
  return {
    providers: safe ? ['cpu'] : providers,
    ...(threads > 0 ? { threads } : {}),
    ...(safetyChecker ? {} : { safetyChecker }),
    ...(latentRgb
      ? { latentRgb: { factors: latentRgb.factors, ...(latentRgb.bias ? { bias: latentRgb.bias } : {}) } }
      : {}),
    ...(upscaler ? { upscaler } : {}),
    ...(imageEncoder ? { imageEncoder } : {}),
    ...(stages ? { stages } : {}),
  };
}
