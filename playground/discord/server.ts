import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { serveAttachment, serveAvatar } from '../serve/cdn.ts';
import { urlOf } from '../serve/requestOrigin.ts';
import type { Presenter } from '../world/objects.ts';
import type { FileUpload, Violation } from '../world/types.ts';
import { DiscordError, refuse } from './errors.ts';
import type { Gateway } from './gateway.ts';
import type { Interactions } from './interactions.ts';
import { parseJson, parseMultipart } from './multipart.ts';
import { RateLimits } from './rateLimit.ts';
import { answer, findRoute } from './rest/index.ts';
import type { Call } from './rest/route.ts';
import type { TroubleList, TroubleRule } from './trouble.ts';
import { isInvalidForm } from './validate.ts';

const REQUEST_LIMIT = 25 * 1024 * 1024;

export interface Parts {
  presenter: Presenter;
  gateway: Gateway;
  interactions: Interactions;
  trouble: TroubleList;
  token: string;
  attachmentLimit: number;
  /** False for requests by other sites' pages in a browser on this machine: these are not bots. */
  mayAsk(req: IncomingMessage): boolean;
}

async function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= REQUEST_LIMIT) chunks.push(chunk);
  }
  return size > REQUEST_LIMIT ? undefined : Buffer.concat(chunks);
}

interface Read {
  body: unknown;
  files: Map<number, FileUpload>;
}

function parse(req: IncomingMessage, data: Buffer): Read {
  const type = req.headers['content-type'] ?? '';
  if (data.length === 0) return { body: undefined, files: new Map() };
  if (type.startsWith('multipart/form-data')) return parseMultipart(data, type);
  return { body: parseJson(data), files: new Map() };
}

/** The REST half: reads a request, applies faults on demand and limits, routes, answers and records it. */
export class RestServer {
  private readonly parts: Parts;
  private readonly limits: RateLimits;

  constructor(parts: Parts) {
    this.parts = parts;
    this.limits = new RateLimits(parts.presenter.world.clock);
  }

