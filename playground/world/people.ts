import { type OptionValue, optionValues } from '../discord/commandOptions.ts';
import { ClientRefusal, DiscordError } from '../discord/errors.ts';
import type { Interactions } from '../discord/interactions.ts';
import { walkComponents } from '../discord/messageRules.ts';
import { addReaction, removeReaction } from '../discord/rest/channels.ts';
import { checkSelection, isSelect, resolvedMember, selectResolved } from '../discord/selects.ts';
import { messageObject, type Presenter, userObject } from './objects.ts';
import { CHANNEL_ID, canSee, GUILD_ID } from './state.ts';
import type { Command, Interaction, Json, Message, User } from './types.ts';
import { InteractionType } from './types.ts';

export interface VerbOptions {
  channelId?: string | undefined;
  locale?: string | undefined;
}

/** A person's actions in the client, with the client's own checks before anything is sent. */
export class People {
  private readonly presenter: Presenter;
  private readonly interactions: Interactions;
  constructor(presenter: Presenter, interactions: Interactions) {
    this.presenter = presenter;
    this.interactions = interactions;
  }

  private user(id: string): User {
    const user = this.presenter.world.users.get(id);
    if (!user) throw new ClientRefusal(`There is no user ${id}.`);
    return user;
  }

  /** A channel that the person is in. @throws ClientRefusal for any other `channelId` */
  private place(userId: string, channelId: string = CHANNEL_ID): string {
    const channel = this.presenter.world.channels.get(channelId);
    if (!channel || (channel.type === 1 && channel.recipientId !== userId))
      throw new ClientRefusal('You do not have access to this channel.');
    return channelId;
  }

  visibleCommands(userId: string, channelId: string = CHANNEL_ID): Command[] {
    const { permissions } = this.user(userId);
    const context = this.presenter.world.inGuild(channelId) ? 0 : 1;
    return this.presenter.world.commands().filter((c) => {
      if (c['contexts'] && !c['contexts'].includes(context)) return false;
      if (context === 1 && (c['dm_permission'] === false || c['guild_id'])) return false;
      const needs = c['default_member_permissions'];
      return (
        needs === null ||
        needs === undefined ||
        (needs !== '0' ? (permissions & BigInt(needs)) === BigInt(needs) : false) ||
        permissions > 1n << 50n
      );
    });
  }

  private find(userId: string, channelId: string, name: string, type: number): Command {
    const found = this.visibleCommands(userId, channelId).find((c) => c.type === type && c.name === name);
    if (!found) throw new ClientRefusal(`Unknown command: ${name}`);
    return found;
  }

  run(userId: string, path: string, given: Record<string, OptionValue>, opts: VerbOptions = {}): Interaction {
    const channelId = this.place(userId, opts.channelId);
    const { data } = this.commandData(userId, channelId, path, given, undefined);
    return this.interactions.start({
      type: InteractionType.command,
      userId,
      channelId,
      name: path,
      data,
      locale: opts.locale,
    });
  }

  autocomplete(
    userId: string,
    path: string,
    focused: string,
    given: Record<string, OptionValue>,
    opts: VerbOptions = {},
  ): Interaction {
    const channelId = this.place(userId, opts.channelId);
    const { data } = this.commandData(userId, channelId, path, given, focused);
    return this.interactions.start({
      type: InteractionType.autocomplete,
      userId,
      channelId,
      name: path,
      data,
      locale: opts.locale,
    });
  }

  private commandData(
    userId: string,
    channelId: string,
    path: string,
    given: Record<string, OptionValue>,
    focused: string | undefined,
  ): { command: Command; data: Json } {
    const [name, ...rest] = path.split(' ');
    const command = this.find(userId, channelId, name!, 1);
    let level: Json = command;
    const chain: Json[] = [];
    for (const word of rest) {
      const next = (level['options'] ?? []).find((o: Json) => o['name'] === word && o['type'] <= 2);
      if (!next) throw new ClientRefusal(`Unknown subcommand: ${path}`);
      chain.push(next);
      level = next;
    }
    if ((level['options'] ?? []).some((o: Json) => o['type'] <= 2))
      throw new ClientRefusal(`/${path} needs a subcommand.`);
    const resolved: Json = {};
    let options = optionValues(
      this.presenter,
      this.interactions.attachmentLimit,
      level['options'] ?? [],
      given,
      resolved,
      focused,
    );
    for (const part of chain.reverse()) options = [{ name: part['name'], type: part['type'], options }];
    return {
      command,
      data: {
        id: command.id,
        name: command.name,
        type: 1,
        ...(command['guild_id'] ? { guild_id: command['guild_id'] } : {}),
        options,
        ...(Object.keys(resolved).length ? { resolved } : {}),
      },
    };
  }

