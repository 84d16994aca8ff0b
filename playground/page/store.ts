import type {
  ChannelView,
  Json,
  OpenMenu,
  OpenModal,
  PageMessage,
  Pending,
  Person,
  Underneath,
} from './types.ts';

/** The page's whole state. Views read it, actions change it and call `changed()`. */
export const store = {
  connected: false,
  everConnected: false,
  online: false,
  me: '',
  users: new Map<string, Person>(),
  channels: { guild: '', lounge: '', dm: '' },
  /** The guild's channels by id. */
  channelNames: {} as Record<string, string>,
  roles: [] as { id: string; name: string; color: number }[],
  current: 'guild' as 'guild' | 'lounge' | 'dm',
  views: new Map<string, ChannelView>(),
  commands: { guild: [] as Json[], dm: [] as Json[] },
  attachmentLimit: 10 * 1024 * 1024,
  pending: [] as Pending[],
  /** Buttons whose click waits for an answer, `message:custom id`. */
  busy: new Set<string>(),
  /** Errors of clicks, shown under a message for a moment. */
  notices: new Map<string, string>(),
  modal: undefined as OpenModal | undefined,
  lightbox: undefined as { url: string; alt: string; name: string } | undefined,
  menu: undefined as OpenMenu | undefined,
  replyTo: undefined as string | undefined,
  selects: new Map<string, string[]>(),
  openSelect: undefined as { key: string; search: string; above: boolean } | undefined,
  panel: {
    open: false,
    requests: [] as Json[],
    violations: 0,
    troubles: [] as Json[],
    picked: undefined as number | undefined,
    interactions: [] as Json[],
    /** The recipe of the picture that was clicked last; undefined while it is read, and where the file has none. */
    recipe: undefined as { url: string; recipe: Json | undefined } | undefined,
    /** Why a switch did nothing. */
    refused: undefined as string | undefined,
  },
  theme: (localStorage.getItem('theme') ?? 'dark') as 'dark' | 'light',
  /** Health of bot, queue and worker; undefined where the playground was given no addresses. */
  underneath: undefined as Underneath | undefined,
  mayKill: false,
  guide: false,
  sidebar: false,
  /** Whether the newest message is on screen and kept there. */
  atBottom: true,
};

let scheduled = false;
let draw: () => void = () => {};

export function onChange(render: () => void): void {
  draw = render;
}

/** Draws at the next frame, once for all changes until then. */
export function changed(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

export function channelId(): string {
  return store.channels[store.current];
}

export const inDm = (): boolean => store.current === 'dm';

/** A channel's name, `pictures`, without its #; the bot's name in a DM. */
export function placeName(): string {
  return store.channelNames[channelId()] ?? 'Dreamgrid';
}

export function view(id = channelId()): ChannelView {
  let found = store.views.get(id);
  if (!found) {
    found = { messages: [], more: false, loading: false, readUpTo: undefined, unread: 0 };
    store.views.set(id, found);
  }
  return found;
}

export function commands(): Json[] {
  return store.commands[inDm() ? 'dm' : 'guild'];
}

export function me(): Person | undefined {
  return store.users.get(store.me);
}

export function nameOf(userId: string): string {
  return store.users.get(userId)?.name ?? 'unknown-user';
}

export function messageById(id: string): PageMessage | undefined {
  for (const v of store.views.values()) {
    const found = v.messages.find((m) => m.id === id);
    if (found) return found;
  }
  return undefined;
}

const older = (a: PageMessage, b: PageMessage): number =>
  a.id.length - b.id.length || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** Inserts or replaces a message by its id, so that none is doubled or out of order. */
export function place(message: PageMessage): void {
  const v = view(message.channel_id);
  const at = v.messages.findIndex((m) => m.id === message.id);
  if (at >= 0) {
    v.messages[at] = message;
    return;
  }
  const last = v.messages.at(-1);
  v.messages.push(message);
  if (last && older(message, last) < 0) v.messages.sort(older);
}

export function prepend(id: string, messages: PageMessage[], more: boolean): void {
  const v = view(id);
  const known = new Set(v.messages.map((m) => m.id));
  v.messages = [...messages.filter((m) => !known.has(m.id)), ...v.messages];
  v.more = more;
}
