/** What the server tells the page; see pageView.ts on the server's side. */
// biome-ignore lint/suspicious/noExplicitAny: Discord's wire objects, read where they are drawn
export type Json = Record<string, any>;

export interface Person {
  id: string;
  name: string;
  username: string;
  part: string;
  bot: boolean;
  locale: string;
}

export interface PageMessage extends Json {
  id: string;
  channel_id: string;
  content: string;
  timestamp: string;
  edited_timestamp: string | null;
  flags: number;
  author: { id: string; username: string; global_name: string | null; bot: boolean };
  attachments: Json[];
  embeds: Json[];
  components: Json[];
  by?: { userId: string; name: string; type: number };
  only: boolean;
  mentionsMe: boolean;
  reactions: { emoji: string; count: number; mine: boolean; users: string[] }[];
}

/** Health as the server's `workerHealth.ts` reports it. */
export interface Underneath {
  /** '' = the bot can work, else why not; absent = it does not answer. */
  bot?: string;
  worker?: string;
  lanes: { lane: string; waiting: number; running: number }[];
  posting?: number;
  stepsPerSecond?: number;
  paintSeconds?: number;
  painted: number;
}

/** A command that waits for its answer or got none; only in this window. */
export interface Pending {
  key: string;
  channelId: string;
  name: string;
  at: number;
  failed?: string;
}

export interface ChannelView {
  messages: PageMessage[];
  more: boolean;
  loading: boolean;
  /** The newest message that was on screen while the window had the focus. */
  readUpTo: string | undefined;
  unread: number;
}

/** The menu on a message, or on a person. */
export interface OpenMenu {
  x: number;
  y: number;
  messageId?: string;
  userId?: string;
  level: 'main' | 'apps';
}

export interface OpenModal {
  opener: string;
  modal: Json;
  channelId: string;
  errors: Record<string, string>;
  busy: boolean;
}
