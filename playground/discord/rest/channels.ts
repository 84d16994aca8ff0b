import { channelObject, messageObject, userObject } from '../../world/objects.ts';
import { APPLICATION_ID, isEphemeral } from '../../world/state.ts';
import type { Channel, Message } from '../../world/types.ts';
import { createMessage, editMessage } from '../compose.ts';
import { refuse } from '../errors.ts';
import { check } from '../validate.ts';
import { messageBody, notePings } from './bodies.ts';
import { type Call, nothing, ok, type Route } from './route.ts';
import { countOldEdit } from './webhooks.ts';

function channel(call: Call): Channel {
  const found = call.world.channels.get(call.params[0]!);
  if (!found) throw refuse.unknownChannel();
  if (found.hidden) throw refuse.missingAccess();
  return found;
}

/** A message in an archived thread can be read but not changed. */
function refuseArchived(place: Channel | undefined): void {
  if (place?.archived) throw refuse.threadArchived();
}

/** Ephemeral messages do not exist for the channel's endpoints. */
function message(call: Call): Message {
  const place = channel(call);
  const found = call.world.messages.get(call.params[1]!);
  if (!found || found.channelId !== place.id || isEphemeral(found)) throw refuse.unknownMessage();
  return found;
}

function emoji(call: Call): { name: string; id: string | null } {
  const raw = decodeURIComponent(call.params[2]!);
  const custom = /^(\w+):(\d+)$/.exec(raw);
  if (custom) return { name: custom[1]!, id: custom[2]! };
  if (!/\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20E3/u.test(raw)) throw refuse.unknownEmoji();
  return { name: raw, id: null };
}

export function addReaction(
  call: Pick<Call, 'world'>,
  m: Message,
  name: string,
  id: string | null,
  userId: string,
): void {
  let reaction = m.reactions.find((r) => r.emoji === name && r.id === id);
  if (!reaction) {
    reaction = { emoji: name, id, users: [] };
    m.reactions.push(reaction);
  }
  if (reaction.users.includes(userId)) return;
  reaction.users.push(userId);
  call.world.emit({ type: 'reaction', added: true, message: m, emoji: name, userId });
}

export function removeReaction(
  call: Pick<Call, 'world'>,
  m: Message,
  name: string,
  id: string | null,
  userId: string,
): void {
  const reaction = m.reactions.find((r) => r.emoji === name && r.id === id);
  if (!reaction?.users.includes(userId)) return;
  reaction.users = reaction.users.filter((u) => u !== userId);
  m.reactions = m.reactions.filter((r) => r.users.length > 0);
  call.world.emit({ type: 'reaction', added: false, message: m, emoji: name, userId });
}

const MESSAGES = /^\/channels\/(\d+)\/messages$/;
const MESSAGE = /^\/channels\/(\d+)\/messages\/(\d+)$/;
const REACTION = /^\/channels\/(\d+)\/messages\/(\d+)\/reactions\/([^/]+)$/;

