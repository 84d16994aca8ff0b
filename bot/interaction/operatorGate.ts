import type { Env } from '../../shared/service/env.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { Asker } from '../app.ts';

type Rules = Pick<Env, 'ALLOWED_GUILDS' | 'BLOCKED_USERS' | 'DIRECT_MESSAGES'>;

/**
 * Which users, and where, the operator lets use this bot; checked before an interaction is read. A server
 * has rules of its own (`admission.ts`). Pure.
 * @returns blocked-operator, wrong-server, no-direct
 */
export function refusedUse(
  { ALLOWED_GUILDS, BLOCKED_USERS, DIRECT_MESSAGES }: Rules,
  { user, guildId }: { user: Pick<Asker['user'], 'id'>; guildId?: string | undefined },
): UserError | undefined {
  if (BLOCKED_USERS.includes(user.id)) return new UserError('blocked-operator');
  if (guildId === undefined) return DIRECT_MESSAGES === 'off' ? new UserError('no-direct') : undefined;
  const allowed = ALLOWED_GUILDS.length === 0 || ALLOWED_GUILDS.includes(guildId);
  return allowed ? undefined : new UserError('wrong-server');
}