  private seen(userId: string, messageId: string): Message {
    const message = this.presenter.world.messages.get(messageId);
    if (!message || !canSee(message, userId)) throw new ClientRefusal('This message is gone.');
    this.place(userId, message.channelId);
    return message;
  }

  /** Clicks a button by custom id, label, or emoji; `forge` sends a custom id that no button has. */
  click(
    userId: string,
    messageId: string,
    which: string,
    opts: VerbOptions & { values?: string[]; forge?: boolean } = {},
  ): Interaction {
    const message = this.seen(userId, messageId);
    const parts = [...walkComponents(message.components)].map((w) => w.part).filter((p) => p['custom_id']);
    const part = opts.forge
      ? { type: 2, custom_id: which, id: 99 }
      : (parts.find((p) => p['custom_id'] === which) ??
        parts.find((p) => labelOf(p) === which || p['label'] === which || p['emoji']?.name === which));
    if (!part)
      throw new ClientRefusal(`There is no button ${which}; there are: ${parts.map(labelOf).join(', ')}`);
    if ((part as Json)['disabled']) throw new ClientRefusal('This button is disabled.');
    const values = opts.values ?? [];
    if (isSelect(part['type'])) checkSelection(this.presenter, part as Json, values);
    const resolved = selectResolved(
      this.presenter,
      part as Json,
      values,
      this.user(userId),
      this.presenter.world.inGuild(message.channelId),
    );
    return this.interactions.start({
      type: InteractionType.component,
      userId,
      channelId: message.channelId,
      name: labelOf(part as Json),
      source: message,
      sourceObject: messageObject(this.presenter, message),
      data: {
        custom_id: part['custom_id'],
        component_type: part['type'],
        id: part['id'],
        ...(part['type'] === 2 ? {} : { values, ...(resolved ? { resolved } : {}) }),
      },
      locale: opts.locale,
    });
  }

  /** Fills in the modal that an interaction opened; fields by custom id, the rest keep their prefilled value. */
  submitModal(
    opener: Interaction,
    fields: Record<string, string | string[]>,
    opts: VerbOptions = {},
  ): Interaction {
    const modal = opener.modal;
    if (!modal) throw new ClientRefusal('There is no open form.');
    for (const key of Object.keys(fields))
      if (![...walkComponents(modal['components'])].some((w) => w.part['custom_id'] === key))
        throw new ClientRefusal(`The form has no field ${key}.`, key);
    const chosen: [part: Json, values: string[]][] = [];
    const fill = (part: Json): Json => {
      const kept: Json = { type: part['type'], ...(part['id'] ? { id: part['id'] } : {}) };
      if (part['components']) kept['components'] = part['components'].map(fill);
      if (part['component']) kept['component'] = fill(part['component']);
      if (!part['custom_id']) return kept;
      kept['custom_id'] = part['custom_id'];
      const value = fields[part['custom_id']];
      if (part['type'] === 4) {
        const text = typeof value === 'string' ? value : (part['value'] ?? '');
        if (part['required'] !== false && text === '')
          throw new ClientRefusal('This field is required.', part['custom_id']);
        if (text.length > (part['max_length'] ?? 4000))
          throw new ClientRefusal(
            `Must be ${part['max_length'] ?? 4000} or fewer in length.`,
            part['custom_id'],
          );
        if (text !== '' && text.length < (part['min_length'] ?? 0))
          throw new ClientRefusal(`Must be ${part['min_length']} or more in length.`, part['custom_id']);
        kept['value'] = text;
      } else {
        const preset = (part['options'] ?? []).filter((o: Json) => o['default']).map((o: Json) => o['value']);
        const defaults = (part['default_values'] ?? []).map((d: Json) => d['id']);
        const picked = value === undefined ? [...preset, ...defaults] : [value].flat();
        try {
          checkSelection(this.presenter, part, picked);
        } catch (error) {
          throw new ClientRefusal((error as Error).message, part['custom_id']);
        }
        kept['values'] = picked;
        chosen.push([part, picked]);
      }
      return kept;
    };
    const components = modal['components'].map(fill);
    const inGuild = this.presenter.world.inGuild(opener.channelId);
    const resolved: Json = {};
    for (const [part, values] of chosen) {
      const more = selectResolved(this.presenter, part, values, this.user(opener.userId), inGuild);
      for (const [kind, objects] of Object.entries(more ?? {}))
        resolved[kind] = { ...resolved[kind], ...objects };
    }
    const source = opener.sourceId ? this.presenter.world.messages.get(opener.sourceId) : undefined;
    return this.interactions.start({
      type: InteractionType.modal,
      userId: opener.userId,
      channelId: opener.channelId,
      name: opener.name,
      source,
      sourceObject: source ? messageObject(this.presenter, source) : undefined,
      data: {
        custom_id: modal['custom_id'],
        components,
        ...(Object.keys(resolved).length ? { resolved } : {}),
      },
      locale: opts.locale,
    });
  }

