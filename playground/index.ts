import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OptionValue } from './discord/commandOptions.ts';
import { Gateway } from './discord/gateway.ts';
import { Interactions } from './discord/interactions.ts';
import { httpServer } from './discord/server.ts';
import { TroubleList, type TroubleRule } from './discord/trouble.ts';
import { PageServer } from './serve/pageServer.ts';
import { isLoopback, isOwnName, isOwnPage, urlOf } from './serve/requestOrigin.ts';
import type { UnderneathOptions } from './serve/workerHealth.ts';
import { type Clock, systemClock } from './world/clock.ts';
import { handleOf, type InteractionHandle, type MessageView, viewOf } from './world/interactionHandle.ts';
import { channelObject, type Presenter } from './world/objects.ts';
import { People, type VerbOptions } from './world/people.ts';
import { Persistence } from './world/persist.ts';
import {
  APPLICATION_ID,
  ARTIST_ROLE_ID,
  CHANNEL_ID,
  GUILD_ID,
  LOUNGE_ID,
  MODERATOR_ROLE_ID,
  type PersonName,
  World,
  type WorldEvent,
} from './world/state.ts';
import type { Channel, Command, Interaction, RecordedRequest, Violation } from './world/types.ts';

export type { OptionValue } from './discord/commandOptions.ts';
export { ClientRefusal } from './discord/errors.ts';
export type { TroubleKind, TroubleRule } from './discord/trouble.ts';
export { type Clock, type ManualClock, manualClock, systemClock } from './world/clock.ts';
export type { InteractionHandle, MessageView } from './world/interactionHandle.ts';
export type { VerbOptions } from './world/people.ts';
export type { PersonName, WorldEvent } from './world/state.ts';
export type { RecordedRequest, Violation } from './world/types.ts';

export interface PlaygroundOptions {
  /** 0, the default, takes any free port. */
  port?: number;
  host?: string;
  clock?: Clock;
  /** A file to load the history from and to save it to. */
  statePath?: string;
  /** The accepted bot token. Default: `playground` when listening on this machine alone, else a random one. */
  token?: string;
  attachmentLimit?: number;
  /** How many shards the gateway asks a bot to open; 1 unless told. */
  shards?: number;
  /** Permission bits of people, where they differ from the default. */
  rights?: Partial<Record<PersonName, bigint>>;
  /** Addresses where bot and worker tell their health, for the page's panel. */
  underneath?: UnderneathOptions;
  /** Folder with the documents that the page offers as the member's guide, `prompt.md` first. */
  guideFolder?: string;
}

/** `early` hands the interaction out at once instead of when it was acknowledged or failed. */
export type RunOptions = VerbOptions & { early?: boolean };

export interface Playground {
  readonly url: string;
  /** The page's address; with a key when the server listens beyond this machine. */
  readonly pageUrl: string;
  /** The REST base, for the bot's environment. */
  readonly api: string;
  readonly token: string;
  readonly applicationId: string;
  readonly guildId: string;
  readonly channelId: string;
  /** The guild's second channel. */
  readonly loungeId: string;
  readonly roles: { moderator: string; artist: string };
  readonly users: Record<PersonName, string>;
  readonly requests: RecordedRequest[];
  readonly violations: Violation[];
  readonly commands: Command[];
  readonly gatewayConnected: boolean;
  readonly trouble: {
    add(rule: TroubleRule): () => void;
    clear(): void;
    /** @param shard the shard to cut off; all where left out */
    dropGateway(shard?: number): void;
    reconnectGateway(): void;
    invalidSession(resumable?: boolean): void;
    closeGateway(code: number, reason?: string): void;
    deafGateway(deaf: boolean): void;
  };
  run(
    userId: string,
    command: string,
    options?: Record<string, OptionValue>,
    opts?: RunOptions,
  ): Promise<InteractionHandle>;
  autocomplete(
    userId: string,
    command: string,
    focused: string,
    options?: Record<string, OptionValue>,
    opts?: RunOptions,
  ): Promise<InteractionHandle>;
  click(
    userId: string,
    messageId: string,
    customIdOrLabel: string,
    opts?: RunOptions & { values?: string[]; forge?: boolean },
  ): Promise<InteractionHandle>;
  submitModal(
    userId: string,
    opener: InteractionHandle | string,
    fields: Record<string, string | string[]>,
    opts?: RunOptions,
  ): Promise<InteractionHandle>;
  messageCommand(
    userId: string,
    messageId: string,
    name: string,
    opts?: RunOptions,
  ): Promise<InteractionHandle>;
  /** A command in a person's menu: right click → Apps. */
  userCommand(
    userId: string,
    targetUserId: string,
    name: string,
    opts?: RunOptions,
  ): Promise<InteractionHandle>;
  react(userId: string, messageId: string, emoji: string): void;
  say(userId: string, content: string, opts?: VerbOptions & { replyTo?: string }): MessageView;
  dismiss(userId: string, messageId: string): void;
  /** Adds a member to the server. @returns the user's id */
  join(name: string): string;
  /** Makes a channel of the guild age-restricted, or open again, and tells the bot. */
  restrict(channelId: string, nsfw: boolean): void;
  /** Takes the bot's permission to send messages in a channel; answers to interactions do not need it. */
  mute(channelId: string): void;
  /** Deletes a channel of the guild with all its messages, and tells the bot. */
  removeChannel(channelId: string): void;
  /** Oldest first; with a viewer only what that person sees. */
  messages(channelId?: string, viewer?: string): MessageView[];
  message(id: string): MessageView | undefined;
  /** A thread on the usual channel. @returns its id */
  openThread(name: string): string;
  /** Closes a thread until somebody writes in it; locked: until a moderator does. */
  archive(threadId: string, locked?: boolean): void;
  /** Hides a channel from the bot. */
  hide(channelId: string): void;
  /** Makes a person refuse direct messages of the bot. */
  closeDm(userId: string): void;
  /** The channel of direct messages between a person and the bot. */
  dm(userId: string): string;
  on(listener: (event: WorldEvent) => void): () => void;
  /** Resolves with the first truthy answer, asked again after every event; rejects when the (real) time is up. */
  waitFor<T>(predicate: () => T, deadlineMs?: number, what?: string): Promise<NonNullable<T>>;
  /** Writes the state now, where a state file was named. */
  save(): Promise<void>;
  close(): Promise<void>;
}