export const channelRoutes: Route[] = [
  {
    method: 'GET',
    path: /^\/channels\/(\d+)$/,
    handle: (call) => ok(channelObject(call.presenter, channel(call))),
  },
  {
    method: 'POST',
    path: /^\/channels\/(\d+)\/typing$/,
    handle(call) {
      channel(call);
      return nothing();
    },
  },
  {
    method: 'GET',
    path: MESSAGES,
    handle(call) {
      let list = call.world.list(channel(call).id).filter((m) => !isEphemeral(m));
      const limit = Math.min(Math.max(Number(call.query.get('limit') ?? 50), 1), 100);
      const [before, after] = [call.query.get('before'), call.query.get('after')];
      if (before) list = list.filter((m) => BigInt(m.id) < BigInt(before));
      if (after) list = list.filter((m) => BigInt(m.id) > BigInt(after)).slice(0, limit);
      return ok(
        list
          .slice(-limit)
          .reverse()
          .map((m) => messageObject(call.presenter, m)),
      );
    },
  },
  {
    method: 'GET',
    path: MESSAGE,
    reply: 'MessageResponse',
    handle: (call) => ok(messageObject(call.presenter, message(call))),
  },
  {
    method: 'POST',
    path: MESSAGES,
    reply: 'MessageResponse',
    handle(call) {
      const place = channel(call);
      if (place.muted) throw refuse.missingPermissions();
      if (place.closed) throw refuse.cannotMessageUser();
      if (place.locked) refuseArchived(place);
      const body = messageBody(call, 'MessageCreateRequest', call.body);
      const nonce = body['nonce'];
      if (body['enforce_nonce'] && nonce !== undefined && nonce !== null) {
        // The same nonce within a few minutes is the same message: a repeated POST makes no second one.
        const twin = call.world.twin(place.id, nonce);
        if (twin) return ok(messageObject(call.presenter, twin));
      }
      const reference = body['message_reference'];
      const replyTo: string | undefined = reference?.message_id;
      if (replyTo && !call.world.messages.has(replyTo) && reference.fail_if_not_exists !== false)
        throw refuse.invalidForm({
          message_reference: { _errors: [{ code: 'REPLIES_UNKNOWN_MESSAGE', message: 'Unknown message' }] },
        });
      const made = createMessage(call.world, {
        channelId: place.id,
        authorId: APPLICATION_ID,
        body,
        files: call.files,
        type: replyTo ? 19 : 0,
        replyTo,
      });
      notePings(call, body);
      // A message opens an archived thread again.
      if (place.archived) call.world.addChannel({ ...place, archived: false });
      return ok(messageObject(call.presenter, made));
    },
  },
  {
    method: 'PATCH',
    path: MESSAGE,
    reply: 'MessageResponse',
    handle(call) {
      const found = message(call);
      if (found.authorId !== APPLICATION_ID) throw refuse.cannotEditOthers();
      refuseArchived(call.world.channels.get(found.channelId));
      const body = messageBody(call, 'MessageEditRequestPartial', call.body, found);
      countOldEdit(call, found);
      editMessage(call.world, found, body, call.files);
      notePings(call, body);
      return ok(messageObject(call.presenter, found));
    },
  },
  {
    method: 'DELETE',
    path: MESSAGE,
    handle(call) {
      const found = message(call);
      if (found.authorId !== APPLICATION_ID && !call.world.inGuild(found.channelId))
        throw refuse.missingPermissions();
      refuseArchived(call.world.channels.get(found.channelId));
      call.world.removeMessage(found);
      return nothing();
    },
  },
  {
    method: 'PUT',
    path: /^\/channels\/(\d+)\/messages\/(\d+)\/reactions\/([^/]+)\/@me$/,
    handle(call) {
      const { name, id } = emoji(call);
      addReaction(call, message(call), name, id, APPLICATION_ID);
      return nothing();
    },
  },
  {
    method: 'DELETE',
    path: /^\/channels\/(\d+)\/messages\/(\d+)\/reactions\/([^/]+)\/(@me|\d+)$/,
    handle(call) {
      const { name, id } = emoji(call);
      removeReaction(
        call,
        message(call),
        name,
        id,
        call.params[3] === '@me' ? APPLICATION_ID : call.params[3]!,
      );
      return nothing();
    },
  },
  {
    method: 'DELETE',
    path: REACTION,
    handle(call) {
      const { name, id } = emoji(call);
      const found = message(call);
      for (const user of found.reactions.find((r) => r.emoji === name)?.users.slice() ?? [])
        removeReaction(call, found, name, id, user);
      return nothing();
    },
  },
  {
    method: 'DELETE',
    path: /^\/channels\/(\d+)\/messages\/(\d+)\/reactions$/,
    handle(call) {
      const found = message(call);
      for (const r of found.reactions.slice())
        for (const user of r.users.slice()) removeReaction(call, found, r.emoji, r.id, user);
      return nothing();
    },
  },
  {
    method: 'GET',
    path: REACTION,
    handle(call) {
      const { name } = emoji(call);
      const users = message(call).reactions.find((r) => r.emoji === name)?.users ?? [];
      return ok(users.map((id) => userObject(call.world.users.get(id)!)));
    },
  },
  {
    method: 'POST',
    path: /^\/users\/@me\/channels$/,
    reply: 'PrivateChannelResponse',
    handle(call) {
      const { body } = check('CreatePrivateChannelRequest', call.body);
      const user = call.world.users.get(String(body['recipient_id']));
      if (!user) throw refuse.unknownUser();
      if (user.bot) throw refuse.cannotMessageUser();
      return ok(channelObject(call.presenter, call.world.dmOf(user.id)));
    },
  },
];
