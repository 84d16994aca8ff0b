import { say } from '../../shared/messages/index.ts';
import type { App, Asker } from '../app.ts';
import { quotasOf } from '../submit/admission.ts';
import { usedToday } from './dailyQuota.ts';
import { readServer } from './settings.ts';

/** "3 of 20 on this server": what one person used of each limit of the day; undefined where there is none. */
export async function sayToday(app: App, asker: Asker): Promise<string | undefined> {
  const server = await readServer(app.redis, asker.guildId);
  const lines = await Promise.all(
    quotasOf(app, asker, server).map(async ({ scope, max }) => {
      const n = await usedToday(app.redis, asker.user.id, scope, Date.now());
      return say(asker.locale, scope === asker.guildId ? 'info.today.server' : 'info.today.all', { n, max });
    }),
  );
  return lines.length > 0 ? lines.join('\n') : undefined;
}
