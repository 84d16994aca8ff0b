import { interactionObject, messageObject } from '../../world/objects.ts';
import type { Json } from '../../world/types.ts';
import { Callback } from '../interactions.ts';
import { modalProblems } from '../messageRules.ts';
import { check } from '../validate.ts';
import { messageBody, notePings } from './bodies.ts';
import { type Call, noteUnknown, nothing, ok, type Route } from './route.ts';

const SCHEMAS: Record<number, string> = {
  [Callback.pong]: 'PongInteractionCallbackRequest',
  [Callback.reply]: 'CreateMessageInteractionCallbackRequest',
  [Callback.defer]: 'CreateMessageInteractionCallbackRequest',
  [Callback.deferUpdate]: 'UpdateMessageInteractionCallbackRequest',
  [Callback.update]: 'UpdateMessageInteractionCallbackRequest',
  [Callback.choices]: 'ApplicationCommandAutocompleteCallbackRequest',
  [Callback.modal]: 'ModalInteractionCallbackRequest',
};

function checkedData(call: Call, type: number, sourceId: string | undefined): Json {
  const schema = SCHEMAS[type] ?? 'PongInteractionCallbackRequest';
  if (type === Callback.choices || type === Callback.modal || type === Callback.pong) {
    const checked = check(schema, call.body, (b) =>
      type === Callback.modal ? modalProblems(b['data'] ?? {}) : [],
    );
    noteUnknown(call, checked.unknown);
    return checked.body['data'] ?? {};
  }
  const existing = type === Callback.update && sourceId ? call.world.messages.get(sourceId) : undefined;
  return messageBody(call, schema, call.body, existing, 'data');
}

export const interactionRoutes: Route[] = [
  {
    method: 'POST',
    path: /^\/interactions\/(\d+)\/([^/]+)\/callback$/,
    open: true,
    handle(call) {
      const interaction = call.interactions.forCallback(call.params[0]!, call.params[1]!);
      const type: unknown = (call.body as Json | null)?.['type'];
      const data = checkedData(call, typeof type === 'number' ? type : -1, interaction.sourceId);
      const message = call.interactions.respond(interaction, type as number, data, call.files);
      if (message && (type === Callback.reply || type === Callback.update)) notePings(call, data);
      if (call.query.get('with_response') !== 'true') return nothing();
      return ok({
        interaction: interactionObject(call.world, interaction, message),
        ...(message && (type === Callback.reply || type === Callback.defer || type === Callback.update)
          ? { resource: { type, message: messageObject(call.presenter, message) } }
          : { resource: { type } }),
      });
    },
  },
];