export async function startPlayground(options: PlaygroundOptions = {}): Promise<Playground> {
  const clock = options.clock ?? systemClock;
  const host = options.host ?? '127.0.0.1';
  const beyond = !isLoopback(host);
  // Any client that reaches the port and knows the token is the bot.
  const token = options.token ?? (beyond ? randomBytes(24).toString('hex') : 'playground');
  const attachmentLimit = options.attachmentLimit ?? 10 * 1024 * 1024;
  const world = new World(clock);
  world.signSecret.key = randomBytes(16).toString('hex');
  for (const [name, bits] of Object.entries(options.rights ?? {}))
    world.person(name as PersonName).permissions = bits;
  const persistence = options.statePath ? new Persistence(world, options.statePath) : undefined;
  await persistence?.load();

  const presenter: Presenter = { world, url: '' };
  const gateway = new Gateway(presenter, token, options.shards);
  const interactions = new Interactions(
    presenter,
    (event, data, where) => gateway.dispatch(event, data, where),
    attachmentLimit,
  );
  const people = new People(presenter, interactions);
  const trouble = new TroubleList();
  const page = new PageServer(
    { presenter, gateway, interactions, people, trouble },
    beyond ? randomBytes(16).toString('hex') : undefined,
    { underneath: options.underneath, guideFolder: options.guideFolder },
  );
  const mayAsk = (req: IncomingMessage): boolean => isOwnPage(req) && (beyond || isOwnName(req));
  const server = httpServer(
    { presenter, gateway, interactions, trouble, token, attachmentLimit, mayAsk },
    (req, res, url) => page.handle(req, res, url),
  );
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => {});
    const url = urlOf(req);
    if (url?.pathname.startsWith('/gateway') && mayAsk(req)) gateway.upgrade(req, socket, head);
    else if (url?.pathname === '/page') page.upgrade(req, url, socket, head);
    else socket.destroy();
  });
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  presenter.url = `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;

  async function waitFor<T>(
    predicate: () => T,
    deadlineMs = 10_000,
    what = 'what was waited for',
  ): Promise<NonNullable<T>> {
    const first = predicate();
    if (first) return first as NonNullable<T>;
    return new Promise((resolve, reject) => {
      const stop = world.on(() => {
        try {
          const value = predicate();
          if (!value) return;
          finish();
          resolve(value as NonNullable<T>);
        } catch (error) {
          finish();
          reject(error);
        }
      });
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`playground: ${what} did not happen within ${deadlineMs} ms`));
      }, deadlineMs);
      const finish = (): void => {
        stop();
        clearTimeout(timer);
      };
    });
  }

  async function started(interaction: Interaction, opts: RunOptions = {}): Promise<InteractionHandle> {
    const handle = handleOf(presenter, interaction);
    // The 3 s run on the playground's clock; the long real deadline only keeps a broken test from hanging.
    if (!opts.early)
      await waitFor(() => interaction.state !== 'waiting', 60_000, `the end of ${interaction.name}`);
    return handle;
  }

  return {
    url: presenter.url,
    pageUrl: page.key ? `${presenter.url}/?key=${page.key}` : `${presenter.url}/`,
    api: `${presenter.url}/api`,
    token,
    applicationId: APPLICATION_ID,
    guildId: GUILD_ID,
    channelId: CHANNEL_ID,
    loungeId: LOUNGE_ID,
    roles: { moderator: MODERATOR_ROLE_ID, artist: ARTIST_ROLE_ID },
    users: {
      member: world.person('member').id,
      stranger: world.person('stranger').id,
      moderator: world.person('moderator').id,
      owner: world.person('owner').id,
    },
    requests: world.requests,
    violations: world.violations,
    get commands() {
      return world.commands();
    },
    get gatewayConnected() {
      return gateway.connected;
    },
    trouble: {
      add: (rule) => trouble.add(rule),
      clear: () => trouble.clear(),
      dropGateway: (shard) => gateway.drop(0, undefined, shard),
      reconnectGateway: () => gateway.askReconnect(),
      invalidSession: (resumable) => gateway.invalidSession(resumable),
      closeGateway: (code, reason) => gateway.drop(code, reason),
      deafGateway: (deaf) => gateway.setDeaf(deaf),
    },
    async run(userId, command, values = {}, opts) {
      return started(people.run(userId, command, values, opts), opts);
    },
    async autocomplete(userId, command, focused, values = {}, opts) {
      return started(people.autocomplete(userId, command, focused, values, opts), opts);
    },
    async click(userId, messageId, which, opts) {
      return started(people.click(userId, messageId, which, opts), opts);
    },
    async submitModal(userId, opener, fields, opts) {
      const interaction = world.interactions.get(typeof opener === 'string' ? opener : opener.id);
      if (!interaction || interaction.userId !== userId)
        throw new Error('playground: that form belongs to someone else');
      return started(people.submitModal(interaction, fields, opts), opts);
    },
    async messageCommand(userId, messageId, name, opts) {
      return started(people.messageCommand(userId, messageId, name, opts), opts);
    },
    async userCommand(userId, targetUserId, name, opts) {
      return started(people.userCommand(userId, targetUserId, name, opts), opts);
    },
    react: (userId, messageId, emoji) => people.react(userId, messageId, emoji),
    say: (userId, content, opts) => viewOf(presenter, people.say(userId, content, opts)),
    dismiss: (userId, messageId) => people.remove(userId, messageId),
    join: (name) => world.addPerson(name).id,
    restrict(channelId, nsfw) {
      const channel = { ...world.channels.get(channelId)!, nsfw };
      world.addChannel(channel);
      gateway.dispatch('CHANNEL_UPDATE', channelObject(presenter, channel), { guildId: GUILD_ID });
    },
    openThread(name) {
      const channel: Channel = { id: world.nextId(), type: 11, name, parentId: CHANNEL_ID };
      world.addChannel(channel);
      gateway.dispatch('THREAD_CREATE', channelObject(presenter, channel), { guildId: GUILD_ID });
      return channel.id;
    },
    archive(threadId, locked = false) {
      const channel = { ...world.channels.get(threadId)!, archived: true, locked };
      world.addChannel(channel);
      gateway.dispatch('THREAD_UPDATE', channelObject(presenter, channel), { guildId: GUILD_ID });
    },
    hide(channelId) {
      world.addChannel({ ...world.channels.get(channelId)!, hidden: true });
    },
    closeDm(userId) {
      world.addChannel({ ...world.dmOf(userId), closed: true });
    },
    mute(channelId) {
      world.addChannel({ ...world.channels.get(channelId)!, muted: true });
    },
    removeChannel(channelId) {
      const channel = channelObject(presenter, world.channels.get(channelId)!);
      world.removeChannel(channelId);
      gateway.dispatch('CHANNEL_DELETE', channel, { guildId: GUILD_ID });
    },
    messages: (channelId = CHANNEL_ID, viewer) =>
      world.list(channelId, viewer).map((m) => viewOf(presenter, m)),
    message(id) {
      const found = world.messages.get(id);
      return found && viewOf(presenter, found);
    },
    dm: (userId) => world.dmOf(userId).id,
    on: (listener) => world.on(listener),
    waitFor,
    save: async () => persistence?.save(),
    async close() {
      gateway.close();
      page.close();
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
      await persistence?.close();
    },
  };
}
