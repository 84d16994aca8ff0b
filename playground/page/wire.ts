import { changed, place, store, view } from './store.ts';
import type { Json, PageMessage } from './types.ts';

/** The WebSocket: reconnects by itself and takes a new snapshot each time, so nothing is missed. */

let socket: WebSocket | undefined;
let next = 0;
let wait = 250;
const SHOWN_INTERACTIONS = 6;
const waiting = new Map<number, { resolve: (value: Json) => void; reject: (error: Error) => void }>();

export class Refused extends Error {
  readonly option: string | undefined;
  constructor(message: string, option?: string) {
    super(message);
    this.option = option;
  }
}

export function person(): string {
  return new URLSearchParams(location.search).get('as') ?? 'member';
}

export function connect(): void {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const mine = new WebSocket(`${scheme}://${location.host}/page?as=${encodeURIComponent(person())}`);
  socket = mine;
  mine.onmessage = (event) => receive(JSON.parse(event.data as string) as Json);
  mine.onclose = () => {
    if (socket !== mine) return;
    store.connected = false;
    for (const { reject } of waiting.values()) reject(new Refused('The connection was lost.'));
    waiting.clear();
    changed();
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 4000);
  };
}

export function switchTo(part: string): void {
  const url = new URL(location.href);
  url.searchParams.set('as', part);
  history.replaceState(null, '', url);
  const old = socket;
  socket = undefined;
  old?.close();
  store.views.clear();
  store.pending = [];
  store.modal = undefined;
  store.replyTo = undefined;
  connect();
}

export function ask(what: string, data: Json = {}): Promise<Json> {
  return new Promise((resolve, reject) => {
    if (socket?.readyState !== WebSocket.OPEN) {
      reject(new Refused('Not connected. One moment…'));
      return;
    }
    const id = ++next;
    waiting.set(id, { resolve, reject });
    socket.send(JSON.stringify({ id, do: what, ...data }));
  });
}

export async function upload(file: File): Promise<string> {
  const answer = await fetch(`/page/upload?name=${encodeURIComponent(file.name)}`, {
    method: 'POST',
    body: file,
  });
  const body = (await answer.json()) as Json;
  if (!answer.ok) throw new Refused(body['error'] ?? 'The file could not be sent.');
  return body['id'];
}

function hello(data: Json): void {
  wait = 250;
  const again = store.everConnected && store.me === data['me'];
  store.connected = true;
  store.everConnected = true;
  store.me = data['me'];
  store.users = new Map(data['users'].map((u: Json) => [u['id'], u]));
  store.channels = data['channels'];
  store.channelNames = data['channelNames'];
  store.roles = data['roles'];
  store.commands = data['commands'];
  store.attachmentLimit = data['attachmentLimit'];
  store.online = data['online'];
  store.underneath = data['underneath'];
  store.mayKill = data['mayKill'];
  store.guide = data['guide'];
  for (const [id, page] of Object.entries(data['pages'] as Record<string, Json>)) {
    const v = view(id);
    const fresh = page['messages'] as PageMessage[];
    // Older messages that were loaded before stay; from the snapshot's first message on, the snapshot replaces them.
    const from = fresh[0]?.id;
    const kept = again && from ? v.messages.filter((m) => BigInt(m.id) < BigInt(from)) : [];
    v.messages = [...kept, ...fresh];
    v.more = kept.length ? v.more : page['more'];
    v.readUpTo ??= fresh.at(-1)?.id;
  }
  if (store.panel.open) void watch(true);
}

function receive(data: Json): void {
  switch (data['t']) {
    case 'hello':
      hello(data);
      break;
    case 'message': {
      const message = data['message'] as PageMessage;
      const v = view(message.channel_id);
      const isNew = data['change'] === 'create' && !v.messages.some((m) => m.id === message.id);
      place(message);
      // An edit by the bot replaces what the person has picked.
      for (const key of store.selects.keys())
        if (key.startsWith(`${message.id}:`) && store.openSelect?.key !== key) store.selects.delete(key);
      const seen =
        document.hasFocus() && store.atBottom && store.channels[store.current] === message.channel_id;
      if (seen) v.readUpTo = v.messages.at(-1)?.id;
      else if (isNew && message.author.id !== store.me) v.unread++;
      break;
    }
    case 'gone': {
      const v = view(data['channelId']);
      v.messages = v.messages.filter((m) => m.id !== data['id']);
      break;
    }
    case 'commands':
      store.commands = data['commands'];
      break;
    case 'bot':
      store.online = data['online'];
      break;
    case 'underneath':
      store.underneath = data['state'];
      break;
    case 'interaction': {
      const news = data['interaction'] as Json;
      const others = store.panel.interactions.filter((i) => i['id'] !== news['id']);
      store.panel.interactions = [...others, news].slice(-SHOWN_INTERACTIONS);
      break;
    }
    case 'request':
      store.panel.requests = [...store.panel.requests.slice(-199), data['request']];
      break;
    case 'result': {
      const entry = waiting.get(data['id']);
      waiting.delete(data['id']);
      if (data['ok']) entry?.resolve(data);
      else entry?.reject(new Refused(data['error'], data['option']));
      break;
    }
  }
  changed();
}

export async function watch(on: boolean): Promise<void> {
  const data = await ask('watch', { on });
  if (!on) return;
  store.panel.requests = data['requests'];
  store.panel.interactions = data['interactions'];
  store.panel.violations = data['violations'];
  store.panel.troubles = data['troubles'];
  changed();
}
