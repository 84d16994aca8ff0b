/** What went wrong, for programs: the caller keys on `code`, never on the sentence. */
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
  /** The file at fault, where there is one. */
  readonly file?: string;

  constructor(code: EngineErrorCode, message: string, options: { file?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.file !== undefined) this.file = options.file;
  }
}

export function badRequest(message: string): EngineError {
  return new EngineError('bad-request', message);
}

/** First line of whatever was thrown: native messages carry source paths and stacks after it. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]!.slice(0, 400);
}
