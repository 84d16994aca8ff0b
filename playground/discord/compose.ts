import { contentTypeOf, pictureHead } from '../world/pictureHead.ts';
import { GUILD_ID, type World } from '../world/state.ts';
import type { Attachment, FileUpload, Json, Message } from '../world/types.ts';
import { MessageFlags } from '../world/types.ts';
import { refuse } from './errors.ts';
import { walkComponents } from './messageRules.ts';

/** Makes a message from a checked request body, and the changed message from an edit. */

/** Discord keeps no folders and few special characters in file names. */
export function safeFilename(name: string): string {
  const base = name.split(/[\\/]/).pop() ?? '';
  return (
    base
      .replace(/[^\p{L}\p{N}._()-]+/gu, '_')
      .replace(/^\.+/, '')
      .slice(0, 260) || 'unknown'
  );
}

export function storeFile(world: World, file: FileUpload, info: Json = {}): Attachment {
  const head = pictureHead(file.data);
  const filename = safeFilename(info['filename'] ?? file.name);
  const attachment: Attachment = {
    id: world.nextId(),
    filename,
    size: file.data.length,
    content_type: contentTypeOf(filename, head),
    ...(head?.width && head.height ? { width: head.width, height: head.height } : {}),
    ...(info['description'] ? { description: info['description'] } : {}),
    ...(info['title'] ? { title: info['title'] } : {}),
    ...(info['is_spoiler'] || filename.startsWith('SPOILER_') ? { spoiler: true } : {}),
  };
  world.addFile(attachment, file.data);
  return attachment;
}

/** Files not named in `attachments` are lost on Discord; the caller notes them as a violation. */
export function unlistedFiles(body: Json, files: Map<number, FileUpload>): string[] {
  if (!Array.isArray(body['attachments'])) return [];
  const listed = new Set(body['attachments'].map((a: Json) => String(a['id'])));
  return [...files].filter(([n]) => !listed.has(String(n))).map(([, f]) => f.name);
}

function attachmentsOf(
  world: World,
  body: Json,
  files: Map<number, FileUpload>,
  kept: Attachment[],
): Attachment[] {
  const listed: Json[] | undefined = body['attachments'] ?? undefined;
  if (!listed) {
    if (body['attachments'] === null) for (const old of kept) world.dropFile(old.id);
    const stays = body['attachments'] === null ? [] : kept;
    return [...stays, ...[...files.values()].map((f) => storeFile(world, f))];
  }
  for (const old of kept) if (!listed.some((a) => String(a['id']) === old.id)) world.dropFile(old.id);
  return listed.map((a) => {
    const old = kept.find((k) => k.id === String(a['id']));
    if (old)
      return { ...old, ...(typeof a['description'] === 'string' ? { description: a['description'] } : {}) };
    return storeFile(world, files.get(Number(a['id']))!, a);
  });
}

/** Numbers the components and sets the fields that Discord sets. */
export function dressComponents(components: Json[]): Json[] {
  const copy = structuredClone(components);
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean);
    if (!value || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, v]) => v !== null && v !== undefined)
        .map(([k, v]) => [k, clean(v)]),
    );
  };
  const dressed = clean(copy) as Json[];
  let id = 1;
  for (const { part } of walkComponents(dressed)) {
    part['id'] ||= id;
    id++;
    if (part['type'] >= 3 && part['type'] <= 8 && part['type'] !== 4) {
      part['min_values'] ??= 1;
      part['max_values'] ??= 1;
    }
    if (part['type'] === 17) part['spoiler'] ??= false;
    if (part['type'] === 14) {
      part['divider'] ??= true;
      part['spacing'] ??= 1;
    }
  }
  return dressed;
}

function dressEmbeds(embeds: Json[]): Json[] {
  return embeds.map((embed) => {
    const kept = Object.fromEntries(Object.entries(embed).filter(([, v]) => v !== null && v !== undefined));
    if (Array.isArray(kept['fields']))
      kept['fields'] = kept['fields'].map((f: Json) => ({ ...f, inline: f['inline'] === true }));
    return { ...kept, type: 'rich' };
  });
}

export interface Mentioned {
  users: string[];
  roles: string[];
  everyone: boolean;
  pinged: string[];
}

/** Text in which mentions count: the content, and text displays of new-style messages; not embeds. */
export const textOf = (body: Json): string =>
  [
    body['content'] ?? '',
    ...[...walkComponents(body['components'] ?? [])].flatMap(({ part }) =>
      part['type'] === 10 ? [part['content']] : [],
    ),
  ].join('\n');

