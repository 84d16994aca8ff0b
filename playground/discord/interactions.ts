import { randomBytes } from 'node:crypto';
import { channelObject, memberObject, type Presenter, userObject } from '../world/objects.ts';
import { APPLICATION_ID, GUILD_ID } from '../world/state.ts';
import type { FileUpload, Interaction, Json, Message } from '../world/types.ts';
import { InteractionType, MessageFlags } from '../world/types.ts';
import { createMessage, editMessage, type NewMessage } from './compose.ts';
import { DiscordError, refuse } from './errors.ts';

/** The life of an interaction: sent, acknowledged within 3 s or failed, its token good for 15 minutes. */

export const ACKNOWLEDGE_MS = 3000;
export const TOKEN_LIFE_MS = 15 * 60 * 1000;

export const Callback = {
  pong: 1,
  reply: 4,
  defer: 5,
  deferUpdate: 6,
  update: 7,
  choices: 8,
  modal: 9,
} as const;

export interface NewInteraction {
  type: number;
  userId: string;
  channelId: string;
  name: string;
  data: Json;
  source?: Message | undefined;
  sourceObject?: Json | undefined;
  targetMessageId?: string;
  targetUserId?: string;
  locale?: string | undefined;
}

type Send = (event: string, data: Json, shard: { guildId?: string }) => void;

export class Interactions {
  private readonly presenter: Presenter;
  private readonly send: Send;
  readonly attachmentLimit: number;
  constructor(presenter: Presenter, send: Send, attachmentLimit: number) {
    this.presenter = presenter;
    this.send = send;
    this.attachmentLimit = attachmentLimit;
  }

  start(wanted: NewInteraction): Interaction {
    const { world } = this.presenter;
    const id = world.nextId();
    const interaction: Interaction = {
      id,
      token: Buffer.from(`interaction:${id}:${randomBytes(96).toString('base64url')}`).toString('base64url'),
      type: wanted.type,
      userId: wanted.userId,
      channelId: wanted.channelId,
      createdAt: world.clock.now(),
      name: wanted.name,
      state: 'waiting',
      followups: [],
      ...(wanted.source ? { sourceId: wanted.source.id } : {}),
      ...(wanted.targetMessageId ? { targetMessageId: wanted.targetMessageId } : {}),
      ...(wanted.targetUserId ? { targetUserId: wanted.targetUserId } : {}),
    };
    world.addInteraction(interaction);
    world.clock.setTimeout(() => this.fail(interaction), ACKNOWLEDGE_MS);
    const guildId = world.inGuild(wanted.channelId) ? GUILD_ID : undefined;
    this.send('INTERACTION_CREATE', this.payload(interaction, wanted), guildId ? { guildId } : {});
    return interaction;
  }

  private payload(interaction: Interaction, wanted: NewInteraction): Json {
    const { world } = this.presenter;
    const user = world.users.get(interaction.userId)!;
    const inGuild = world.inGuild(interaction.channelId);
    const permissions = user.permissions.toString();
    return {
      id: interaction.id,
      application_id: APPLICATION_ID,
      type: interaction.type,
      token: interaction.token,
      version: 1,
      data: wanted.data,
      channel_id: interaction.channelId,
      channel: { ...channelObject(this.presenter, world.channels.get(interaction.channelId)!), permissions },
      ...(inGuild
        ? {
            guild_id: GUILD_ID,
            guild: { id: GUILD_ID, locale: 'en-US', features: [] },
            guild_locale: 'en-US',
            member: { ...memberObject(user), permissions },
          }
        : { user: userObject(user) }),
      ...(wanted.sourceObject ? { message: wanted.sourceObject } : {}),
      locale: wanted.locale ?? user.locale,
      app_permissions: world.bot.permissions.toString(),
      entitlements: [],
      authorizing_integration_owners: inGuild ? { 0: GUILD_ID } : { 0: '0' },
      context: inGuild ? 0 : 1,
      attachment_size_limit: this.attachmentLimit,
    };
  }

  /** The bot did not answer in time: the client says so, and a later answer gets 10062. */
  private fail(interaction: Interaction): void {
    if (interaction.state !== 'waiting') return;
    interaction.state = 'failed';
    interaction.endedAt = this.presenter.world.clock.now();
    this.presenter.world.emit({ type: 'interaction', change: 'fail', interaction });
  }

  /** @throws DiscordError for a callback that comes too late, twice or for an unknown interaction */
  forCallback(id: string, token: string): Interaction {
    const interaction = this.presenter.world.interactions.get(id);
    if (!interaction || interaction.token !== token) throw refuse.unknownInteraction();
    if (interaction.state === 'acknowledged') throw refuse.alreadyAcknowledged();
    const late = this.presenter.world.clock.now() - interaction.createdAt > ACKNOWLEDGE_MS;
    if (late) this.fail(interaction);
    if (interaction.state === 'failed') throw refuse.unknownInteraction();
    return interaction;
  }

