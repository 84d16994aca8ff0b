import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The narrow way to Discord: edit a message by the interaction's token (no bot token needed), by its id, or
 * create one with a nonce that cannot be posted twice. A client library repeats POSTs and forgets its token on
 * a 401, so this is fetch and a table of what the answers mean.
 */
export type Trouble =
  | 'transient' // 5xx, time-outs, a broken connection: send the same again later
  | 'rate-limited'
  | 'token-expired' // the interaction's token: edit by message id
  | 'gone' // message, channel or webhook deleted: nothing to tell anybody
  | 'forbidden' // permission or bot token lost
  | 'archived' // a thread's messages cannot be changed until a new one opens it
  | 'too-large'
  | 'refused'; // our payload is wrong: no retry can mend it

export class DiscordError extends Error {
  override readonly name = 'DiscordError';
  readonly trouble: Trouble;
  readonly status: number;
  readonly code: number;
  readonly retryAfterMs: number;
  constructor(trouble: Trouble, status: number, code: number, retryAfterMs = 0, detail = '') {
    super(`Discord answered ${status} (code ${code})${detail ? `: ${detail}` : ''}`);
    this.trouble = trouble;
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export type Target =
  | { by: 'token'; applicationId: string; token: string; messageId?: string | undefined }
  | { by: 'message'; channelId: string; messageId: string };

export interface Message {
  body: object;
  file?: { name: string; bytes: Uint8Array; type: string } | undefined;
}

export interface SendOptions {
  signal?: AbortSignal | undefined;
  /** Longest sum of waits that Discord asks for; 0 gives up on the first 429. */
  patienceMs?: number;
}

export interface Discord {
  edit(target: Target, message: Message, options?: SendOptions): Promise<void>;
  /** The message as Discord has it. */
  read(target: Target): Promise<{ components?: unknown }>;
  /** @returns the id of the message; the same one when it was posted before (nonce, about five minutes). */
  create(channelId: string, message: Message, nonce: string, options?: SendOptions): Promise<string>;
  /**
   * Our message that shows this job, where it is too old for Discord to tell a repeat by its nonce.
   * @param jobId named by the message's file or buttons; its timestamp is older than the message
   */
  find(channelId: string, jobId: string): Promise<string | undefined>;
  /** Deletes a message of ours; one that is gone already is no error. */
  remove(channelId: string, messageId: string): Promise<void>;
  /** The channel of direct messages with one user; the same one each time. */
  openDm(userId: string): Promise<string>;
  /** The bot's name; proves the token. */
  whoAmI(): Promise<string>;
}

export interface DiscordOptions {
  /** e.g. https://discord.com/api */
  api: string;
  botToken: string | undefined;
  timeoutMs?: number;
  /** Called with the status of every answer; 0 where none came. */
  onAnswer?: (status: number) => void;
  fetch?: typeof fetch;
  wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const USER_AGENT = 'DiscordBot (https://www.npmjs.com/package/dreamgrid, 0.1.0)';

export function openDiscord(options: DiscordOptions): Discord {
  const {
    api,
    botToken,
    timeoutMs = 30_000,
    wait = (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}),
  } = options;
  const get = options.fetch ?? fetch;
  let allowedAt = 0; // Discord's global limit holds for every route

  const once = async (
    method: string,
    path: string,
    authorized: boolean,
    message: Message | undefined,
    signal: AbortSignal | undefined,
  ): Promise<unknown> => {
    const headers: Record<string, string> = { 'User-Agent': USER_AGENT };
    if (authorized) {
      if (!botToken) throw new DiscordError('forbidden', 0, 0, 0, 'no bot token');
      headers['Authorization'] = `Bot ${botToken}`;
    }
    const body = message && encode(message, headers);
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await get(`${api}/v10${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      text = await response.text();
      options.onAnswer?.(response.status);
    } catch (error) {
      options.onAnswer?.(0);
      const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
      throw new DiscordError('transient', 0, 0, 0, cause?.code ?? (error as Error).name);
    }
    if (response.ok) return text === '' ? undefined : JSON.parse(text);
    throw classify(response, text, !authorized);
  };

  const send = async (
    method: string,
    path: string,
    authorized: boolean,
    message: Message | undefined,
    { signal, patienceMs = 0 }: SendOptions = {},
  ): Promise<unknown> => {
    let patience = patienceMs;
    for (;;) {
      const held = allowedAt - Date.now();
      if (held > patience) throw new DiscordError('rate-limited', 429, 0, held);
      if (held > 0) {
        patience -= held;
        await wait(held, signal);
      }
      try {
        return await once(method, path, authorized, message, signal);
      } catch (error) {
        if (!(error instanceof DiscordError) || error.trouble !== 'rate-limited') throw error;
        if (error.code === GLOBAL) allowedAt = Date.now() + error.retryAfterMs;
        if (error.retryAfterMs > patience) throw error;
        patience -= error.retryAfterMs;
        await wait(error.retryAfterMs, signal);
      }
    }
  };

  return {
    edit: async (target, message, sendOptions) => {
      await send('PATCH', pathOf(target), target.by === 'message', message, sendOptions);
    },
    read: async (target) =>
      (await send('GET', pathOf(target), target.by === 'message', undefined)) as { components?: unknown },
    create: async (channelId, message, nonce, sendOptions) => {
      const body = { ...message.body, nonce, enforce_nonce: true };
      const path = `/channels/${channelId}/messages`;
      const made = (await send('POST', path, true, { ...message, body }, sendOptions)) as Made;
      // Posted before under this nonce with other content: the bot posts "waiting" under it.
      const other = message.file
        ? made.attachments?.length === 0
        : made.content !== undefined && made.content !== (body as { content?: string }).content;
      if (other) await send('PATCH', `${path}/${made.id}`, true, message, sendOptions);
      return made.id;
    },
    find: async (channelId, jobId) => {
      const { id: me } = (await send('GET', '/users/@me', true, undefined)) as { id: string };
      const names = new RegExp(`(?<!\\d)${jobId.replace('.', '[._]')}(?![._]?\\d)`);
      let after = jobId.split('.')[0] as string;
      for (let page = 0; page < PAGES; page++) {
        const path = `/channels/${channelId}/messages?limit=100&after=${after}`;
        const found = (await send('GET', path, true, undefined)) as Shown[];
        const ours = found.find(
          ({ author, ...shown }) => author.id === me && names.test(JSON.stringify(shown)),
        );
        if (ours || found.length < 100) return ours?.id;
        after = found.map(({ id }) => id).reduce((a, b) => (BigInt(a) > BigInt(b) ? a : b));
      }
      return undefined;
    },
    remove: async (channelId, messageId) => {
      try {
        await send('DELETE', `/channels/${channelId}/messages/${messageId}`, true, undefined);
      } catch (error) {
        if (!(error instanceof DiscordError) || error.trouble !== 'gone') throw error;
      }
    },
    openDm: async (userId) => {
      const body = { recipient_id: userId };
      return ((await send('POST', '/users/@me/channels', true, { body })) as { id: string }).id;
    },
    whoAmI: async () => ((await send('GET', '/users/@me', true, undefined)) as { username: string }).username,
  };
}

const pathOf = (target: Target): string =>
  target.by === 'token'
    ? `/webhooks/${target.applicationId}/${target.token}/messages/${target.messageId ?? '@original'}`
    : `/channels/${target.channelId}/messages/${target.messageId}`;

/** Pages to look through, of a hundred messages each. */
const PAGES = 20;

interface Made {
  id: string;
  content?: string;
  attachments?: unknown[];
}

interface Shown {
  id: string;
  author: { id: string };
}

/** JSON, or multipart with `payload_json` and `files[0]`. */
function encode({ body, file }: Message, headers: Record<string, string>): string | FormData {
  if (!file) {
    headers['Content-Type'] = 'application/json';
    return JSON.stringify(body);
  }
  const form = new FormData();
  form.append('payload_json', JSON.stringify(body));
  form.append('files[0]', new Blob([file.bytes as Uint8Array<ArrayBuffer>], { type: file.type }), file.name);
  return form;
}

/** Marks a 429 that holds for the whole bot. */
const GLOBAL = -1;

/** discord.com/developers/docs/topics/opcodes-and-status-codes#json */
const CODES: Readonly<Record<number, Trouble>> = {
  10003: 'gone', // unknown channel
  10008: 'gone', // unknown message
  10004: 'gone', // unknown guild
  10015: 'token-expired', // unknown webhook: the interaction is not acknowledged, or long over
  50027: 'token-expired',
  10062: 'token-expired',
  50001: 'forbidden',
  50007: 'forbidden',
  50013: 'forbidden',
  50083: 'archived',
  40005: 'too-large',
  30046: 'rate-limited', // edits of a message older than an hour
};

function classify(response: Response, text: string, byToken: boolean): DiscordError {
  let answer: {
    code?: unknown;
    message?: unknown;
    retry_after?: unknown;
    global?: unknown;
    errors?: unknown;
  } = {};
  try {
    answer = (JSON.parse(text) ?? {}) as typeof answer;
  } catch {
    // not JSON: an error page of a proxy
  }
  const { status } = response;
  const code = typeof answer.code === 'number' ? answer.code : 0;
  const isDiscords = typeof answer.message === 'string' || code !== 0;
  const say = (trouble: Trouble, retryAfterMs = 0, as = code): DiscordError =>
    new DiscordError(
      trouble,
      status,
      as,
      retryAfterMs,
      trouble === 'refused' ? errorPaths(answer.errors) : '',
    );
  if (status === 429) {
    const told = Number(answer.retry_after ?? response.headers.get('retry-after') ?? 5);
    const global = answer.global === true || response.headers.has('x-ratelimit-global');
    return say(
      'rate-limited',
      Math.max(50, (Number.isFinite(told) ? told : 5) * 1000),
      global ? GLOBAL : code,
    );
  }
  const known = CODES[code];
  if (known === 'rate-limited') return say(known, 60_000);
  if (known) return say(known);
  if (status === 413) return say('too-large');
  // Discord's refusals are JSON; a proxy's page, or a temporary block of this address, is worth another attempt.
  if (!isDiscords) return say('transient');
  if (status === 401) return say(byToken ? 'token-expired' : 'forbidden');
  if (status === 403) return say('forbidden');
  if (status === 404) return say('gone');
  return say(status >= 400 && status < 500 && status !== 408 ? 'refused' : 'transient');
}

/** What Discord finds wrong, e.g. `components.0.components.1.custom_id BASE_TYPE_MAX_LENGTH`; never its text. */
function errorPaths(errors: unknown, path = ''): string {
  if (typeof errors !== 'object' || errors === null) return '';
  return Object.entries(errors)
    .map(([key, value]) =>
      key === '_errors' && Array.isArray(value)
        ? `${path} ${value.map((item: { code?: unknown }) => String(item.code)).join(' ')}`
        : errorPaths(value, path ? `${path}.${key}` : key),
    )
    .filter(Boolean)
    .join(', ')
    .slice(0, 500);
}
