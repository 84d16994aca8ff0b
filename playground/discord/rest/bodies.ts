import type { Json, Message } from '../../world/types.ts';
import { MessageFlags } from '../../world/types.ts';
import { mentionsOf, textOf, unlistedFiles } from '../compose.ts';
import { refuse } from '../errors.ts';
import { messageProblems } from '../messageRules.ts';
import { check } from '../validate.ts';
import { type Call, noteUnknown } from './route.ts';

/** A message body of this request, checked by the named schema and by the rules the schema lacks. */
export function messageBody(call: Call, schema: string, body: unknown, existing?: Message, at = ''): Json {
  for (const file of call.files.values())
    if (file.data.length > call.attachmentLimit) throw refuse.tooLarge();
  if (call.files.size > 10)
    throw refuse.invalidForm({
      files: { _errors: [{ code: 'BASE_TYPE_MAX_LENGTH', message: 'Must be 10 or fewer in length.' }] },
    });
  const limits = {
    fileCount: call.files.size ? Math.max(...call.files.keys()) + 1 : 0,
    keptIds: existing?.attachments.map((a) => a.id) ?? [],
    v2: existing !== undefined && (existing.flags & MessageFlags.componentsV2) !== 0,
  };
  const checked = check(schema, body ?? {}, (b) => {
    const problems = messageProblems((at ? b[at] : b) ?? {}, limits);
    return at ? problems.map((p) => ({ ...p, path: [at, ...p.path] })) : problems;
  });
  noteUnknown(call, checked.unknown);
  const message = (at ? checked.body[at] : checked.body) ?? {};
  for (const name of unlistedFiles(message, call.files)) call.note('unlisted-file', name);
  return message;
}

/**
 * The user whom a message answers, where it can be found: by the interaction's token, the message it made, or
 * its id in a nonce.
 */
function answeredBy({ world, params }: Call, body: Json): string | undefined {
  const [, at = ''] = params;
  const message = world.messages.get(at);
  const [id = ''] = String(body['nonce'] ?? message?.nonce ?? '').split('.');
  const interaction = world.byToken.get(at) ?? message?.interaction ?? world.interactions.get(id);
  return interaction?.userId;
}

/**
 * Notes a body that would notify anybody without naming them on purpose: allowed is one user in
 * `allowed_mentions.users`, the one whom the message answers.
 * Edits are held to it too: most are silent, but the one that fills in a deferred answer is not, and a bot
 * cannot always tell which it sends.
 */
export function notePings(call: Call, body: Json): void {
  const text = textOf(body);
  const silent = ((body['flags'] ?? 0) & MessageFlags.silent) !== 0;
  const { pinged } = mentionsOf(call.world, text, body['allowed_mentions'], silent);
  const named: string[] = body['allowed_mentions']?.users ?? [];
  const author = answeredBy(call, body);
  for (const who of pinged)
    if (named.length > 1 || !named.includes(who) || (author !== undefined && who !== author))
      call.note('ping', `${who} would be notified by: ${text.slice(0, 120)}`);
}
