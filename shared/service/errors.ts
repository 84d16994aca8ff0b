/**
 * The three kinds of failure. Everything that is neither of these two classes is transient: retried and
 * logged with its stack.
 */

/** What a person did that cannot work. Shown to that person, never retried, never logged as an error. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
  /** @param code key into `shared/messages`; tests and translations hold on to it, never to prose. */
  constructor(code: string, params: Readonly<Record<string, string | number>> = {}) {
    super(`${code} ${JSON.stringify(params)}`);
    this.code = code;
    this.params = params;
  }
}

/** What no retry can mend (a missing model, a picture too large for this GPU). Shown as failed, not retried. */
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
