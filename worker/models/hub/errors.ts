/** What can go wrong with models on disk and on the hub; programs key on `code`, people read the sentence. */
export type StoreErrorCode =
  | 'usage'
  | 'bad-name'
  | 'exists'
  | 'unknown-model'
  | 'not-found'
  | 'no-access'
  | 'gated'
  | 'connection'
  | 'hub'
  | 'unsafe-path'
  | 'not-onnx'
  | 'unsupported'
  | 'wrong-hash'
  | 'disk-full'
  | 'damaged'
  | 'busy'
  | 'stopped';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  /** Whether the same request may succeed in a moment. */
  readonly transient: boolean;
  /** How long to wait, as the hub said. */
  readonly waitMs?: number;

  constructor(
    code: StoreErrorCode,
    message: string,
    options: { cause?: unknown; transient?: boolean; waitMs?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.transient = options.transient ?? false;
    if (options.waitMs !== undefined) this.waitMs = options.waitMs;
  }
}

/** ENOSPC and EDQUOT as a sentence that says what to do; other errors unchanged. */
export function diskError(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new StoreError(
    'disk-full',
    `The disk of ${folder} is full. Free some space and give the same command again: it goes on where it stopped.`,
    { cause: error },
  );
}
