import { type Logger, pino } from 'pino';

export type Log = Logger;

/**
 * Errors are logged by a whitelist: name, message and stack of our own and of Node's errors. REST errors of
 * Discord clients carry the interaction token and the request body, so of those only code and status are kept.
 */
export function safeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error).slice(0, 300) };
  const { code, status, method } = error as Error & { code?: unknown; status?: unknown; method?: unknown };
  const rest = status !== undefined || 'requestBody' in error || 'rawError' in error;
  return {
    name: error.name,
    message: rest ? `Discord answered ${String(status)} (code ${String(code)})` : redactTokens(error.message),
    ...(code === undefined ? {} : { code }),
    ...(status === undefined ? {} : { status }),
    ...(typeof method === 'string' ? { method } : {}),
    ...(rest ? {} : { stack: redactTokens(error.stack ?? '') }),
    ...(error.cause === undefined ? {} : { cause: safeError(error.cause) }),
  };
}

/** Webhook paths carry the token, URLs may carry passwords: both are cut out of logs. */
export const redactTokens = (text: string): string =>
  text
    .replace(/((?:webhooks|interactions)\/\d+\/)[^/\s"']+/g, '$1…')
    .replace(/(\w+:\/\/[^:@\s/]*:)[^@\s/]+@/g, '$1…@');

/** One JSON line an event on stdout; prompt text is logged at debug and below only. */
export function openLog(name: string, level = 'info'): Log {
  return pino({
    name,
    level,
    base: { name, pid: process.pid },
    serializers: { err: safeError, error: safeError },
    redact: {
      paths: ['token', '*.token', 'password', '*.password', 'authorization', '*.authorization'],
      censor: '…',
    },
    formatters: { level: (label) => ({ level: label }) },
  });
}
