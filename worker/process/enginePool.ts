import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchOptions, Embeddings, LoadOptions, ModelInfo } from '../engine/types.ts';
import type { InstalledModel } from '../models/installed.ts';
import { isBlack, type Pixels } from '../paint/pixels.ts';
import { type AskOptions, EngineFailure, type EngineProcess, startEngineProcess } from './engineProcess.ts';
import { openGate } from './modelGate.ts';
import type { Ask, LoadedInfo, LoadNews, Painted, PaintRequest, StepNews } from './protocol.ts';

/**
 * The parent's side of the engine: which process has which model, which questions may enter it, and what happens when
 * it fails. Several questions are in a process at a time. A process that crashed, hung or ran out of memory is
 * replaced, and each question that was in it is asked once more, alone; a second failure goes to the caller. After
 * each failure in a row the next process is started later.
 */
export interface EngineOptions {
  providers: readonly string[];
  /** 0 = the engine decides. */
  threads: number;
  deadlineMs: number;
  /** false: no model's safety checker is loaded. */
  safetyChecker?: boolean;
  /** Models loaded at a time; one more ends the process of the least recently used one. */
  maxLoaded?: number;
  /** Delay before a restart after the first failure; tests set less than 1 s. */
  firstDelayMs?: number;
  /** How jobs share the network's calls; see the engine's BatchOptions. */
  batch?: Pick<BatchOptions, 'together'>;
  /** Rows of one call of the network; where left out no limit, or the one found when memory ran out. */
  mostRows?: number;
  onRestart?: (failure: EngineFailure) => void;
  /** A call of the network with so many rows begins. */
  onCalled?: (rows: number) => void;
  /** Memory ran out: from now on a call of the network has so many rows. */
  onHalved?: (mostRows: number) => void;
  /** A model paints on another provider than the first one asked for; the text says which, and why. */
  onProviderMissing?: (text: string) => void;
}

export interface PaintOptions {
  signal?: AbortSignal | undefined;
  onStep?: ((news: StepNews) => void) | undefined;
  previewEveryMs?: number;
}

export interface Engine {
  load(model: InstalledModel, onLoading?: (news: LoadNews) => void): Promise<LoadedInfo>;
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
  /** Why the engine cannot paint right now; empty when it can. */
  problems(): string[];
  /** Names of the models that are loaded, the one used least recently first. */
  loaded(): string[];
  /** Ids of the processes in use; for tests and logs. */
  pids(): number[];
  close(): Promise<void>;
}

const LONGEST_DELAY_MS = 30_000;
/** Loading gigabytes from a slow disk may take minutes; only beyond this does the process count as hung. */
const LOAD_DEADLINE_MS = 900_000;
const RESTARTS = new Set(['crashed', 'hung', 'out-of-memory']);

interface Loaded {
  /** undefined until the pause after failures is over. */
  process: EngineProcess | undefined;
  /** undefined until the model is loaded. */
  info: LoadedInfo | undefined;
  loading: Promise<EngineProcess>;
  /** Whether this process' failure was reported. */
  failed: boolean;
}

