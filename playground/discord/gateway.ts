import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import {
  channelObject,
  guildCreate,
  memberObject,
  messageObject,
  type Presenter,
  userObject,
} from '../world/objects.ts';
import { APPLICATION_ID, GUILD_ID, type WorldEvent } from '../world/state.ts';
import type { Json, Message } from '../world/types.ts';

const Op = {
  dispatch: 0,
  heartbeat: 1,
  identify: 2,
  presence: 3,
  voice: 4,
  resume: 6,
  reconnect: 7,
  members: 8,
  invalid: 9,
  hello: 10,
  ack: 11,
};
const HEARTBEAT_MS = 41_250;
/** A lost session may be resumed this long; its events are kept meanwhile. */
const RESUME_MS = 120_000;
const BUFFER = 2000;
const Intent = {
  messages: 1 << 9,
  reactions: 1 << 10,
  dmMessages: 1 << 12,
  dmReactions: 1 << 13,
  content: 1 << 15,
  guilds: 1 << 0,
};

interface Session {
  id: string;
  seq: number;
  sent: { seq: number; frame: string }[];
  intents: number;
  shard: [number, number];
  socket: WebSocket | undefined;
  lostAt: number;
}

export class Gateway {
  private readonly presenter: Presenter;
  private readonly token: string;
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: 1 << 20 });
  private readonly sessions = new Map<string, Session>();
  private deaf = false;
  identifies = 0;

  /** How many shards a bot is asked to open. */
  readonly shards: number;

  constructor(presenter: Presenter, token: string, shards = 1) {
    this.presenter = presenter;
    this.token = token;
    this.shards = shards;
    presenter.world.on((event) => this.relay(event));
  }

  get connected(): boolean {
    return [...this.sessions.values()].some((s) => s.socket !== undefined);
  }

  upgrade(req: IncomingMessage, socket: import('node:stream').Duplex, head: Buffer): void {
    this.sockets.handleUpgrade(req, socket, head, (ws) => this.accept(ws));
  }

  private accept(ws: WebSocket): void {
    let session: Session | undefined;
    const send = (op: number, d: unknown) => ws.send(JSON.stringify({ op, d, s: null, t: null }));
    ws.on('error', () => {});
    ws.on('close', () => {
      if (session?.socket !== ws) return;
      session.socket = undefined;
      session.lostAt = this.presenter.world.clock.now();
      this.presenter.world.emit({ type: 'gateway', connected: this.connected });
    });
    ws.on('message', (raw: RawData) => {
      if (this.deaf) return;
      try {
        hear(JSON.parse(raw.toString()));
      } catch {
        // The payload is no JSON, or its fields have wrong types.
        ws.close(4002, 'Error while decoding payload.');
      }
    });
    const hear = (frame: Json) => {
      switch (frame['op']) {
        case Op.heartbeat:
          return send(Op.ack, null);
        case Op.identify:
          if (session) return ws.close(4005, 'Already authenticated.');
          session = this.identify(ws, frame['d'] ?? {});
          return;
        case Op.resume:
          if (session) return ws.close(4005, 'Already authenticated.');
          session = this.resume(ws, frame['d'] ?? {});
          return;
        case Op.members:
          if (!session) return ws.close(4003, 'Not authenticated.');
          return this.sendMembers(session, frame['d'] ?? {});
        case Op.presence:
        case Op.voice:
          if (!session) ws.close(4003, 'Not authenticated.');
          return;
        default:
          return ws.close(4001, 'Unknown opcode.');
      }
    };
    send(Op.hello, { heartbeat_interval: HEARTBEAT_MS, _trace: ['["playground"]'] });
  }

  private identify(ws: WebSocket, data: Json): Session | undefined {
    if (!this.isToken(data['token'])) {
      ws.close(4004, 'Authentication failed.');
      return undefined;
    }
    if (typeof data['intents'] !== 'number' || data['intents'] < 0) {
      ws.close(4013, 'Invalid intent(s).');
      return undefined;
    }
    const shard = (Array.isArray(data['shard']) ? data['shard'] : [0, 1]) as [number, number];
    if (!(shard.every(Number.isInteger) && shard[0] >= 0 && shard[0] < shard[1])) {
      ws.close(4010, 'Invalid shard.');
      return undefined;
    }
    this.identifies++;
    const session: Session = {
      id: randomBytes(16).toString('hex'),
      seq: 0,
      sent: [],
      intents: data['intents'],
      shard,
      socket: ws,
      lostAt: 0,
    };
    this.sessions.set(session.id, session);
    const { world, url } = this.presenter;
    const hasGuild = this.owns(session, GUILD_ID);
    this.push(session, 'READY', {
      v: 10,
      user: { ...userObject(world.bot), verified: true, email: null, mfa_enabled: false },
      guilds: hasGuild ? [{ id: GUILD_ID, unavailable: true }] : [],
      private_channels: [],
      relationships: [],
      presences: [],
      user_settings: {},
      session_id: session.id,
      session_type: 'normal',
      resume_gateway_url: gatewayUrl(url),
      shard,
      application: { id: APPLICATION_ID, flags: 0 },
      geo_ordered_rtc_regions: [],
      guild_join_requests: [],
      auth: {},
      _trace: ['["playground"]'],
    });
    if (hasGuild) this.push(session, 'GUILD_CREATE', guildCreate(this.presenter));
    world.emit({ type: 'gateway', connected: true });
    return session;
  }

  private isToken(given: unknown): boolean {
    return typeof given === 'string' && given.replace(/^Bot /, '') === this.token;
  }

  private resume(ws: WebSocket, data: Json): Session | undefined {
    if (!this.isToken(data['token'])) {
      ws.close(4004, 'Authentication failed.');
      return undefined;
    }
    const session = this.sessions.get(data['session_id']);
    const late =
      session?.socket === undefined &&
      session !== undefined &&
      this.presenter.world.clock.now() - session.lostAt > RESUME_MS;
    const forgotten = session && session.sent.length > 0 && data['seq'] < session.sent[0]!.seq - 1;
    if (!session || late || forgotten || data['seq'] > session.seq) {
      ws.send(JSON.stringify({ op: Op.invalid, d: false, s: null, t: null }));
      return undefined;
    }
    session.socket = ws;
    for (const { seq, frame } of session.sent) if (seq > data['seq']) ws.send(frame);
    this.push(session, 'RESUMED', { _trace: ['["playground"]'] });
    this.presenter.world.emit({ type: 'gateway', connected: true });
    return session;
  }

  private push(session: Session, event: string, data: Json): void {
    const seq = ++session.seq;
    const frame = JSON.stringify({ op: Op.dispatch, t: event, s: seq, d: data });
    session.sent.push({ seq, frame });
    if (session.sent.length > BUFFER) session.sent.shift();
    if (session.socket?.readyState === 1) session.socket.send(frame);
  }

  private owns(session: Session, guildId: string): boolean {
    return Number((BigInt(guildId) >> 22n) % BigInt(session.shard[1])) === session.shard[0];
  }

  /** Sends an event to the shard of the guild, or to shard 0 for direct messages. */
  dispatch(
    event: string,
    data: Json,
    where: { guildId?: string },
    needs?: (intents: number) => boolean,
  ): void {
    const now = this.presenter.world.clock.now();
    for (const session of this.sessions.values()) {
      if (!session.socket && now - session.lostAt > RESUME_MS) {
        this.sessions.delete(session.id);
        continue;
      }
      const mine = where.guildId ? this.owns(session, where.guildId) : session.shard[0] === 0;
      if (mine && (!needs || needs(session.intents))) this.push(session, event, data);
    }
  }

  private relay(event: WorldEvent): void {
    if (event.type === 'message') this.relayMessage(event.change, event.message);
    if (event.type === 'reaction') {
      const { world } = this.presenter;
      const inGuild = world.inGuild(event.message.channelId);
      const known = event.message.reactions.find((r) => r.emoji === event.emoji);
      const data = {
        user_id: event.userId,
        channel_id: event.message.channelId,
        message_id: event.message.id,
        message_author_id: event.message.authorId,
        emoji: { id: known?.id ?? null, name: event.emoji },
        burst: false,
        type: 0,
        ...(inGuild
          ? {
              guild_id: GUILD_ID,
              ...(event.added ? { member: memberObject(world.users.get(event.userId)!) } : {}),
            }
          : {}),
      };
      const bit = inGuild ? Intent.reactions : Intent.dmReactions;
      this.dispatch(
        `MESSAGE_REACTION_${event.added ? 'ADD' : 'REMOVE'}`,
        data,
        inGuild ? { guildId: GUILD_ID } : {},
        (i) => (i & bit) !== 0,
      );
    }
    if (event.type === 'channel' && event.channel.type === 1)
      this.dispatch(
        'CHANNEL_CREATE',
        channelObject(this.presenter, event.channel),
        {},
        (i) => (i & Intent.dmMessages) !== 0,
      );
  }

  private relayMessage(change: 'create' | 'update' | 'delete', message: Message): void {
    const inGuild = this.presenter.world.inGuild(message.channelId);
    const where = inGuild ? { guildId: GUILD_ID } : {};
    const bit = inGuild ? Intent.messages : Intent.dmMessages;
    if (change === 'delete') {
      const data = {
        id: message.id,
        channel_id: message.channelId,
        ...(inGuild ? { guild_id: GUILD_ID } : {}),
      };
      this.dispatch('MESSAGE_DELETE', data, where, (i) => (i & bit) !== 0);
      return;
    }
    const { world } = this.presenter;
    const author = world.users.get(message.authorId)!;
    const whole = {
      ...messageObject(this.presenter, message),
      ...(inGuild ? { guild_id: GUILD_ID, member: { ...memberObject(author), user: undefined } } : {}),
      channel_type: inGuild ? 0 : 1,
    };
    // Without the message content intent a bot reads only its own, direct, and mentioning messages.
    const readable =
      !inGuild || message.authorId === APPLICATION_ID || message.mentions.includes(APPLICATION_ID);
    const blank = { ...whole, content: '', embeds: [], attachments: [], components: [] };
    const name = `MESSAGE_${change.toUpperCase()}`;
    this.dispatch(name, whole, where, (i) => (i & bit) !== 0 && (readable || (i & Intent.content) !== 0));
    if (!readable) this.dispatch(name, blank, where, (i) => (i & bit) !== 0 && (i & Intent.content) === 0);
  }

  private sendMembers(session: Session, data: Json): void {
    const all = [...this.presenter.world.users.values()];
    const ids: string[] | undefined = data['user_ids'] && [data['user_ids']].flat();
    const query = String(data['query'] ?? '');
    const members = all
      .filter((u) => (ids ? ids.includes(u.id) : u.username.startsWith(query)))
      .map(memberObject);
    this.push(session, 'GUILD_MEMBERS_CHUNK', {
      guild_id: GUILD_ID,
      members,
      chunk_index: 0,
      chunk_count: 1,
      not_found: ids?.filter((id) => !all.some((u) => u.id === id)) ?? [],
      ...(data['nonce'] ? { nonce: data['nonce'] } : {}),
    });
  }

  /** Cuts every connection; sessions can be resumed unless told otherwise. */
  drop(code = 4000, reason = 'Unknown error.', shard?: number): void {
    for (const session of this.sessions.values()) {
      if (shard !== undefined && session.shard[0] !== shard) continue;
      if (code < 1000) session.socket?.terminate();
      else session.socket?.close(code, reason);
    }
  }
  /** Op 7: asks the clients to reconnect and resume. */
  askReconnect(): void {
    for (const session of this.sessions.values())
      session.socket?.send(JSON.stringify({ op: Op.reconnect, d: null, s: null, t: null }));
  }
  /** Op 9: the session is gone; the client must identify again (or may resume when `resumable`). */
  invalidSession(resumable = false): void {
    for (const session of [...this.sessions.values()]) {
      if (!resumable) this.sessions.delete(session.id);
      session.socket?.send(JSON.stringify({ op: Op.invalid, d: resumable, s: null, t: null }));
    }
  }
  /** While deaf, accepts connections and answers nothing that clients send. */
  setDeaf(deaf: boolean): void {
    this.deaf = deaf;
  }

  close(): void {
    for (const client of this.sockets.clients) client.terminate();
    this.sockets.close();
  }
}

export const gatewayUrl = (url: string): string => `${url.replace(/^http/, 'ws')}/gateway`;
