import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { CHANNEL_ID, canSee, type WorldEvent } from '../world/state.ts';
import type { FileUpload, Json } from '../world/types.ts';
import { emojiFile } from './emojiFile.ts';
import { guideFile } from './guide.ts';
import { PageActions } from './pageActions.ts';
import { pageFiles } from './pageBundle.ts';
import { interactionView, type PageParts, pageMessage, snapshot } from './pageView.ts';
import { isOwnName, isOwnPage } from './requestOrigin.ts';
import { type UnderneathOptions, UnderneathWatch } from './workerHealth.ts';

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};
const isPagePath = (path: string): boolean =>
  ['/', '/page.js', '/page.css'].includes(path) || path.startsWith('/guide/') || path.startsWith('/emoji/');

interface PageWindow {
  /** Whether the window's panel is open. */
  watching: boolean;
  send(data: Json): void;
}

/** undefined for anything but an object: the page sends nothing else. */
function readAsk(text: string): Json | undefined {
  try {
    const ask: unknown = JSON.parse(text);
    return typeof ask === 'object' && ask !== null ? (ask as Json) : undefined;
  } catch {
    return undefined;
  }
}

const UPLOAD_LIFE_MS = 10 * 60_000;

/** The page and its live connection: one WebSocket a window, each as one person. */
export class PageServer {
  private readonly parts: PageParts;
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: 1 << 20 });
  private readonly uploads = new Map<string, FileUpload>();
  /** The key that a visitor needs; set when the server listens beyond this machine. */
  readonly key: string | undefined;
  private readonly killWorker: (() => void) | undefined;

  private readonly underneath: UnderneathWatch | undefined;
  private readonly guideFolder: string | undefined;
  private readonly windows = new Set<PageWindow>();

  constructor(
    parts: PageParts,
    key: string | undefined,
    more: { underneath?: UnderneathOptions | undefined; guideFolder?: string | undefined },
  ) {
    this.parts = parts;
    this.key = key;
    this.guideFolder = more.guideFolder;
    if (!more.underneath) return;
    // Where others can reach the page, it shows the worker's health, but cannot kill the worker.
    const { killWorker, ...rest } = more.underneath;
    this.killWorker = key === undefined ? killWorker : undefined;
    this.underneath = new UnderneathWatch(
      rest,
      (state) => {
        for (const window of this.windows) window.send({ t: 'underneath', state });
      },
      () => [...this.windows].some((window) => window.watching),
    );
  }

  private trusted(req: IncomingMessage, url: URL): boolean {
    if (!isOwnPage(req)) return false;
    return this.key === undefined ? isOwnName(req) : this.hasKey(req, url);
  }

  private hasKey(req: IncomingMessage, url: URL): boolean {
    return (
      url.searchParams.get('key') === this.key ||
      (req.headers.cookie ?? '').includes(`playground=${this.key}`)
    );
  }

  async handle(req: IncomingMessage, res: ServerResponse, url: URL): Promise<boolean> {
    const upload = url.pathname === '/page/upload' && req.method === 'POST';
    if (!upload && (req.method !== 'GET' || !isPagePath(url.pathname))) return false;
    if (!this.trusted(req, url)) {
      res.writeHead(403, { 'content-type': 'text/plain' });
      res.end('This playground needs the address it printed when it started.');
      return true;
    }
    if (upload) await this.upload(req, res, url);
    else await this.file(res, url);
    return true;
  }

  private async file(res: ServerResponse, url: URL): Promise<void> {
    try {
      const light = url.searchParams.get('theme') === 'light';
      const file = url.pathname.startsWith('/emoji/')
        ? await emojiFile(url.pathname)
        : url.pathname.startsWith('/guide/')
          ? this.guideFolder && (await guideFile(this.guideFolder, url.pathname, light))
          : (await pageFiles()).get(url.pathname);
      if (!file) {
        res.writeHead(404, { 'content-type': 'text/plain' });
        res.end('There is no such page.');
        return;
      }
      const cookie = this.key
        ? { 'set-cookie': `playground=${this.key}; HttpOnly; SameSite=Strict; Path=/` }
        : {};
      res.writeHead(200, { ...HEADERS, ...cookie, 'content-type': file.type, 'cache-control': 'no-cache' });
      res.end(file.data);
    } catch (error) {
      res.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' });
      res.end(`The page could not be built: ${error instanceof Error ? error.message : error}`);
    }
  }

  private async upload(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of req as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= this.parts.interactions.attachmentLimit) chunks.push(chunk);
    }
    const tooLarge = size > this.parts.interactions.attachmentLimit;
    const id = randomBytes(12).toString('hex');
    if (!tooLarge) {
      this.uploads.set(id, { name: url.searchParams.get('name') ?? 'file', data: Buffer.concat(chunks) });
      this.parts.presenter.world.clock.setTimeout(() => this.uploads.delete(id), UPLOAD_LIFE_MS);
    }
    res.writeHead(tooLarge ? 413 : 200, { 'content-type': 'application/json' });
    const megabytes = Math.floor(this.parts.interactions.attachmentLimit / 1048576);
    res.end(
      JSON.stringify(
        tooLarge ? { error: `Your files are too powerful. Max file size ${megabytes} MB.` } : { id },
      ),
    );
  }

  upgrade(req: IncomingMessage, url: URL, socket: Duplex, head: Buffer): void {
    const as = url.searchParams.get('as') ?? '';
    const { world } = this.parts.presenter;
    const user =
      world.users.get(as) ?? [...world.users.values()].find((u) => u.part === as || u.username === as);
    if (!this.trusted(req, url) || user?.bot) {
      socket.destroy();
      return;
    }
    this.sockets.handleUpgrade(req, socket, head, (ws) =>
      this.accept(ws, (user ?? world.person('member')).id),
    );
  }

  private accept(ws: WebSocket, me: string): void {
    const { world } = this.parts.presenter;
    const send = (data: Json): void => {
      if (ws.readyState === 1) ws.send(JSON.stringify(data));
    };
    const window: PageWindow = { watching: false, send };
    this.windows.add(window);
    this.underneath?.start();
    const actions = new PageActions(this.parts, me, this.uploads, {
      watch: (on) => {
        window.watching = on;
        if (on) this.underneath?.soon();
      },
      killWorker: this.killWorker,
    });
    const stop = world.on((event) => this.relay(event, me, window.watching, send));
    ws.on('close', () => {
      stop();
      this.windows.delete(window);
      if (this.windows.size === 0) this.underneath?.stop();
    });
    ws.on('error', () => {});
    ws.on('message', (raw) => {
      const ask = readAsk(raw.toString());
      if (!ask) return ws.close(1007, 'Not an object in JSON.');
      actions
        .perform(ask)
        .then((result) => send({ t: 'result', id: ask['id'], ok: true, ...result }))
        .catch((error) =>
          send({
            t: 'result',
            id: ask['id'],
            ok: false,
            error: String(error.message ?? error),
            option: error.option,
          }),
        );
    });
    send({
      ...snapshot(this.parts, me),
      guide: this.guideFolder !== undefined,
      mayKill: this.killWorker !== undefined,
      underneath: this.underneath?.state,
    });
  }

  private relay(event: WorldEvent, me: string, watching: boolean, send: (data: Json) => void): void {
    const { world } = this.parts.presenter;
    if (event.type === 'message' || event.type === 'reaction') {
      const { message } = event;
      const channel = world.channels.get(message.channelId)!;
      if (!canSee(message, me) || (channel.type === 1 && channel.recipientId !== me)) return;
      if (event.type === 'message' && event.change === 'delete')
        send({ t: 'gone', id: message.id, channelId: message.channelId });
      else {
        const change = event.type === 'message' ? event.change : 'update';
        send({ t: 'message', change, message: pageMessage(this.parts, message, me) });
      }
    }
    if (event.type === 'commands') send({ t: 'commands', commands: this.commandsFor(me) });
    if (event.type === 'gateway') send({ t: 'bot', online: this.parts.gateway.connected });
    if (event.type === 'channel' && event.channel.recipientId === me)
      send({ t: 'dm', channelId: event.channel.id });
    if (event.type === 'interaction' && watching)
      send({ t: 'interaction', interaction: interactionView(event.interaction, world.clock.now()) });
    if (event.type === 'request' && watching) send({ t: 'request', request: event.request });
  }

  private commandsFor(me: string): Json {
    const { people, presenter } = this.parts;
    return {
      guild: people.visibleCommands(me, CHANNEL_ID),
      dm: people.visibleCommands(me, presenter.world.dmOf(me).id),
    };
  }

  close(): void {
    this.underneath?.stop();
    for (const client of this.sockets.clients) client.terminate();
    this.sockets.close();
  }
}
