import { channelObject, memberObject, type Presenter, roles, userObject } from '../world/objects.ts';
import type { Json, User } from '../world/types.ts';
import { ClientRefusal } from './errors.ts';

/** Select menus: what the client lets a person pick, and the objects Discord sends along with the ids. */

export const SelectType = { string: 3, user: 5, role: 6, mentionable: 7, channel: 8 } as const;

export const isSelect = (type: unknown): boolean =>
  typeof type === 'number' && (type === SelectType.string || (type >= 5 && type <= 8));

/** One of Discord's members as `resolved` carries it: without the user, which stands beside it. */
export function resolvedMember(user: User): Json {
  const { user: _, deaf: _deaf, mute: _mute, ...member } = memberObject(user);
  return { ...member, permissions: user.permissions.toString() };
}

export function resolvedChannel(presenter: Presenter, id: string, permissions: bigint): Json | undefined {
  const channel = presenter.world.channels.get(id);
  if (!channel || channel.type === 1) return undefined;
  const whole = channelObject(presenter, channel);
  const kept = ['id', 'type', 'name', 'flags', 'parent_id', 'position', 'nsfw', 'topic', 'last_message_id'];
  return {
    ...Object.fromEntries(kept.map((key) => [key, whole[key]])),
    permissions: permissions.toString(),
  };
}

/** @throws ClientRefusal for a choice that the client does not offer */
export function checkSelection(presenter: Presenter, part: Json, values: string[]): void {
  const known = (value: string): boolean => {
    const user = presenter.world.users.has(value);
    const role = roles().some((r) => r['id'] === value);
    switch (part['type']) {
      case SelectType.string:
        return part['options'].some((o: Json) => o['value'] === value);
      case SelectType.user:
        return user;
      case SelectType.role:
        return role;
      case SelectType.mentionable:
        return user || role;
      default: {
        const channel = resolvedChannel(presenter, value, 0n);
        const types: number[] | undefined = part['channel_types'];
        return channel !== undefined && (!types?.length || types.includes(channel['type']));
      }
    }
  };
  if (!values.every(known)) throw new ClientRefusal('Pick one of the choices.');
  if (new Set(values).size !== values.length) throw new ClientRefusal('Pick each choice once.');
  const [least, most] = [part['min_values'] ?? 1, part['max_values'] ?? 1];
  const optional = part['required'] === false && values.length === 0;
  if (!optional && (values.length < least || values.length > most))
    throw new ClientRefusal(least === most ? `Pick ${least}.` : `Pick ${least} to ${most}.`);
}

/** Undefined for a string select and for an empty choice. `inGuild`: a DM has no members. */
export function selectResolved(
  presenter: Presenter,
  part: Json,
  values: string[],
  by: User,
  inGuild: boolean,
): Json | undefined {
  if (part['type'] === SelectType.string || values.length === 0) return undefined;
  const users = values.flatMap((v) => presenter.world.users.get(v) ?? []);
  const picked = roles().filter((r) => values.includes(r['id']));
  const channels = values.flatMap((v) => resolvedChannel(presenter, v, by.permissions) ?? []);
  const byId = (list: Json[]): Json => Object.fromEntries(list.map((o) => [o['id'], o]));
  return {
    ...(users.length ? { users: byId(users.map(userObject)) } : {}),
    ...(users.length && inGuild
      ? { members: Object.fromEntries(users.map((u) => [u.id, resolvedMember(u)])) }
      : {}),
    ...(picked.length ? { roles: byId(picked) } : {}),
    ...(channels.length ? { channels: byId(channels) } : {}),
  };
}
