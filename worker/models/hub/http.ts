import { StoreError } from './errors.ts';
import { idOf, type Reference } from './hubReference.ts';

/** How to reach a hub; the parts that tests replace are here too. */
export interface Hub {
  /** Without a slash at the end; HF_ENDPOINT. */
  readonly endpoint: string;
  /** HF_TOKEN; goes to the endpoint's own origin and nowhere else. */
  readonly token?: string;
  /** CIVITAI_TOKEN; goes to Civitai and nowhere else. */
  readonly civitaiToken?: string;
  readonly signal?: AbortSignal;
  /** A connection that is silent this long is dropped, and resumed. */
  readonly stallMs?: number;
  /** The pause before attempt `attempt` (from 1). */
  readonly pause?: (attempt: number, askedMs?: number) => Promise<void>;
}

export const DEFAULT_ENDPOINT = 'https://huggingface.co';
const MAX_REDIRECTS = 6;
const STALL_MS = 60_000;

export function hubFrom(env: NodeJS.ProcessEnv, signal?: AbortSignal): Hub {
  const endpoint = (env['HF_ENDPOINT'] || DEFAULT_ENDPOINT).replace(/\/+$/, '');
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new StoreError(
      'usage',
      `HF_ENDPOINT: expected an http(s) address, got ${JSON.stringify(endpoint)}.`,
    );
  }
  const token = env['HF_TOKEN']?.trim();
  const civitaiToken = env['CIVITAI_TOKEN']?.trim();
  return {
    endpoint,
    ...(token ? { token } : {}),
    ...(civitaiToken ? { civitaiToken } : {}),
    ...(signal ? { signal } : {}),
  };
}

export const inPath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

export interface Answer {
  readonly response: Response;
  /** Whether the host that answered in the end is the hub's. */
  readonly fromHub: boolean;
  /** The body; the timeout for silence restarts with each chunk. */
  chunks(): AsyncGenerator<Uint8Array>;
  drop(): Promise<void>;
}

/**
 * GET with redirects followed by hand: the token is for the hub's own origin, while files lie on a CDN of another host,
 * whose signed addresses must be requested without it.
 */
export async function get(hub: Hub, address: string, headers: Record<string, string> = {}): Promise<Answer> {
  const home = new URL(hub.endpoint);
  let url = new URL(address);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const fromHub = url.origin === home.origin;
    const clock = silence(hub);
    let response: Response;
    try {
      response = await fetch(url, {
        redirect: 'manual',
        headers: {
          'user-agent': 'dreamgrid',
          // Sizes and ranges are those of the file itself.
          'accept-encoding': 'identity',
          ...headers,
          ...(fromHub && hub.token ? { authorization: `Bearer ${hub.token}` } : {}),
        },
        signal: clock.signal,
      });
    } catch (error) {
      clock.stop();
      throw connectionError(hub, error, url);
    }
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location) {
      clock.stop();
      await response.body?.cancel();
      const next = new URL(location, url);
      if (!/^https?:$/.test(next.protocol) || (url.protocol === 'https:' && next.protocol === 'http:')) {
        throw new StoreError(
          'hub',
          `${url.host} sends us on to ${next.protocol}//${next.host}, which is not safe.`,
        );
      }
      url = next;
      continue;
    }
    const drop = async () => {
      clock.stop();
      await response.body?.cancel().catch(() => undefined);
    };
    return { response, fromHub, drop, chunks: () => read(hub, response, clock, url) };
  }
  throw new StoreError('hub', `${home.host} sends us in circles (more than ${MAX_REDIRECTS} redirects).`);
}

async function* read(
  hub: Hub,
  response: Response,
  clock: ReturnType<typeof silence>,
  url: URL,
): AsyncGenerator<Uint8Array> {
  const body = response.body as AsyncIterable<Uint8Array> | null;
  const chunks = body?.[Symbol.asyncIterator]();
  try {
    while (chunks) {
      // Catches the network's errors only: one thrown by the reader of the chunks is no broken connection.
      const next = await chunks.next().catch((error) => {
        throw connectionError(hub, error, url);
      });
      if (next.done) return;
      clock.restart();
      yield next.value;
    }
  } finally {
    clock.stop();
    await chunks?.return?.().catch(() => undefined);
  }
}