  /** The interaction a webhook path names; expired tokens are 50027 and never acknowledged ones unknown. */
  forWebhook(applicationId: string, token: string): Interaction {
    if (applicationId !== APPLICATION_ID) throw refuse.unknownWebhook();
    const interaction = this.presenter.world.byToken.get(token);
    if (!interaction || this.presenter.world.clock.now() - interaction.createdAt > TOKEN_LIFE_MS)
      throw refuse.invalidWebhookToken();
    if (interaction.state !== 'acknowledged') throw refuse.unknownWebhook();
    return interaction;
  }

  private acknowledge(interaction: Interaction, type: number): void {
    interaction.state = 'acknowledged';
    interaction.endedAt = this.presenter.world.clock.now();
    interaction.callbackType = type;
  }
  private announce(interaction: Interaction): void {
    this.presenter.world.emit({ type: 'interaction', change: 'acknowledge', interaction });
  }

  respond(
    interaction: Interaction,
    type: number,
    data: Json,
    files: Map<number, FileUpload>,
  ): Message | undefined {
    const allowed = this.allowedCallbacks(interaction);
    if (!allowed.includes(type))
      throw new DiscordError(400, 50035, 'Invalid Form Body', {
        type: {
          _errors: [
            {
              code: 'INTERACTION_CALLBACK_TYPE_INVALID',
              message: `Value must be one of {${allowed.join(', ')}}.`,
            },
          ],
        },
      });
    const message = this.effect(interaction, type, data, files);
    this.acknowledge(interaction, type);
    if (message) interaction.originalId = message.id;
    this.announce(interaction);
    return message;
  }

  private allowedCallbacks(interaction: Interaction): number[] {
    if (interaction.type === InteractionType.autocomplete) return [Callback.choices];
    const common: number[] = [Callback.reply, Callback.defer];
    const onMessage = interaction.sourceId ? [Callback.deferUpdate, Callback.update] : [];
    return interaction.type === InteractionType.modal
      ? [...common, ...onMessage]
      : [...common, ...onMessage, Callback.modal];
  }

  private effect(
    interaction: Interaction,
    type: number,
    data: Json,
    files: Map<number, FileUpload>,
  ): Message | undefined {
    const { world } = this.presenter;
    const source = interaction.sourceId ? world.messages.get(interaction.sourceId) : undefined;
    switch (type) {
      case Callback.reply:
      case Callback.defer:
        return createMessage(world, {
          ...this.replyShape(interaction, data),
          body: data,
          files,
          loading: type === Callback.defer,
          type: source ? 19 : interaction.targetMessageId || interaction.targetUserId ? 23 : 20,
          replyTo: source?.id ?? interaction.targetMessageId,
        });
      case Callback.deferUpdate:
        return source;
      case Callback.update:
        if (!source) throw refuse.unknownMessage();
        return editMessage(world, source, data, files);
      case Callback.choices:
        interaction.choices = data['choices'] ?? [];
        return undefined;
      default:
        interaction.modal = data;
        return undefined;
    }
  }

  private replyShape(
    interaction: Interaction,
    data: Json,
  ): Pick<NewMessage, 'channelId' | 'authorId' | 'interaction' | 'onlyFor'> {
    const hidden = ((data['flags'] ?? 0) & MessageFlags.ephemeral) !== 0;
    return {
      channelId: interaction.channelId,
      authorId: APPLICATION_ID,
      interaction: {
        id: interaction.id,
        type: interaction.type,
        name: interaction.name,
        userId: interaction.userId,
        ...(interaction.targetMessageId ? { targetMessageId: interaction.targetMessageId } : {}),
        ...(interaction.targetUserId ? { targetUserId: interaction.targetUserId } : {}),
      },
      onlyFor: hidden ? interaction.userId : undefined,
    };
  }

  /** Posts a follow-up; the first one after a deferred answer fills in that answer. */
  followUp(interaction: Interaction, body: Json, files: Map<number, FileUpload>): Message {
    const { world } = this.presenter;
    const original = interaction.originalId ? world.messages.get(interaction.originalId) : undefined;
    if (original && (original.flags & MessageFlags.loading) !== 0)
      return editMessage(world, original, body, files);
    const message = createMessage(world, {
      ...this.replyShape(interaction, body),
      body,
      files,
      type: original ? 19 : 0,
      replyTo: original?.id,
    });
    interaction.followups.push(message.id);
    return message;
  }

  message(interaction: Interaction, id: string): Message {
    const wanted = id === '@original' ? interaction.originalId : id;
    const message = wanted ? this.presenter.world.messages.get(wanted) : undefined;
    const own =
      message && (message.id === interaction.originalId || interaction.followups.includes(message.id));
    if (!message || !own) throw refuse.unknownMessage();
    return message;
  }
}
