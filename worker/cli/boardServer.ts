import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, sep } from 'node:path';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type {
  AppControllerRoute,
  AppViewRoute,
  BullBoardQueues,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import type { Queues } from '../../shared/queue/queue.ts';
import { ConfigError } from '../../shared/service/errors.ts';
import { openLinkSigner } from '../../shared/service/signedLink.ts';

/**
 * bull-board without its buttons: only its reading routes are served, and only with the signed link, until it expires.
 * The link becomes a cookie at the first visit, so that it does not stay in the address.
 */
export interface BoardOptions {
  queues: Pick<Queues, 'render' | 'deliver' | 'ask'>;
  /** 0 = any free one. */
  port: number;
  host: string;
  /** At least 16 bytes. */
  secret: string;
  /** ms since 1970. */
  expiresAt: number;
  now?: () => number;
}

export interface Board {
  link: string;
  close(): Promise<void>;
}

const COOKIE = 'dreamgrid_board';
const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
};
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'",
} as const;

/** @throws ConfigError when the port is taken */
export async function openBoard(options: BoardOptions): Promise<Board> {
  const { port, host, secret, expiresAt, now = Date.now } = options;
  const signer = openLinkSigner(secret, 'board', now);
  const site = readSite(options.queues);
  const visit = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = request.url ?? '/';
    if (!URL.canParse(asked, 'http://board')) return answer(response, 400, 'text/plain', 'No address.\n');
    const url = new URL(asked, 'http://board');
    const given = url.searchParams.get('key');
    const kept = new RegExp(`(?:^|; )${COOKIE}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];
    if (!signer.verify(given ?? kept ?? '').ok)
      return answer(response, 401, 'text/plain', 'Not without the link.\n');
    if (request.method !== 'GET') return answer(response, 405, 'text/plain', 'Only to look at.\n');
    if (given !== null) {
      const seconds = Math.max(0, Math.floor((expiresAt - now()) / 1000));
      const cookie = `${COOKIE}=${given}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${seconds}`;
      response.writeHead(303, { ...HEADERS, location: '/', 'set-cookie': cookie }).end();
      return;
    }
    await site(url, response);
  };
  const server = createServer((request, response) => {
    visit(request, response).catch(() => {
      if (!response.headersSent) answer(response, 500, 'text/plain', 'error\n');
    });
  });
  await new Promise<void>((listening, reject) => {
    // Stays after the start: a connection that could not be accepted must not end the process.
    server.on('error', (error: NodeJS.ErrnoException) =>
      reject(new ConfigError(`--port: cannot listen on ${host}:${port} (${error.code}).`)),
    );
    server.listen(port, host, listening);
  });
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const at = `${shown.includes(':') ? `[${shown}]` : shown}:${(server.address() as AddressInfo).port}`;
  return {
    link: `http://${at}/?key=${signer.sign('look', expiresAt)}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { ...HEADERS, 'content-type': type }).end(body);
}

/** bull-board's routes and files, as a handler of one GET. */
function readSite({ render, deliver, ask }: BoardOptions['queues']) {
  let queues: BullBoardQueues = new Map();
  let uiConfig: UIConfig = {};
  let views = '';
  let entry: AppViewRoute | undefined;
  let api: AppControllerRoute[] = [];
  const files = new Map<string, { path: string; type: string }>();
  const adapter: IServerAdapter = {
    setQueues: (all) => {
      queues = all;
      return adapter;
    },
    setViewsPath: (path) => {
      views = path;
      return adapter;
    },
    setStaticPath: (route, folder) => {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const type = TYPES[extname(name)];
        if (type) files.set(`${route}/${name.split(sep).join('/')}`, { path: join(folder, name), type });
      }
      return adapter;
    },
    setEntryRoute: (route) => {
      entry = route;
      return adapter;
    },
    setErrorHandler: () => adapter, // errors are not shown to the browser
    setApiRoutes: (routes) => {
      api = routes;
      return adapter;
    },
    setUIConfig: (config) => {
      uiConfig = config;
      return adapter;
    },
  };
  createBullBoard({
    queues: [render, deliver, ask].map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter: adapter,
    options: {
      uiBasePath: dirname(createRequire(import.meta.url).resolve('@bull-board/ui/package.json')),
      uiConfig: { boardTitle: 'Dreamgrid' },
    },
  });
  const reading = api.filter(({ method }) => [method].flat().includes('get'));

  return async ({ pathname, searchParams }: URL, response: ServerResponse): Promise<void> => {
    const file = files.get(pathname);
    if (file) return answer(response, 200, file.type, readFileSync(file.path));
    for (const { route, handler } of reading) {
      const params = match([route].flat(), pathname);
      if (!params) continue;
      const query = Object.fromEntries(searchParams);
      const { status = 200, body } = await handler({
        queues,
        uiConfig,
        query,
        params,
        body: {},
        headers: {},
      });
      return answer(response, status, 'application/json', JSON.stringify(body));
    }
    if (!entry || !match([entry.route].flat(), pathname))
      return answer(response, 404, 'text/plain', 'not here\n');
    const { name, params } = entry.handler({ basePath: '/', uiConfig });
    answer(response, 200, 'text/html; charset=utf-8', fill(readFileSync(join(views, name), 'utf8'), params));
  };
}

/** Matches a route such as `/api/queues/:queueName` against a path. */
function match(routes: readonly string[], pathname: string): Record<string, string> | undefined {
  for (const route of routes) {
    const names = [...route.matchAll(/:(\w+)/g)].map(([, name]) => name as string);
    const found = new RegExp(`^${route.replace(/:\w+/g, '([^/]+)')}$`).exec(pathname);
    if (found)
      return Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(found[i + 1] as string)]));
  }
  return undefined;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;' };

/** Fills the page's placeholders: `<%= text %>` escaped, `<%- json %>` as it is. */
const fill = (template: string, params: Readonly<Record<string, string>>): string =>
  template.replace(/<%([=-])\s*(\w+)\s*%>/g, (_, kind: string, name: string) => {
    const text = params[name] ?? '';
    return kind === '-' ? text : text.replace(/[&<>"]/g, (one) => ENTITIES[one] as string);
  });
