import { EventEmitter } from 'node:events';
import type { Clock } from './clock.ts';
import { snowflakes } from './snowflake.ts';
import type {
  Attachment,
  Channel,
  Command,
  Interaction,
  Message,
  RecordedRequest,
  User,
  Violation,
} from './types.ts';
import { MessageFlags } from './types.ts';

/** Fixed ids, so that what a bot stored about this server is still valid after a restart. */
export const APPLICATION_ID = '1190000000000000001';
export const GUILD_ID = '1190000000000000100';
export const CHANNEL_ID = '1190000000000000101';
export const MODERATOR_ROLE_ID = '1190000000000000102';
/** A second channel, to see that settings of one channel do not hold in another. */
export const LOUNGE_ID = '1190000000000000103';
export const ARTIST_ROLE_ID = '1190000000000000104';

/** VIEW, SEND, EMBED, ATTACH, HISTORY, REACT, USE_APPLICATION_COMMANDS, EXTERNAL_EMOJIS. */
const BASIC =
  (1n << 10n) |
  (1n << 11n) |
  (1n << 14n) |
  (1n << 15n) |
  (1n << 16n) |
  (1n << 6n) |
  (1n << 31n) |
  (1n << 18n);
/** BASIC and MANAGE_MESSAGES, MANAGE_GUILD, MODERATE_MEMBERS, KICK. */
const MODERATE = BASIC | (1n << 13n) | (1n << 5n) | (1n << 40n) | (1n << 1n);
const EVERYTHING = (1n << 53n) - 1n;
export const PERMISSIONS = { basic: BASIC, moderate: MODERATE, everything: EVERYTHING };

const DROPPED_FILE_MS = 60_000;
/** Interactions are forgotten after this: a token lives 15 minutes, a modal may stay open longer. */
const FORGOTTEN_MS = 60 * 60_000;
/** Within this time a second message with the same nonce is the first one. */
const NONCE_MS = 5 * 60_000;

export type PersonName = 'member' | 'stranger' | 'moderator' | 'owner';

function person(
  id: string,
  part: PersonName,
  username: string,
  name: string,
  locale: string,
  permissions: bigint,
): User {
  const roles = part === 'moderator' ? [MODERATOR_ROLE_ID] : part === 'member' ? [ARTIST_ROLE_ID] : [];
  return { id, part, username, global_name: name, locale, permissions, roles, bot: false };
}

export type WorldEvent =
  | { type: 'message'; change: 'create' | 'update' | 'delete'; message: Message }
  | { type: 'reaction'; added: boolean; message: Message; emoji: string; userId: string }
  | { type: 'interaction'; change: 'create' | 'acknowledge' | 'fail'; interaction: Interaction }
  | { type: 'commands' }
  | { type: 'channel'; channel: Channel }
  | { type: 'gateway'; connected: boolean }
  | { type: 'request'; request: RecordedRequest };

/** The whole state, in memory. All changes are made here, and listeners are told of each. */
export class World {
  readonly clock: Clock;
  readonly nextId: () => string;
  readonly users = new Map<string, User>();
  readonly channels = new Map<string, Channel>();
  readonly messages = new Map<string, Message>();
  /** Message ids of a channel, oldest first. */
  readonly order = new Map<string, string[]>();
  readonly interactions = new Map<string, Interaction>();
  readonly byToken = new Map<string, Interaction>();
  readonly files = new Map<string, Buffer>();
  readonly attachmentTypes = new Map<string, string>();
  globalCommands: Command[] = [];
  guildCommands: Command[] = [];
  readonly requests: RecordedRequest[] = [];
  readonly violations: Violation[] = [];
  readonly signSecret: { key: string } = { key: '' };
  /** Edits of messages older than an hour, by message. */
  readonly oldEdits = new Map<string, number>();
  private readonly emitter = new EventEmitter();

  constructor(clock: Clock) {
    this.clock = clock;
    this.nextId = snowflakes(clock);
    this.emitter.setMaxListeners(0);
    const people = [
      person('1190000000000000010', 'member', 'mai', 'Mai', 'en-US', BASIC),
      person('1190000000000000011', 'stranger', 'linh', 'Linh', 'vi', BASIC),
      person('1190000000000000012', 'moderator', 'tomas', 'Tomas', 'en-US', MODERATE),
      person('1190000000000000013', 'owner', 'ada', 'Ada', 'en-US', EVERYTHING),
    ];
    const bot: User = {
      id: APPLICATION_ID,
      part: 'application',
      username: 'Dreamgrid',
      global_name: null,
      locale: 'en-US',
      permissions: MODERATE,
      roles: [],
      bot: true,
    };
    for (const user of [bot, ...people]) this.users.set(user.id, user);
    this.addChannel({ id: CHANNEL_ID, type: 0, name: 'pictures' });
    this.addChannel({ id: LOUNGE_ID, type: 0, name: 'lounge' });
  }

