import {
  changeSettings,
  type Lane,
  readSettings,
  type Settings,
  type Visibility,
} from '../../shared/memory/settings.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { readServer } from '../server/settings.ts';
import { mayUseTurbo } from './admission.ts';

/** A member's choices, changed by a command or by the panel of /settings. */
export const settingsOf = ({ redis }: App, { user }: Asker): Promise<Settings> =>
  onRedis(readSettings(redis, user.id));

export const choose = (app: App, asker: Asker, change: Parameters<typeof changeSettings>[2]): Promise<void> =>
  onRedis(changeSettings(app.redis, asker.user.id, change));

/** @throws UserError('turbo-role') where this server keeps turbo for other roles */
export async function chooseLane(app: App, asker: Asker, lane: Lane): Promise<void> {
  if (lane === 'turbo') mayUseTurbo(asker, await onRedis(readServer(app.redis, asker.guildId)));
  await choose(app, asker, { lane });
}

export const chooseVisibility = (app: App, asker: Asker, visibility: Visibility): Promise<void> =>
  choose(app, asker, { visibility });

export type Toggle = 'raw' | 'remix' | 'autoDm';

/** @returns the new value */
export async function toggle(app: App, asker: Asker, name: Toggle): Promise<boolean> {
  const on = !(await settingsOf(app, asker))[name];
  await choose(app, asker, { [name]: on });
  return on;
}

/** @returns the new value */
export async function toggleVariability(app: App, asker: Asker): Promise<'high' | 'low'> {
  const variability = (await settingsOf(app, asker)).variability === 'low' ? 'high' : 'low';
  await choose(app, asker, { variability });
  return variability;
}