export function openEngine(options: EngineOptions): Engine {
  const { deadlineMs, maxLoaded = 1, firstDelayMs = 1_000 } = options;
  const loaded = new Map<string, Loaded>(); // least recently used first
  const gate = openGate(maxLoaded);
  const closing = new AbortController();
  let mostRows = options.mostRows ?? 0;
  let failures = 0;
  let resting: string | undefined;

  const drop = async (key: string): Promise<void> => {
    const old = loaded.get(key);
    loaded.delete(key);
    await old?.process?.kill();
  };

  const fail = (entry: Loaded, failure: EngineFailure): void => {
    const lives = entry.process?.alive && failure.code !== 'out-of-memory';
    if (entry.failed || lives || !RESTARTS.has(failure.code)) return;
    entry.failed = true;
    failures++;
    options.onRestart?.(failure);
  };

  const onHalved = (rows: number): void => {
    mostRows = rows;
    options.onHalved?.(rows);
  };

  /** Starts a process with the model, after ending the idle ones whose memory it needs. */
  const start = async (
    key: string,
    entry: Loaded,
    model: InstalledModel,
    safe: boolean,
    onLoading: ((news: LoadNews) => void) | undefined,
  ): Promise<EngineProcess> => {
    try {
      if (failures > 0) {
        resting = `the engine failed ${failures} times in a row`;
        const delay = Math.min(LONGEST_DELAY_MS, firstDelayMs * 2 ** (failures - 1));
        await sleep(delay, undefined, { signal: closing.signal }).catch(() => undefined);
      }
      // The question that starts a process is inside the gate, so enough of the loaded models have no question inside.
      const idle = [...loaded.keys()].filter((other) => other !== key && !gate.busy(other));
      for (const old of idle.slice(0, Math.max(0, loaded.size - maxLoaded))) await drop(old);
      if (closing.signal.aborted || loaded.get(key) !== entry)
        throw new EngineFailure('aborted', 'shutting down');
      const process = startEngineProcess({ onCalled: options.onCalled, onHalved });
      entry.process = process;
      const batch = { ...options.batch, ...(mostRows > 0 ? { mostRows } : {}) };
      // A limit that is known from a call that failed need not be measured.
      const measure = mostRows === 0 && !safe && options.providers[0] !== 'cpu';
      const load = { ...loadOptions(model, options, safe), batch, measure };
      const ask: Ask = { kind: 'load', dir: model.dir, options: load };
      entry.info = await process.ask(ask, { deadlineMs: LOAD_DEADLINE_MS, onLoading });
      resting = undefined;
      const missing = missingProviders(model.name, entry.info);
      if (missing !== undefined) options.onProviderMissing?.(missing);
      return process;
    } catch (error) {
      if (loaded.get(key) === entry) {
        fail(entry, error as EngineFailure);
        await drop(key);
      }
      throw error;
    }
  };

  const ready = async (
    model: InstalledModel,
    safe: boolean,
    signal?: AbortSignal,
    onLoading?: (news: LoadNews) => void,
  ): Promise<{ entry: Loaded; process: EngineProcess }> => {
    const key = keyOf(model, safe);
    for (;;) {
      // A killed process holds its memory until it is gone.
      for (const [other, { process }] of [...loaded]) if (process?.alive === false) await drop(other);
      let entry = loaded.get(key);
      loaded.delete(key);
      if (entry) loaded.set(key, entry);
      else {
        entry = { process: undefined, info: undefined, loading: NEVER, failed: false };
        loaded.set(key, entry);
        entry.loading = start(key, entry, model, safe, onLoading);
        entry.loading.catch(() => undefined);
      }
      const process = await unlessStopped(entry.loading, signal);
      // A process that does not answer a request to stop may hang, and would fail the next question.
      await unlessStopped(process.heard(), signal);
      if (process.alive) return { entry, process };
    }
  };

  /**
   * Asks, and asks a fresh process once more where that can help: alone, so that a question that brings its process
   * down twice fails no other, and one that did not fit beside others has all the memory.
   */
  const withRetry = async <T>(
    model: InstalledModel,
    signal: AbortSignal | undefined,
    ask: (process: EngineProcess, again: EngineFailure | undefined) => Promise<T>,
  ): Promise<T> => {
    let before: EngineFailure | undefined;
    for (;;) {
      const safe = before?.code === 'not-a-number';
      const leave = await gate.enter(keyOf(model, safe), { signal, alone: before !== undefined });
      let used: Loaded | undefined;
      try {
        if (before?.code === 'out-of-memory') for (const key of [...loaded.keys()]) await drop(key);
        const { entry, process } = await ready(model, safe, signal);
        used = entry;
        const answer = await ask(process, before);
        failures = 0;
        return answer;
      } catch (error) {
        const failure = error as EngineFailure;
        if (used) fail(used, failure);
        const saferExists = options.providers.some((name) => name !== 'cpu');
        const worthwhile = RESTARTS.has(failure.code) || (failure.code === 'not-a-number' && saferExists);
        if (before || !worthwhile || signal?.aborted || closing.signal.aborted) throw failure;
        before = failure;
      } finally {
        leave();
      }
    }
  };

  return {
    load: async (model, onLoading) => {
      const leave = await gate.enter(keyOf(model, false));
      try {
        return (await ready(model, false, undefined, onLoading)).entry.info as LoadedInfo;
      } finally {
        leave();
      }
    },
    generate: (model, request, { signal, onStep, previewEveryMs = 1_000 } = {}) =>
      withRetry(model, signal, async (process, again) => {
        const ask = {
          kind: 'generate',
          // Pictures that did not fit in one call may fit one by one; the pictures are the same.
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
        process?.alive && info ? (key.split('|')[0] ?? []) : [],
      ),
    pids: () => [...loaded.values()].flatMap(({ process }) => (process?.alive && process.pid) || []),
    close: async () => {
      closing.abort();
      for (const key of [...loaded.keys()]) await drop(key);
    },
  };
}

const keyOf = ({ name, hash }: InstalledModel, safe: boolean): string => `${name}|${hash}|${safe}`;
const NEVER = new Promise<never>(() => undefined);

/** Stops waiting on the signal; the work itself goes on, because other questions wait for it too. */
async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let onAbort = (): void => undefined;
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => reject(new EngineFailure('aborted', 'stopped before it began'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The warning for providers that could not be started; undefined where the first one asked for is in use. */
export const missingProviders = (
  model: string,
  { provider, providersMissing }: Pick<ModelInfo, 'provider' | 'providersMissing'>,
): string | undefined =>
  providersMissing.length === 0
    ? undefined
    : `${model} paints on ${provider} instead of what PROVIDERS asks for first (${providersMissing.join('; ')})`;

/** `safe`: on the processor, for a model that gave not-a-number on a GPU in half precision. */
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