  get bot(): User {
    return this.users.get(APPLICATION_ID)!;
  }
  /** Adds a member to the server, with everybody's rights. */
  addPerson(name: string): User {
    const user = person(this.nextId(), 'stranger', name.toLowerCase(), name, 'en-US', BASIC);
    this.users.set(user.id, user);
    return user;
  }
  person(name: PersonName): User {
    return [...this.users.values()].find((u) => u.part === name)!;
  }

  on(listener: (event: WorldEvent) => void): () => void {
    this.emitter.on('event', listener);
    return () => void this.emitter.off('event', listener);
  }
  emit(event: WorldEvent): void {
    this.emitter.emit('event', event);
  }

  addChannel(channel: Channel): void {
    this.channels.set(channel.id, channel);
    if (!this.order.has(channel.id)) this.order.set(channel.id, []);
    this.emit({ type: 'channel', channel });
  }
  /** Removes a channel with everything in it. */
  removeChannel(id: string): void {
    for (const message of this.list(id)) this.removeMessage(message);
    this.order.delete(id);
    this.channels.delete(id);
  }
  /** Whether a channel is the guild's, not a DM. */
  inGuild(channelId: string): boolean {
    const type = this.channels.get(channelId)?.type;
    return type === 0 || type === 11;
  }
  /** The DM between the bot and a person; made on first use. */
  dmOf(userId: string): Channel {
    const known = [...this.channels.values()].find((c) => c.recipientId === userId);
    if (known) return known;
    const channel: Channel = { id: this.nextId(), type: 1, name: 'dm', recipientId: userId };
    this.addChannel(channel);
    return channel;
  }

  addMessage(message: Message): void {
    this.messages.set(message.id, message);
    this.order.get(message.channelId)!.push(message.id);
    this.emit({ type: 'message', change: 'create', message });
  }
  /** The bot's message with this nonce in the last minutes, if any. */
  twin(channelId: string, nonce: string | number): Message | undefined {
    const order = this.order.get(channelId) ?? [];
    for (let i = order.length - 1; i >= 0; i--) {
      const message = this.messages.get(order[i]!)!;
      if (this.clock.now() - message.createdAt >= NONCE_MS) return undefined;
      if (message.authorId === APPLICATION_ID && message.nonce === nonce) return message;
    }
    return undefined;
  }
  changed(message: Message): void {
    this.emit({ type: 'message', change: 'update', message });
  }
  removeMessage(message: Message): void {
    this.messages.delete(message.id);
    this.oldEdits.delete(message.id);
    const order = this.order.get(message.channelId)!;
    const at = order.lastIndexOf(message.id);
    if (at >= 0) order.splice(at, 1);
    for (const attachment of message.attachments) this.dropFile(attachment.id);
    this.emit({ type: 'message', change: 'delete', message });
  }
  /** The messages of a channel that a viewer sees; without a viewer, all. */
  list(channelId: string, viewer?: string): Message[] {
    const all = (this.order.get(channelId) ?? []).map((id) => this.messages.get(id)!);
    return viewer === undefined ? all : all.filter((m) => canSee(m, viewer));
  }

  addInteraction(interaction: Interaction): void {
    for (const old of this.interactions.values()) {
      if (interaction.createdAt - old.createdAt < FORGOTTEN_MS) break; // oldest first
      this.interactions.delete(old.id);
      this.byToken.delete(old.token);
    }
    this.interactions.set(interaction.id, interaction);
    this.byToken.set(interaction.token, interaction);
    this.emit({ type: 'interaction', change: 'create', interaction });
  }

  addFile(attachment: Attachment, data: Buffer): void {
    this.files.set(attachment.id, data);
    this.attachmentTypes.set(attachment.id, attachment.content_type);
  }
  /** Deletes a file after a moment, as Discord does: a preview may still be loading when the next one replaces it. */
  dropFile(id: string): void {
    this.clock.setTimeout(() => {
      this.files.delete(id);
      this.attachmentTypes.delete(id);
    }, DROPPED_FILE_MS);
  }

  commands(): Command[] {
    return [...this.globalCommands, ...this.guildCommands];
  }

  record(request: RecordedRequest): void {
    this.requests.push(request);
    if (this.requests.length > 5000) this.requests.splice(0, 1000);
    this.emit({ type: 'request', request });
  }
}

export function canSee(message: Message, viewer: string): boolean {
  return message.onlyFor === undefined || message.onlyFor === viewer;
}

export function isEphemeral(message: { flags: number }): boolean {
  return (message.flags & MessageFlags.ephemeral) !== 0;
}
