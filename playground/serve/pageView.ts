import type { Gateway } from '../discord/gateway.ts';
import type { Interactions } from '../discord/interactions.ts';
import type { TroubleList } from '../discord/trouble.ts';
import { messageObject, type Presenter, roles } from '../world/objects.ts';
import type { People } from '../world/people.ts';
import { CHANNEL_ID, LOUNGE_ID } from '../world/state.ts';
import type { Interaction, Json, Message } from '../world/types.ts';

/** Data for the page: Discord's own message objects and what only a client knows. */

export interface PageParts {
  presenter: Presenter;
  gateway: Gateway;
  interactions: Interactions;
  people: People;
  trouble: TroubleList;
}

const FIRST_MESSAGES = 100;

export function pageMessage({ presenter }: PageParts, message: Message, me: string): Json {
  return {
    ...messageObject(presenter, message),
    // The interaction's person and command, for the line above the message.
    ...(message.interaction
      ? {
          by: {
            userId: message.interaction.userId,
            name: message.interaction.name,
            type: message.interaction.type,
          },
        }
      : {}),
    only: message.onlyFor !== undefined,
    mentionsMe: message.mentions.includes(me) || message.mentionEveryone,
    reactions: message.reactions.map((r) => ({
      emoji: r.emoji,
      count: r.users.length,
      mine: r.users.includes(me),
      users: r.users,
    })),
  };
}

/** One interaction, for the panel; `ms` until it was acknowledged or given up. */
export function interactionView(i: Interaction, now: number): Json {
  return {
    id: i.id,
    type: i.type,
    name: i.name,
    userId: i.userId,
    state: i.state,
    callbackType: i.callbackType,
    ms: (i.endedAt ?? now) - i.createdAt,
  };
}

export function pageOfMessages(
  parts: PageParts,
  me: string,
  channelId: string,
  before?: string,
  limit = FIRST_MESSAGES,
): Json {
  const all = parts.presenter.world.list(channelId, me);
  const end = before ? all.findIndex((m) => m.id === before) : all.length;
  const start = Math.max(0, end - limit);
  return {
    messages: all.slice(start, Math.max(end, 0)).map((m) => pageMessage(parts, m, me)),
    more: start > 0,
  };
}

export function snapshot(parts: PageParts, me: string): Json {
  const { world } = parts.presenter;
  const dm = world.dmOf(me).id;
  return {
    t: 'hello',
    me,
    users: [...world.users.values()].map((u) => ({
      id: u.id,
      name: u.global_name ?? u.username,
      username: u.username,
      part: u.part,
      bot: u.bot,
      locale: u.locale,
    })),
    channels: { guild: CHANNEL_ID, lounge: LOUNGE_ID, dm },
    channelNames: Object.fromEntries([CHANNEL_ID, LOUNGE_ID].map((id) => [id, world.channels.get(id)!.name])),
    roles: roles().map((r) => ({ id: r['id'], name: r['name'], color: r['color'] })),
    attachmentLimit: parts.interactions.attachmentLimit,
    commands: {
      guild: parts.people.visibleCommands(me, CHANNEL_ID),
      dm: parts.people.visibleCommands(me, dm),
    },
    pages: Object.fromEntries([CHANNEL_ID, LOUNGE_ID, dm].map((id) => [id, pageOfMessages(parts, me, id)])),
    online: parts.gateway.connected,
  };
}
