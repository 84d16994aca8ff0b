/**
 * One ONNX file, opened: names, ranks and element types are read from its metadata once, and feeds are converted to
 * them. Nothing is guessed from the model's name.
 */
import path from 'node:path';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { EngineError, reason } from '../errors.ts';
import { makeTensor, readTensor } from './tensor.ts';

export interface Port {
  readonly name: string;
  readonly type: string;
  /** A number where the file fixes the size, a name where it is free. */
  readonly shape: readonly (number | string)[];
}

export interface Value {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}

export interface Session {
  readonly file: string;
  readonly provider: string;
  /** Providers preferred to the one in use, each with the reason why it could not be started. */
  readonly missing: readonly string[];
  readonly optimised: boolean;
  /** Whether the graph is our own (see graph/README.md). */
  readonly own: boolean;
  /** Threads on the processor; undefined: as many as it has cores. */
  readonly threads: number | undefined;
  readonly inputs: ReadonlyMap<string, Port>;
  readonly outputs: ReadonlyMap<string, Port>;
  /** Runs the model; only the outputs named in `fetch` are read back (all where it is left out). */
  run(feeds: Readonly<Record<string, Value>>, fetch?: readonly string[]): Promise<Map<string, Output>>;
  /** Milliseconds spent inside ONNX Runtime since the session was opened. */
  readonly runMs: number;
  release(): Promise<void>;
}

export interface Output {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

export interface SessionSettings {
  readonly providers: readonly string[];
  readonly threads?: number;
  /** The graph needs no optimisation: the processor opens the file as it is, its weights mapped. */
  readonly asIs?: boolean;
  /** The graph is our own. */
  readonly own?: boolean;
}

/** @throws EngineError 'out-of-memory', or for a file or provider that cannot be opened, naming it */
export async function openSession(
  file: string,
  settings: SessionSettings,
  /** The file's content, where it differs from the disk's. */
  bytes?: Uint8Array,
): Promise<Session> {
  const failures: string[] = [];
  for (const provider of settings.providers) {
    try {
      const options = sessionOptions(provider, settings);
      const native = await (bytes
        ? InferenceSession.create(bytes, besideOf(file, options))
        : InferenceSession.create(file, options));
      return wrap(native, file, provider, failures, settings);
    } catch (error) {
      const why = reason(error);
      if (isMemory(why))
        throw new EngineError('out-of-memory', `not enough memory to load ${file}`, { file, cause: error });
      if (!isProvider(why)) {
        throw new EngineError('bad-model', `${file} cannot be loaded: ${why}. Fetch or export it again.`, {
          file,
          cause: error,
        });
      }
      failures.push(`${provider}: ${shortly(why)}`);
    }
  }
  throw new EngineError('provider', `no execution provider could be started (${failures.join('; ')})`, {
    file,
  });
}

/** For content given as bytes: weights outside of it lie beside the file. */
const besideOf = (
  file: string,
  options: InferenceSession.SessionOptions,
): InferenceSession.SessionOptions => {
  const { session, ...extra } = options.extra as { session: Record<string, unknown> };
  const beside = { ...session, model_external_initializers_file_folder_path: path.dirname(file) };
  return { ...options, extra: { ...extra, session: beside } };
};

function sessionOptions(provider: string, settings: SessionSettings): InferenceSession.SessionOptions {
  const asIs = settings.asIs === true && provider === 'cpu';
  return {
    executionProviders: [provider],
    graphOptimizationLevel: asIs ? 'disabled' : 'all',
    logSeverityLevel: 3,
    ...(settings.threads === undefined ? {} : { intraOpNumThreads: settings.threads }),
    // A spinning thread pool occupies cores that other processes need, for 10 % of our own speed.
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        inter_op: { allow_spinning: '0' },
        ...(asIs ? { disable_prepacking: '1' } : {}),
      },
    },
  };
}

const isMemory = (why: string): boolean => /bad_alloc|out of memory|failed to allocate|OOM/i.test(why);
const isProvider = (why: string): boolean =>
  /ExecutionProvider|execution provider|backend not found|adapter|Failed to load shared library/i.test(why);

/** ONNX Runtime's messages begin with a place in its source; the reason follows `was false.`, if there is one. */
const shortly = (why: string): string => why.split('was false.').at(-1)!.trim();

function wrap(
  native: InferenceSession,
  file: string,
  provider: string,
  missing: readonly string[],
  settings: SessionSettings,
): Session {
  const { asIs = false, own = false, threads } = settings;
  const inputs = ports(native.inputMetadata);
  const outputs = ports(native.outputMetadata);
  let runMs = 0;
  return {
    file,
    provider,
    missing,
    optimised: asIs,
    own,
    threads,
    inputs,
    outputs,
    get runMs() {
      return runMs;
    },
    async run(feeds, fetch) {
      const tensors: Record<string, Tensor> = {};
      for (const port of inputs.values()) {
        const value = feeds[port.name];
        if (value === undefined) {
          throw new EngineError(
            'unsupported',
            `${file} wants an input "${port.name}" that the engine does not know`,
            { file },
          );
        }
        tensors[port.name] = makeTensor(port.type, value.data, value.dims);
      }
      const started = performance.now();
      try {
        const result = await (fetch ? native.run(tensors, [...fetch]) : native.run(tensors));
        return new Map(
          Object.entries(result).map(([name, tensor]) => [
            name,
            { data: readTensor(tensor), dims: tensor.dims },
          ]),
        );
      } catch (error) {
        const why = reason(error);
        if (isMemory(why))
          throw new EngineError('out-of-memory', `not enough memory to run ${file}`, { file, cause: error });
        throw new EngineError('bad-model', `${file} failed while running: ${why}`, { file, cause: error });
      } finally {
        runMs += performance.now() - started;
      }
    },
    release: () => native.release(),
  };
}

function ports(metadata: readonly InferenceSession.ValueMetadata[]): Map<string, Port> {
  return new Map(
    metadata.map((entry) => [
      entry.name,
      {
        name: entry.name,
        type: entry.isTensor ? entry.type : 'other',
        shape: entry.isTensor ? entry.shape : [],
      },
    ]),
  );
}
