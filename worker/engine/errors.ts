/** Codes by which callers tell errors apart; messages may change. */
export type EngineErrorCode =
  | 'bad-request'
  | 'unsupported'
  | 'bad-model'
  | 'bad-adapter'
  | 'missing-file'
  | 'out-of-memory'
  | 'not-a-number'
  | 'aborted'
  | 'provider';

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  /** The file that caused the error, if any. */
  readonly file?: string;

  constructor(code: EngineErrorCode, message: string, options: { file?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.file !== undefined) this.file = options.file;
  }
}

/** The error for a request that the engine cannot take. */
export function badRequest(message: string): EngineError {
  return new EngineError('bad-request', message);
}

/** First line of a thrown value's message: ONNX Runtime appends source paths and stacks. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]!.slice(0, 400);
}