function silence(hub: Hub) {
  const controller = new AbortController();
  const after = hub.stallMs ?? STALL_MS;
  let timer = setTimeout(() => controller.abort(new Error('silent')), after);
  const signal = hub.signal ? AbortSignal.any([hub.signal, controller.signal]) : controller.signal;
  return {
    signal,
    stop: () => clearTimeout(timer),
    restart: () => {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(new Error('silent')), after);
    },
  };
}

function connectionError(hub: Hub, error: unknown, url: URL): StoreError {
  if (hub.signal?.aborted) {
    return new StoreError('stopped', 'Stopped. The same command goes on where it stopped.', { cause: error });
  }
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const why = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error));
  const final = ['ENOTFOUND', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT'].includes(cause?.code ?? '');
  return new StoreError(
    'connection',
    `The connection to ${url.host} failed (${why}). Check the network (and HF_ENDPOINT), then give the same command again: it goes on where it stopped.`,
    { cause: error, transient: !final },
  );
}

/** Throws the error for any answer but 200 and 206, with what to do. */
export async function refuse(hub: Hub, answer: Answer, wanted: Reference, what: string): Promise<never> {
  const { status, headers } = answer.response;
  await answer.drop();
  const id = idOf(wanted);
  const code = headers.get('x-error-code') ?? '';
  const page = `${hub.endpoint}/${id}`;
  if (!answer.fromHub && status < 500 && status !== 429) {
    // The CDN's signed addresses expire; asking the hub once more gives a fresh one.
    throw new StoreError('connection', `The hub's file host refused ${what} (${status}).`, {
      transient: true,
    });
  }
  if (code === 'GatedRepo' || status === 403) {
    throw new StoreError(
      'gated',
      hub.token
        ? `${id} is gated: open ${page} as the owner of HF_TOKEN and accept its terms; the token needs the right to read gated repositories.`
        : `${id} is gated: open ${page}, accept its terms, make a token (Settings, Access Tokens), set HF_TOKEN and try again.`,
    );
  }
  if (status === 401) {
    throw new StoreError(
      'no-access',
      hub.token
        ? `${id}: the hub does not accept HF_TOKEN, or there is no such model, or it is private and not yours.`
        : `${id}: there is no such model, or it is private or gated: then set HF_TOKEN. Check the spelling at ${page}.`,
    );
  }
  if (status === 404) {
    throw new StoreError(
      'not-found',
      code === 'RevisionNotFound'
        ? `${id} has no revision "${wanted.revision}". See ${page}/tree/main.`
        : `${what} is not on the hub (404). Check the spelling at ${page}.`,
    );
  }
  if (status === 429 || status >= 500) {
    const seconds = Number(headers.get('retry-after') ?? Number.NaN);
    throw new StoreError(
      'connection',
      `${new URL(hub.endpoint).host} is busy (${status}). Try again in a while.`,
      {
        transient: true,
        ...(Number.isFinite(seconds) ? { waitMs: seconds * 1000 } : {}),
      },
    );
  }
  throw new StoreError('hub', `${what}: the hub answered ${status}, which we do not understand.`);
}

/** Repeats work after transient errors; `progressed` says whether the last attempt gained anything. */
export async function retry<T>(
  hub: Hub,
  tries: number,
  attempt: () => Promise<T>,
  progressed = () => false,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (progressed()) failures = 1;
      if (!(error instanceof StoreError) || !error.transient || failures >= tries) throw error;
      await (hub.pause ?? pause)(failures, error.waitMs);
      if (hub.signal?.aborted) throw connectionError(hub, error, new URL(hub.endpoint));
    }
  }
}

const pause = (attempt: number, askedMs = 0): Promise<void> =>
  new Promise((resolve) =>
    setTimeout(resolve, Math.min(Math.max(askedMs, 1000 * 2 ** (attempt - 1)), 60_000)),
  );