/** Who is mentioned, and who of them would be notified. Code is not searched: `<@1>` in backticks is only text. */
export function mentionsOf(
  world: World,
  content: string,
  allowed: Json | null | undefined,
  silent: boolean,
): Mentioned {
  const text = content.replace(/```[\s\S]*?```|`[^`]*`/g, '');
  const named = [...new Set([...text.matchAll(/<@!?(\d+)>/g)].map((m) => m[1]!))].filter((id) =>
    world.users.has(id),
  );
  const roleIds = [...new Set([...text.matchAll(/<@&(\d+)>/g)].map((m) => m[1]!))];
  const wantsEveryone = /@(everyone|here)\b/.test(text);
  const parse: string[] | undefined = allowed?.['parse'];
  const open = allowed === null || allowed === undefined;
  const may = (kind: 'users' | 'roles', id: string): boolean =>
    open || parse?.includes(kind) === true || allowed?.[kind]?.includes(id) === true;
  const everyone = wantsEveryone && (open || parse?.includes('everyone') === true);
  const pinged = [
    ...named.filter((id) => may('users', id)),
    ...roleIds.filter((id) => may('roles', id)).map((id) => `role ${id}`),
    ...(everyone ? ['everyone'] : []),
  ];
  const users = named.filter((id) => may('users', id));
  return {
    users,
    roles: roleIds.filter((id) => may('roles', id) && id !== GUILD_ID),
    everyone,
    pinged: silent ? [] : pinged,
  };
}

function hasSomething(m: Pick<Message, 'content' | 'embeds' | 'components' | 'attachments'>): boolean {
  return (
    m.content.trim() !== '' || m.embeds.length > 0 || m.components.length > 0 || m.attachments.length > 0
  );
}

export interface NewMessage {
  channelId: string;
  authorId: string;
  body: Json;
  files: Map<number, FileUpload>;
  type?: number;
  interaction?: Message['interaction'];
  onlyFor?: string | undefined;
  replyTo?: string | undefined;
  loading?: boolean;
}

export function createMessage(world: World, wanted: NewMessage): Message {
  const { body } = wanted;
  const requested =
    (body['flags'] ?? 0) & (MessageFlags.suppressEmbeds | MessageFlags.silent | MessageFlags.componentsV2);
  const flags =
    requested | (wanted.onlyFor ? MessageFlags.ephemeral : 0) | (wanted.loading ? MessageFlags.loading : 0);
  const content: string = body['content'] ?? '';
  const mentioned = mentionsOf(
    world,
    textOf(body),
    body['allowed_mentions'],
    (flags & MessageFlags.silent) !== 0,
  );
  const message: Message = {
    id: world.nextId(),
    channelId: wanted.channelId,
    authorId: wanted.authorId,
    type: wanted.type ?? 0,
    content,
    embeds: dressEmbeds(body['embeds'] ?? []),
    components: dressComponents(body['components'] ?? []),
    attachments: attachmentsOf(world, body, wanted.files, []),
    flags,
    createdAt: world.clock.now(),
    editedAt: null,
    pinged: mentioned.pinged,
    mentions: mentioned.users,
    mentionRoles: mentioned.roles,
    mentionEveryone: mentioned.everyone,
    reactions: [],
    tts: body['tts'] === true,
    ...(body['nonce'] === undefined || body['nonce'] === null ? {} : { nonce: body['nonce'] }),
    ...(wanted.interaction ? { interaction: wanted.interaction } : {}),
    ...(wanted.onlyFor ? { onlyFor: wanted.onlyFor } : {}),
    ...(wanted.replyTo ? { replyTo: wanted.replyTo } : {}),
  };
  if (!wanted.loading && !hasSomething(message)) throw refuse.emptyMessage();
  world.addMessage(message);
  return message;
}

/** Edits never notify anyone; absent fields stay, null clears. */
export function editMessage(
  world: World,
  message: Message,
  body: Json,
  files: Map<number, FileUpload>,
): Message {
  const content: string = 'content' in body ? (body['content'] ?? '') : message.content;
  const next = {
    content,
    embeds: 'embeds' in body ? dressEmbeds(body['embeds'] ?? []) : message.embeds,
    components: 'components' in body ? dressComponents(body['components'] ?? []) : message.components,
  };
  const listed = body['attachments'] as Json[] | null | undefined;
  const willHaveFiles =
    files.size > 0 || (listed === undefined ? message.attachments.length > 0 : (listed?.length ?? 0) > 0);
  if (!willHaveFiles && !hasSomething({ ...next, attachments: [] })) throw refuse.emptyMessage();
  const mentioned = mentionsOf(world, content, body['allowed_mentions'], true);
  const wasLoading = (message.flags & MessageFlags.loading) !== 0;
  const settable = MessageFlags.suppressEmbeds | MessageFlags.componentsV2;
  const requested = typeof body['flags'] === 'number' ? body['flags'] & settable : message.flags & settable;
  Object.assign(message, next, {
    attachments: attachmentsOf(world, body, files, message.attachments),
    mentions: mentioned.users,
    mentionRoles: mentioned.roles,
    mentionEveryone: mentioned.everyone,
    flags:
      (message.flags & ~(settable | MessageFlags.loading)) |
      requested |
      (message.flags & MessageFlags.componentsV2),
    editedAt: wasLoading ? null : world.clock.now(),
  });
  world.changed(message);
  return message;
}
