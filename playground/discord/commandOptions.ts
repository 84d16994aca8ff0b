import { signedUrl } from '../serve/cdn.ts';
import { type Presenter, roles, userObject } from '../world/objects.ts';
import { APPLICATION_ID } from '../world/state.ts';
import type { Json, User } from '../world/types.ts';
import { storeFile } from './compose.ts';
import { ClientRefusal } from './errors.ts';
import { resolvedChannel, resolvedMember } from './selects.ts';

export type OptionValue = string | number | boolean | { file: Buffer; name: string };

/** Typed option values to the wire, refused where Discord's own client refuses them. */

const TYPE_WORDS: Record<number, string> = { 4: 'an integer', 10: 'a number' };

/** With `focused`, an autocomplete's unfinished values are sent as they are. */
export function optionValues(
  presenter: Presenter,
  attachmentLimit: number,
  defined: Json[],
  given: Record<string, OptionValue>,
  resolved: Json,
  focused: string | undefined,
): Json[] {
  for (const name of Object.keys(given))
    if (!defined.some((o) => o['name'] === name)) throw new ClientRefusal(`Unknown option: ${name}`, name);
  const missing = defined.find(
    (o) => o['required'] && (given[o['name']] === undefined || given[o['name']] === ''),
  );
  if (missing && focused === undefined)
    throw new ClientRefusal('This option is required. Specify a value.', missing['name']);
  const values = defined.flatMap((option): Json[] => {
    const name: string = option['name'];
    const value = given[name];
    if (value === undefined || (value === '' && focused !== name)) return [];
    if (focused === undefined)
      return [
        {
          name,
          type: option['type'],
          value: checkedValue(presenter, attachmentLimit, option, value, resolved),
        },
      ];
    if (typeof value === 'object') return [];
    return [{ name, type: option['type'], value, ...(focused === name ? { focused: true } : {}) }];
  });
  return values.map(({ value, ...rest }) =>
    // Files last: where another option is refused, no file may be stored.
    value instanceof PendingFile
      ? { ...rest, value: upload(presenter, value, resolved) }
      : { ...rest, value },
  );
}

class PendingFile {
  readonly name: string;
  readonly data: Buffer;
  constructor(name: string, data: Buffer) {
    this.name = name;
    this.data = data;
  }
}

function checkedValue(
  presenter: Presenter,
  attachmentLimit: number,
  option: Json,
  value: OptionValue,
  resolved: Json,
): unknown {
  const refuseIt = (words: string): never => {
    throw new ClientRefusal(words, option['name']);
  };
  const type: number = option['type'];
  if (type === 11) {
    if (typeof value !== 'object') return refuseIt('Add a file.');
    if (value.file.length > attachmentLimit)
      return refuseIt(
        `Your files are too powerful. Max file size ${Math.floor(attachmentLimit / 1048576)} MB.`,
      );
    return new PendingFile(value.name, value.file);
  }
  if (typeof value === 'object') return refuseIt('Input a valid value.');
  const takeUser = (): string | undefined => {
    const user = presenter.world.users.get(String(value));
    if (user) resolveUser(resolved, user);
    return user?.id;
  };
  const takeRole = (): string | undefined => {
    const role = roles().find((r) => r['id'] === value);
    if (role) resolved['roles'] = { ...resolved['roles'], [role['id']]: role };
    return role?.['id'];
  };
  if (option['choices']?.length && !option['choices'].some((c: Json) => c['value'] === value))
    return refuseIt('Pick one of the choices.');
  if (type === 3) return checkedText(option, String(value), refuseIt);
  if (type === 4 || type === 10) return checkedNumber(option, Number(value), refuseIt);
  if (type === 5) return typeof value === 'boolean' ? value : refuseIt('Input True or False.');
  if (type === 6) return takeUser() ?? refuseIt('Input a valid user.');
  if (type === 8) return takeRole() ?? refuseIt('Input a valid role.');
  if (type === 9) return takeUser() ?? takeRole() ?? refuseIt('Input a valid mentionable.');
  if (type === 7) {
    const channel = resolvedChannel(presenter, String(value), 0n) ?? refuseIt('Input a valid channel.');
    resolved['channels'] = { ...resolved['channels'], [channel['id']]: channel };
    return channel['id'];
  }
  return value;
}

function checkedText(option: Json, text: string, refuseIt: (words: string) => never): string {
  const most = option['max_length'] ?? 6000;
  if (text.length > most) return refuseIt(`Must be ${most} or fewer in length.`);
  if (text.length < (option['min_length'] ?? 0))
    return refuseIt(`Must be ${option['min_length']} or more in length.`);
  return text;
}

function checkedNumber(option: Json, n: number, refuseIt: (words: string) => never): number {
  const whole = option['type'] === 4;
  if (!Number.isFinite(n) || (whole && !Number.isSafeInteger(n)))
    return refuseIt(`Input ${TYPE_WORDS[option['type']]}.`);
  if (n < (option['min_value'] ?? -Infinity)) return refuseIt(`Must be ${option['min_value']} or more.`);
  if (n > (option['max_value'] ?? Infinity)) return refuseIt(`Must be ${option['max_value']} or less.`);
  return n;
}

export function resolveUser(resolved: Json, user: User): void {
  resolved['users'] ??= {};
  resolved['members'] ??= {};
  resolved['users'][user.id] = userObject(user);
  resolved['members'][user.id] = resolvedMember(user);
}

function upload({ world, url }: Presenter, file: PendingFile, resolved: Json): string {
  const a = storeFile(world, { name: file.name, data: file.data });
  const path = `/ephemeral-attachments/${APPLICATION_ID}/${a.id}/${encodeURIComponent(a.filename)}`;
  const link = signedUrl(world, url, path);
  resolved['attachments'] ??= {};
  resolved['attachments'][a.id] = {
    id: a.id,
    filename: a.filename,
    size: a.size,
    url: link,
    proxy_url: link,
    content_type: a.content_type,
    ephemeral: true,
    ...(a.width && a.height ? { width: a.width, height: a.height } : {}),
  };
  return a.id;
}
