/**
 * The kinds of failure. An error that is neither UserError nor PermanentError is transient: retried and
 * logged with its stack.
 */

/** A request that cannot work. Shown to its member, never retried, never logged as an error. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
  /** @param code key into `shared/messages`; tests and translations use it, never the prose. */
  constructor(code: string, params: Readonly<Record<string, string | number>> = {}) {
    super(`${code} ${JSON.stringify(params)}`);
    this.code = code;
    this.params = params;
  }
}

/** A failure that no retry mends (a missing model, a picture too large for this GPU). Shown, not retried. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
  constructor(code: string, params: Readonly<Record<string, string | number>> = {}, options?: ErrorOptions) {
    super(`${code} ${JSON.stringify(params)}`, options);
    this.code = code;
    this.params = params;
  }
}

/** A wrong setting: the process prints `message` as its one line and exits with 1. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
