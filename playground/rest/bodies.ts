import { unlistedFiles } from '../compose.ts';
import { refuse } from '../errors.ts';
import { messageProblems } from '../messageRules.ts';
import type { Json, Message } from '../types.ts';
import { MessageFlags } from '../types.ts';
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

/** A message that makes a sound for someone it did not name on purpose in `allowed_mentions`. */
export function notePings(call: Call, message: Message, body: Json): void {
  const named: string[] = body['allowed_mentions']?.users ?? [];
  for (const who of message.pinged)
    if (!named.includes(who))
      call.note('ping', `${who} would be notified by: ${message.content.slice(0, 120)}`);
}
