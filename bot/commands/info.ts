import { DEFAULT_LANE, readSettings } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { keys } from '../../shared/queue/redis.ts';
import { listWorkers } from '../../shared/queue/registry.ts';
import { sayMyJobs } from '../history/myJobs.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { sayToday } from '../server/quotaLines.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

export const infoCommand: Command = {
  kind: 'private',
  definition: { ...named('info'), ...EVERYWHERE },
  async run({ app, asker, answer }) {
    const { locale } = asker;
    const [open, counts, workers, models, today, settings, jobs, all] = await onRedis(
      Promise.all([
        app.redis.zcard(keys.open(asker.user.id)),
        app.queues.render.getJobCounts('active', 'prioritized', 'waiting', 'delayed'),
        listWorkers(app.redis),
        app.models(),
        sayToday(app, asker),
        readSettings(app.redis, asker.user.id),
        sayMyJobs(app, asker),
        app.redis.zcard(keys.history(asker.user.id)),
      ]),
    );
    const waiting = (counts['prioritized'] ?? 0) + (counts['waiting'] ?? 0) + (counts['delayed'] ?? 0);
    const field = (
      key: 'mode' | 'mine' | 'queue' | 'all' | 'today' | 'workers' | 'models' | 'jobs',
      value: string,
    ) => ({
      name: say(locale, `info.${key}`),
      value,
      inline: key !== 'models' && key !== 'jobs',
    });
    const { lane = DEFAULT_LANE, visibility = 'public' } = settings;
    const mode = `${say(locale, `settings.${lane}`)} · ${say(locale, `settings.${visibility}`)}`;
    await answer.send({
      embeds: [
        {
          title: say(locale, 'info.title'),
          fields: [
            field('mode', mode),
            field('mine', say(locale, 'info.mine.value', { n: open, max: app.env.MAX_OPEN_JOBS })),
            field('queue', say(locale, 'info.queue.value', { active: counts['active'] ?? 0, waiting })),
            field('all', say(locale, 'info.all.value', { n: all })),
            ...(today ? [field('today', today)] : []),
            field('workers', String(workers.length)),
            ...(jobs ? [field('jobs', jobs)] : []),
            field('models', [...models.keys()].join(', ').slice(0, 1000) || say(locale, 'info.none')),
          ],
        },
      ],
      allowed_mentions: { parse: [] },
    });
  },
};
