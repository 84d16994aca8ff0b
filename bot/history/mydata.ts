import { Job } from 'bullmq';
import { Routes } from 'discord.js';
import { readOptions } from '../../shared/memory/customOptions.ts';
import {
  forgetFavourites,
  type JobRecord,
  readFavourites,
  readHistory,
  readJobs,
} from '../../shared/memory/jobRecords.ts';
import { readSettings } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import type { ButtonAction } from '../../shared/picture/customId.ts';
import { type Recipe, recipeSchema } from '../../shared/picture/recipe.ts';
import { release } from '../../shared/queue/fairness.ts';
import { deliverId, renderId, sheetId } from '../../shared/queue/job.ts';
import { cancelJob } from '../../shared/queue/queue.ts';
import { keys, PREFIX } from '../../shared/queue/redis.ts';
import type { App } from '../app.ts';
import type { Button } from '../buttons/button.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { linkTo, placesOf, shownAt } from './jobMessages.ts';

/** Export and erasure of everything that is stored about one member. */
const AT_ONCE = 100;

type Exported = Partial<JobRecord> & { jobId: string; link?: string; recipe?: Omit<Recipe, 'parent'> };

/** The data of /mydata export. Ancestors' recipes are left out: they are jobs of their own. */
export async function exportData(app: App, userId: string): Promise<object> {
  const { redis } = app;
  const [settings, options, favourites, history, uploads] = await onRedis(
    Promise.all([
      readSettings(redis, userId),
      readOptions(redis, userId),
      readFavourites(redis, userId),
      readHistory(redis, userId),
      redis.smembers(keys.uploads(userId)),
    ]),
  );
  const jobs: Exported[] = [];
  for (let i = 0; i < history.length; i += AT_ONCE)
    jobs.push(...(await exportJobs(app, history.slice(i, i + AT_ONCE))));
  return { version: 1, userId, settings, options: Object.fromEntries(options), favourites, uploads, jobs };
}

async function exportJobs(app: App, jobIds: string[]): Promise<Exported[]> {
  const [records, recipes, places] = await Promise.all([
    onRedis(readJobs(app.redis, jobIds)),
    onRedis(app.redis.mget(jobIds.map(keys.recipe))),
    placesOf(app, jobIds),
  ]);
  return jobIds.map((jobId, i) => {
    const record = records[i];
    const place = places.get(jobId);
    const kept = recipes[i];
    const parsed = kept ? recipeSchema.safeParse(JSON.parse(kept)) : undefined;
    const { parent: _, ...recipe } = parsed?.success ? parsed.data : { parent: undefined };
    return {
      ...record,
      jobId,
      ...(place ? { link: linkTo(place, record?.guildId) } : {}),
      ...('prompt' in recipe ? { recipe } : {}),
    };
  });
}

/**
 * Jobs in the queue are stopped; pictures, recipes, messages and all that was chosen are removed. Job by job, and
 * each leaves the history last, so asking again continues an interrupted erasure. What others made of these
 * pictures is theirs. @returns how many jobs
 */
export async function eraseData(app: App, userId: string): Promise<number> {
  const { redis, store } = app;
  const history = await onRedis(readHistory(redis, userId));
  for (const jobId of history) await eraseJob(app, userId, jobId);
  for (const key of await onRedis(redis.smembers(keys.uploads(userId)))) {
    const others = await onRedis(
      redis.multi().srem(keys.uploaders(key), userId).scard(keys.uploaders(key)).exec(),
    );
    if (others?.[1]?.[1] === 0) await store.remove(key);
  }
  await forgetQuestions(app, userId);
  await onRedis(forgetFavourites(redis, userId));
  const { settings, options, uploads, held } = keys;
  await onRedis(redis.del(...[settings, options, uploads, held].map((key) => key(userId))));
  app.log.info({ jobs: history.length }, 'a member erased everything');
  return history.length;
}

/** Removes questions of /describe and /shorten, and the prompts kept for buttons. */
async function forgetQuestions({ redis, queues }: App, userId: string): Promise<void> {
  const asked = await onRedis(queues.ask.getJobs(['completed', 'failed', 'waiting', 'delayed']));
  // A job that a worker holds locked is removed by the queue itself when it has ended.
  for (const job of asked) if (job?.data.userId === userId) await job.remove().catch(() => undefined);
  const patterns = [keys.offered(userId, '*'), `${PREFIX}:fix:${userId}:*`];
  let cursor = '0';
  do {
    const [next, found] = await onRedis(
      redis.scan(cursor, 'MATCH', `${PREFIX}:*:${userId}:*`, 'COUNT', 1000),
    );
    const mine = found.filter((key) => patterns.some((pattern) => key.startsWith(pattern.slice(0, -1))));
    if (mine.length > 0) await onRedis(redis.del(...mine));
    cursor = next;
  } while (cursor !== '0');
}

/** Longer than any job that a worker may be painting just now. */
const ERASED_TTL_S = 24 * 3600;

async function eraseJob(app: App, userId: string, jobId: string): Promise<void> {
  const { redis, queues, store } = app;
  const [record] = await onRedis(readJobs(redis, [jobId]));
  await onRedis(
    redis
      .multi()
      .set(keys.erased(jobId), '1', 'EX', ERASED_TTL_S)
      .set(keys.delivered(jobId), '1', 'EX', ERASED_TTL_S)
      .exec(),
  );
  await onRedis(cancelJob(queues, redis, jobId));
  const own = await placesOf(app, [jobId, sheetId(jobId)]);
  for (const place of [...own.values(), ...(await shownAt(app, jobId))])
    await app.rest
      .delete(Routes.channelMessage(place.channelId, place.messageId))
      .catch((error) => app.log.debug({ err: error, jobId }, 'its message stays'));
  for (const [queue, id] of [
    [queues.deliver, deliverId(jobId)],
    [queues.render, renderId(jobId)],
  ] as const) {
    // A job that a worker holds locked is removed by the queue itself when it has ended.
    const job = await onRedis(Job.fromId(queue, id));
    await job?.remove().catch((error) => app.log.debug({ err: error, jobId }, 'still held'));
  }
  await onRedis(release(redis, userId, jobId));
  await store.remove(jobId);
  const { recipe, owner, message, token, job, children, shown, keepers } = keys;
  const all = redis
    .multi()
    .del(
      message(sheetId(jobId)),
      ...[recipe, owner, message, token, job, children, shown, keepers].map((key) => key(jobId)),
    );
  if (record?.parent) all.zrem(children(record.parent.jobId), jobId);
  await onRedis(all.zrem(keys.history(userId), jobId).exec());
}

const done = (content: string): object => ({ content, embeds: [], components: [] });

/** The question of /mydata erase. */
export const mydataButtons = {
  'my-erase': {
    kind: 'update',
    async press({ app, asker: { user, locale }, answer }) {
      await answer.defer(); // job by job, with Discord's limits on deleting messages
      const n = await eraseData(app, user.id);
      await answer.send(done(say(locale, 'mydata.erased', { n })));
    },
  },
  'my-keep': {
    kind: 'update',
    press: async ({ asker, answer }) => void (await answer.send(done(say(asker.locale, 'mydata.kept')))),
  },
} satisfies { [action in Extract<ButtonAction, `my-${string}`>]: Button };
