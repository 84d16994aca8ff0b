import { messageObject } from '../../world/objects.ts';
import type { Message } from '../../world/types.ts';
import { editMessage } from '../compose.ts';
import { DiscordError, refuse } from '../errors.ts';
import { messageBody, notePings } from './bodies.ts';
import { type Call, nothing, ok, type Route } from './route.ts';

const OLD_MS = 60 * 60 * 1000;
const OLD_EDITS = 5;

/** Discord allows few edits of a message older than an hour. */
export function countOldEdit(call: Call, message: Message): void {
  if (call.world.clock.now() - message.createdAt < OLD_MS) return;
  const count = (call.world.oldEdits.get(message.id) ?? 0) + 1;
  if (count > OLD_EDITS) throw refuse.manyEditsOfOld();
  call.world.oldEdits.set(message.id, count);
}

const PATH = /^\/webhooks\/(\d+)\/([^/]+)\/messages\/(@original|\d+)$/;

function target(call: Call): Message {
  const interaction = call.interactions.forWebhook(call.params[0]!, call.params[1]!);
  return call.interactions.message(interaction, call.params[2]!);
}

export const webhookRoutes: Route[] = [
  {
    method: 'GET',
    path: PATH,
    open: true,
    reply: 'MessageResponse',
    handle: (call) => ok(messageObject(call.presenter, target(call))),
  },
  {
    method: 'PATCH',
    path: PATH,
    open: true,
    reply: 'MessageResponse',
    handle(call) {
      const message = target(call);
      const body = messageBody(call, 'IncomingWebhookUpdateRequestPartial', call.body, message);
      countOldEdit(call, message);
      editMessage(call.world, message, body, call.files);
      notePings(call, body);
      return ok(messageObject(call.presenter, message));
    },
  },
  {
    method: 'DELETE',
    path: PATH,
    open: true,
    handle(call) {
      call.world.removeMessage(target(call));
      return nothing();
    },
  },
  {
    method: 'POST',
    path: /^\/webhooks\/(\d+)\/([^/]+)$/,
    open: true,
    reply: 'MessageResponse',
    handle(call) {
      const interaction = call.interactions.forWebhook(call.params[0]!, call.params[1]!);
      const body = messageBody(call, 'IncomingWebhookInteractionRequest', call.body);
      if (interaction.callbackType === 8) throw new DiscordError(404, 10015, 'Unknown Webhook');
      const message = call.interactions.followUp(interaction, body, call.files);
      notePings(call, body);
      return ok(messageObject(call.presenter, message));
    },
  },
];
