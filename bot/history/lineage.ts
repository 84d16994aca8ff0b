import { type JobRecord, readChildren, readJobs } from '../../shared/memory/jobRecords.ts';
import { say } from '../../shared/messages/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import type { App } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { linkTo, type Place, placesOf } from './jobMessages.ts';

/** Ancestors and children of a picture's job. */
export interface Family {
  /** From the first picture down to the parent. */
  ancestors: JobRecord[];
  self: JobRecord;
  /** Oldest first. */
  children: JobRecord[];
  places: ReadonlyMap<string, Place>;
}

const ANCESTORS = 8;
const CHILDREN = 12;
/** An embed's description takes 4,096 characters. */
const TEXT_MAX = 3500;

/** Ancestors and children of a job; other members' stealth jobs are left out. */
export async function readFamily(app: App, self: JobRecord, viewer: string): Promise<Family> {
  const { redis } = app;
  const visible = (job: JobRecord | undefined): job is JobRecord =>
    job !== undefined && (!job.stealth || job.userId === viewer);
  const ancestors: JobRecord[] = [];
  for (let at: JobRecord | undefined = self; at?.parent && ancestors.length < ANCESTORS; ) {
    const [parent]: (JobRecord | undefined)[] = await onRedis(readJobs(redis, [at.parent.jobId]));
    if (visible(parent)) ancestors.unshift(parent);
    at = parent;
  }
  const ids = await onRedis(readChildren(redis, self.jobId));
  const children = (await onRedis(readJobs(redis, ids.slice(-CHILDREN)))).filter(visible);
  const all = [...ancestors, self, ...children].map(({ jobId }) => jobId);
  return { ancestors, self, children, places: await placesOf(app, all) };
}

/** The tree in one line a job, each a link to its message. Pure; undefined where the job has no relatives. */
export function drawFamily(
  locale: string,
  { ancestors, self, children, places }: Family,
): string | undefined {
  if (ancestors.length + children.length === 0) return undefined;
  const name = (job: JobRecord): string => {
    const title = say(locale, `family.${job.action}`);
    const text = job.parent ? `#${job.parent.index + 1} → ${title}` : title;
    const place = places.get(job.jobId);
    return place && !job.stealth ? `[${text}](${linkTo(place, job.guildId)})` : text;
  };
  const line = (depth: number, text: string): string =>
    depth === 0 ? text : `${'\u2003'.repeat(depth - 1)}└ ${text}`;
  const first = ancestors[0] ?? self;
  const lines = [
    escapeMarkdown(first.prompt).slice(0, 200),
    ...ancestors.map((job, depth) => line(depth, name(job))),
    line(ancestors.length, `**${say(locale, 'family.this')}**`),
    ...children.map((job) => line(ancestors.length + 1, name(job))),
  ];
  let text = '';
  for (const one of lines) {
    if (text.length + one.length + 1 > TEXT_MAX) break;
    text += `${one}\n`;
  }
  return text.trimEnd();
}
