/** JSON on the wire; fields are read after the request was validated. */
// biome-ignore lint/suspicious/noExplicitAny: payload shapes are Discord's, checked at the door by its own spec
export type Json = Record<string, any>;

export interface User {
  id: string;
  username: string;
  global_name: string | null;
  bot: boolean;
  locale: string;
  /** 'application' is the bot; the others are the people of the page. */
  part: 'member' | 'stranger' | 'moderator' | 'owner' | 'application';
  permissions: bigint;
  roles: string[];
}

export interface Channel {
  id: string;
  /** A text channel, a direct message, a public thread. */
  type: 0 | 1 | 11;
  name: string;
  /** Only of a thread: the channel it belongs to. */
  parentId?: string;
  /** Of a thread: closed until somebody writes in it; `locked` = until a moderator does. */
  archived?: boolean;
  locked?: boolean;
  /** Only of a DM: the person at the other end. */
  recipientId?: string;
  /** Age-restricted. */
  nsfw?: boolean;
  /** The bot may not send messages here. */
  muted?: boolean;
  /** The bot may not see the channel any more. */
  hidden?: boolean;
  /** Of a DM: its person takes no messages of the bot. */
  closed?: boolean;
}

export interface Attachment {
  id: string;
  filename: string;
  size: number;
  content_type: string;
  description?: string;
  title?: string;
  width?: number;
  height?: number;
  spoiler?: boolean;
}

export interface Message {
  id: string;
  channelId: string;
  authorId: string;
  content: string;
  embeds: Json[];
  components: Json[];
  attachments: Attachment[];
  flags: number;
  type: number;
  createdAt: number;
  editedAt: number | null;
  /** Users that the last send would have notified. */
  pinged: string[];
  mentions: string[];
  mentionEveryone: boolean;
  mentionRoles: string[];
  reactions: { emoji: string; id: string | null; users: string[] }[];
  nonce?: string | number;
  replyTo?: string;
  interaction?: {
    id: string;
    type: number;
    name: string;
    userId: string;
    targetMessageId?: string;
    targetUserId?: string;
  };
  /** Set on ephemeral messages: the only one who sees it. */
  onlyFor?: string;
  tts: boolean;
}

export const MessageFlags = {
  ephemeral: 1 << 6,
  loading: 1 << 7,
  suppressEmbeds: 1 << 2,
  silent: 1 << 12,
  componentsV2: 1 << 15,
} as const;

export const InteractionType = { command: 2, component: 3, autocomplete: 4, modal: 5 } as const;

export interface Interaction {
  id: string;
  token: string;
  type: number;
  userId: string;
  channelId: string;
  createdAt: number;
  name: string;
  state: 'waiting' | 'acknowledged' | 'failed';
  /** When the interaction was acknowledged or given up. */
  endedAt?: number;
  callbackType?: number;
  /** The message that `@original` names. */
  originalId?: string;
  /** The message a component sits on. */
  sourceId?: string;
  modal?: Json;
  choices?: Json[];
  followups: string[];
  /** The message or person on which a menu command was used. */
  targetMessageId?: string;
  targetUserId?: string;
}

export interface Command extends Json {
  id: string;
  application_id: string;
  version: string;
  type: number;
  name: string;
  description: string;
  options?: Json[];
}

export interface FileUpload {
  name: string;
  data: Buffer;
  contentType?: string;
}

/** A request as Discord saw it; the page's panel and the tests read these. */
export interface RecordedRequest {
  at: number;
  method: string;
  path: string;
  body: unknown;
  files: { name: string; size: number }[];
  status: number;
  answer: unknown;
  valid: boolean;
  ms: number;
}

export interface Violation {
  kind: 'invalid' | 'unknown-field' | 'ping' | 'unlisted-file' | 'reply';
  method: string;
  path: string;
  detail: string;
  body?: unknown;
}
