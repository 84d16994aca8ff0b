import { readJobs } from '../../shared/memory/jobRecords.ts';
import { say } from '../../shared/messages/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import { placeInLine } from '../../shared/queue/queue.ts';
import { keys } from '../../shared/queue/redis.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { linkTo, placesOf } from './jobMessages.ts';

const SHOWN = 13;
const PROMPT_MAX = 40;

/** A member's jobs that run or wait, a line each with a link and the place in line; undefined where there are none. */
export async function sayMyJobs(app: App, { user, locale }: Asker): Promise<string | undefined> {
  const { redis, queues } = app;
  const open = (await onRedis(redis.zrange(keys.open(user.id), '0', String(SHOWN - 1)))).filter(Boolean);
  if (open.length === 0) return undefined;
  const [records, messages, running, places] = await Promise.all([
    onRedis(readJobs(redis, open)),
    placesOf(app, open),
    onRedis(redis.zrange(keys.running(user.id), '0', '-1')),
    onRedis(Promise.all(open.map((jobId) => placeInLine(queues, redis, jobId)))),
  ]);
  const lines = open.flatMap((jobId, i) => {
    const record = records[i];
    // Later jobs of one prompt have a place before they have a record.
    if (!record) return [];
    const prompt = escapeMarkdown([...record.prompt].slice(0, PROMPT_MAX).join(''));
    const at = messages.get(jobId);
    const name = at && !record.stealth ? `[${prompt}](${linkTo(at, record.guildId)})` : prompt;
    return [`${name} · ${stateOf(locale, running.includes(jobId), places[i])}`];
  });
  let text = '';
  for (const line of lines) if (text.length + line.length < 1000) text += `${line}\n`;
  return text.trimEnd() || undefined;
}

const stateOf = (locale: string, running: boolean, ahead: number | undefined): string => {
  if (running) return say(locale, 'info.running');
  if (ahead === undefined || ahead === 0) return say(locale, 'line.next');
  return say(locale, 'line.ahead', { n: ahead });
};