  async handle(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    const { world } = this.parts.presenter;
    const started = performance.now();
    const method = req.method ?? 'GET';
    // discord.js writes `%40original`; emoji stay encoded for their route.
    const path = url.pathname.replace(/^\/api(\/v\d+)?/, '').replaceAll('%40', '@') || '/';
    const data = await readBody(req);
    const spoil = this.parts.trouble.take(method, path);
    let read: Read = { body: undefined, files: new Map() };
    const record = (status: number, body: unknown, valid: boolean): void =>
      world.record({
        at: world.clock.now(),
        method,
        path,
        body: read.body,
        files: [...read.files.values()].map((f) => ({ name: f.name, size: f.data.length })),
        status,
        answer: body,
        valid,
        ms: performance.now() - started,
      });
    const send = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
      const text = body === undefined ? '' : JSON.stringify(body);
      res.writeHead(status, {
        ...(text ? { 'content-type': 'application/json' } : {}),
        ...headers,
        via: '1.1 google',
      });
      res.end(text);
    };
    const pause = ({ delayMs = 2000 }: TroubleRule): Promise<void> =>
      new Promise((done) => world.clock.setTimeout(done, delayMs));
    let headers: Record<string, string> = {};
    try {
      if (data) read = parse(req, data);
      if (spoil?.kind === 'late') await pause(spoil);
      else if (spoil && spoil.kind !== 'lost-answer' && spoil.kind !== 'slow') {
        record(spoil.kind === '429' ? 429 : spoil.kind === '500' ? 500 : 0, `trouble: ${spoil.kind}`, true);
        if (spoil.kind === 'hang') return;
        if (spoil.kind === 'reset') return void req.socket.resetAndDestroy();
        if (spoil.kind === '500') return send(500, { message: '500: Internal Server Error', code: 0 });
        const retryAfter = spoil.retryAfter ?? 1;
        return send(
          429,
          { message: 'You are being rate limited.', retry_after: retryAfter, global: false },
          { 'retry-after': String(Math.ceil(retryAfter)), 'x-ratelimit-scope': 'shared' },
        );
      }
      if (!data) throw refuse.tooLarge();
      const { route, params } = findRoute(method, path);
      const authorised = this.authorised(req.headers.authorization);
      if (!route.open && !authorised) throw refuse.unauthorized();
      if (route.open && req.headers.authorization && !authorised) throw refuse.unauthorized();
      const verdict = this.limits.take(method, path, authorised);
      headers = verdict.headers;
      if (verdict.retryAfter !== undefined) {
        const body = {
          message: 'You are being rate limited.',
          retry_after: Number(verdict.retryAfter.toFixed(3)),
          global: verdict.global === true,
        };
        record(429, body, true);
        return send(429, body, { ...headers, 'retry-after': String(Math.ceil(verdict.retryAfter)) });
      }
      const call: Call = {
        ...this.parts,
        world,
        method,
        path,
        params,
        query: url.searchParams,
        body: read.body,
        files: read.files,
        note: (kind, detail) => this.note(kind, method, path, detail, read.body),
      };
      const { answer: given, problems } = answer(route, call);
      for (const problem of problems) this.note('reply', method, path, problem);
      const invalid = given.status >= 400 && isInvalidForm(toError(given.body, given.status));
      if (invalid) this.note('invalid', method, path, JSON.stringify(given.body), read.body);
      record(given.status, given.body, !invalid);
      if (spoil?.kind === 'lost-answer') return void req.socket.resetAndDestroy();
      if (spoil?.kind === 'slow') await pause(spoil);
      send(given.status, given.body, headers);
    } catch (error) {
      if (!(error instanceof DiscordError)) {
        record(500, String(error), true);
        send(500, { message: '500: Internal Server Error', code: 0 });
        console.error('playground:', error);
        return;
      }
      const invalid = isInvalidForm(error);
      if (invalid) this.note('invalid', method, path, JSON.stringify(error.toJSON()), read.body);
      record(error.status, error.toJSON(), !invalid);
      send(error.status, error.toJSON(), { ...headers, ...error.headers });
    }
  }

  private authorised(header: string | undefined): boolean {
    return header === `Bot ${this.parts.token}`;
  }

  private note(kind: Violation['kind'], method: string, path: string, detail: string, body?: unknown): void {
    const { violations } = this.parts.presenter.world;
    if (violations.length < 1000)
      violations.push({ kind, method, path, detail, ...(body === undefined ? {} : { body }) });
  }
}

function toError(body: unknown, status: number): unknown {
  const code = (body as { code?: number } | undefined)?.code;
  return typeof code === 'number' ? new DiscordError(status, code, '') : undefined;
}

export type PageHandler = (req: IncomingMessage, res: ServerResponse, url: URL) => Promise<boolean>;

/** One port for everything: /api, the CDN's paths, the gateway's upgrade and the page. */
export function httpServer(parts: Parts, page: PageHandler): Server {
  const rest = new RestServer(parts);
  const { world } = parts.presenter;
  const route = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const url = urlOf(req);
    const refuseWith = (status: number, message: string): void => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ message: `${status}: ${message}`, code: 0 }));
    };
    if (!url) return refuseWith(400, 'Bad Request');
    if (url.pathname.startsWith('/api/'))
      return parts.mayAsk(req) ? rest.handle(req, res, url) : refuseWith(403, 'Forbidden');
    if (/^\/(ephemeral-)?attachments\//.test(url.pathname)) return serveAttachment(world, url, res);
    const avatar = /^\/(?:avatars|embed\/avatars|icons)\/(\d+)/.exec(url.pathname);
    if (avatar) return serveAvatar(world, avatar[1]!, res);
    if (await page(req, res, url)) return;
    refuseWith(404, 'Not Found');
  };
  return createServer((req, res) => {
    route(req, res).catch((error) => {
      console.error('playground:', error);
      res.destroy();
    });
  });
}