  messageCommand(userId: string, messageId: string, name: string, opts: VerbOptions = {}): Interaction {
    const message = this.seen(userId, messageId);
    const command = this.find(userId, message.channelId, name, 3);
    return this.interactions.start({
      type: InteractionType.command,
      userId,
      channelId: message.channelId,
      name,
      targetMessageId: messageId,
      data: {
        id: command.id,
        name,
        type: 3,
        target_id: messageId,
        ...(command['guild_id'] ? { guild_id: GUILD_ID } : {}),
        resolved: { messages: { [messageId]: messageObject(this.presenter, message) } },
      },
      locale: opts.locale,
    });
  }

  /** Runs a command of the menu on a person's name. */
  userCommand(userId: string, targetId: string, name: string, opts: VerbOptions = {}): Interaction {
    const channelId = this.place(userId, opts.channelId);
    const target = this.user(targetId);
    const command = this.find(userId, channelId, name, 2);
    const inGuild = this.presenter.world.inGuild(channelId);
    return this.interactions.start({
      type: InteractionType.command,
      userId,
      channelId,
      name,
      targetUserId: targetId,
      data: {
        id: command.id,
        name,
        type: 2,
        target_id: targetId,
        ...(command['guild_id'] ? { guild_id: GUILD_ID } : {}),
        resolved: {
          users: { [targetId]: userObject(target) },
          ...(inGuild ? { members: { [targetId]: resolvedMember(target) } } : {}),
        },
      },
      locale: opts.locale,
    });
  }

  /** Adds a person's reaction, or takes it back. */
  react(userId: string, messageId: string, emoji: string): void {
    const message = this.seen(userId, messageId);
    const { world } = this.presenter;
    const mine = message.reactions.find((r) => r.emoji === emoji)?.users.includes(userId);
    if (mine) removeReaction({ world }, message, emoji, null, userId);
    else addReaction({ world }, message, emoji, null, userId);
  }

  say(userId: string, content: string, opts: VerbOptions & { replyTo?: string } = {}): Message {
    const channelId = this.place(userId, opts.channelId);
    if (content.length > 2000)
      throw new ClientRefusal('Your message is too long. Messages can have 2000 characters at most.');
    if (!content.trim()) throw new ClientRefusal('Cannot send an empty message.');
    const { world } = this.presenter;
    const mentions = [...content.matchAll(/<@!?(\d+)>/g)]
      .map((m) => m[1]!)
      .filter((id) => world.users.has(id));
    const message: Message = {
      id: world.nextId(),
      channelId,
      authorId: userId,
      type: opts.replyTo ? 19 : 0,
      content,
      embeds: [],
      components: [],
      attachments: [],
      flags: 0,
      createdAt: world.clock.now(),
      editedAt: null,
      pinged: mentions,
      mentions,
      mentionRoles: [],
      mentionEveryone: false,
      reactions: [],
      tts: false,
      ...(opts.replyTo ? { replyTo: opts.replyTo } : {}),
    };
    world.addMessage(message);
    return message;
  }

  /** Removes an ephemeral message from the person's screen, or deletes their own message or, as a moderator, any. */
  remove(userId: string, messageId: string): void {
    const message = this.seen(userId, messageId);
    const moderator = (this.user(userId).permissions & (1n << 13n)) !== 0n;
    if (message.onlyFor !== userId && message.authorId !== userId && !moderator)
      throw new DiscordError(403, 50013, 'Missing Permissions');
    this.presenter.world.removeMessage(message);
  }
}

export function labelOf(part: Json): string {
  return (
    [part['emoji']?.name, part['label']].filter(Boolean).join(' ') || part['placeholder'] || part['custom_id']
  );
}
