import { sayDuration } from '../../shared/messages/index.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { countOpen } from '../../shared/queue/fairness.ts';
import {
  type DeliverRequest,
  type RenderRequest,
  type RenderResult,
  SAFETIES,
} from '../../shared/queue/job.ts';
import { keys } from '../../shared/queue/redis.ts';
import { expectedWait } from '../../shared/queue/registry.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { refusedBy, type Wish } from '../moderation/index.ts';
import { giveBackQuota, type Quota, takeQuota, usedToday } from '../server/dailyQuota.ts';
import { countServerOpen, takeServerPlaces } from '../server/serverCap.ts';
import { isBlocked, readServer, type ServerSettings } from '../server/settings.ts';
import type { Draft } from './drafts.ts';
import { mayUse, usableLoras } from './loras.ts';

/**
 * Who may paint what, where and how much: every request passes here, typed or clicked, before it
 * takes a place in the queue. A rule is a function below; the first that refuses throws its UserError.
 */
export interface Admitted {
  /** Fields of the render job that the server's settings decide. */
  render: Pick<RenderRequest, 'safety'>;
  deliver: Pick<DeliverRequest, 'quiet'>;
  /** Takes the server's places, after the jobs have places in the queue. @throws UserError('queue-server') */
  takePlaces(): Promise<void>;
  /** Uncounts the jobs from this position on, which were not queued. */
  giveBack(from?: number): Promise<void>;
}

/** @throws UserError */
export async function admit(
  app: App,
  asker: Asker,
  drafts: readonly Draft[],
  jobIds: readonly string[],
): Promise<Admitted> {
  const { redis, env, log } = app;
  const { user, guildId } = asker;
  const server = await onRedis(readServer(redis, guildId));
  await mayWish(app, asker, server, drafts);
  const now = Date.now();
  const quotas = quotasOf(app, asker, server);
  const pause = await startPause(app, asker, server);
  const giveBack = async (from = 0): Promise<void> => {
    await Promise.all([
      giveBackQuota(redis, user.id, quotas, jobIds.slice(from), now),
      from === 0 && pause && redis.del(pause),
    ]).catch((error) => log.warn({ err: error }, 'a refused job still counts for today'));
  };
  const full = await onRedis(takeQuota(redis, user.id, quotas, jobIds, now));
  if (full) {
    if (pause) await onRedis(redis.del(pause));
    throw enough(full.over, full.used);
  }
  return {
    render: safetyOf(app, asker, server),
    deliver: server.pings ? {} : { quiet: true },
    takePlaces: async () => {
      if (guildId === undefined) return;
      const open = await onRedis(takeServerPlaces(redis, guildId, jobIds, env.MAX_PER_SERVER));
      if (open !== undefined) throw new UserError('queue-server', { n: open, max: env.MAX_PER_SERVER });
    },
    giveBack,
  };
}

/**
 * What `admit` and the queue would say now, counting nothing: asked before a picture is fetched, decoded and
 * kept for a request that would be refused.
 * @throws UserError as `admit` does, queue-user, queue-all, queue-server
 */
export async function foresee(app: App, asker: Asker, drafts: readonly Draft[]): Promise<void> {
  const { redis, env } = app;
  const { user, guildId } = asker;
  const server = await onRedis(readServer(redis, guildId));
  await mayWish(app, asker, server, drafts);
  const key = pauseOf(asker, server);
  const other = key === undefined ? null : await onRedis(redis.get(key));
  if (key !== undefined && other !== null && other !== asker.interactionId)
    throw await stillPaused(app, asker, server, key);
  for (const quota of quotasOf(app, asker, server)) {
    const used = await onRedis(usedToday(redis, user.id, quota.scope, Date.now()));
    if (used + drafts.length > quota.max) throw enough(quota, used);
  }
  const open = await onRedis(countOpen(redis, { userId: user.id, maxAll: env.MAX_QUEUE }));
  const here = guildId === undefined ? 0 : await onRedis(countServerOpen(redis, guildId));
  const places = [
    ['queue-user', open.user, env.MAX_OPEN_JOBS],
    ['queue-all', open.all, env.MAX_QUEUE],
    ['queue-server', here, env.MAX_PER_SERVER],
  ] as const;
  for (const [code, n, max] of places) if (n + drafts.length > max) throw new UserError(code, { n, max });
}

/** Admits a question, which paints nothing. @throws UserError blocked, wrong-channel, wrong-role */
export async function mayAsk(app: App, asker: Asker): Promise<void> {
  await mayPaint(app, asker, await onRedis(readServer(app.redis, asker.guildId)));
}

/** Admits work of this process alone, with no worker and no public message. @throws UserError blocked */
export async function mayInspect({ redis }: App, { guildId, user }: Asker): Promise<void> {
  if (guildId !== undefined && (await onRedis(isBlocked(redis, guildId, user.id))))
    throw new UserError('blocked');
}

/**
 * Admits a finished picture that is shown again, perhaps in another place than it was painted for.
 * @returns false where it must be painted again first, because this place is stricter with flagged pictures
 * @throws UserError as `admit` does for who, where and words
 */
export async function mayShow(
  app: App,
  asker: Asker,
  wish: Wish & Pick<Recipe, 'model' | 'loras'>,
  { flagged, safety }: Pick<RenderResult, 'flagged' | 'safety'>,
): Promise<boolean> {
  const server = await onRedis(readServer(app.redis, asker.guildId));
  await mayPaint(app, asker, server);
  moderate(app, asker, server, wish);
  await mayUseLoras(app, server, wish.loras, wish.model);
  const wanted = safetyOf(app, asker, server).safety;
  if (!flagged?.length || wanted === undefined || safety === undefined) return true;
  return SAFETIES.indexOf(safety) >= SAFETIES.indexOf(wanted);
}

/** The rules that count nothing: who, where, which words and how soon. */
async function mayWish(
  app: App,
  asker: Asker,
  server: ServerSettings,
  drafts: readonly Draft[],
): Promise<void> {
  await mayPaint(app, asker, server);
  for (const draft of drafts) moderate(app, asker, server, wishOf(draft));
  for (const { params, model } of drafts) await mayUseLoras(app, server, params.loras, model);
  if (drafts.some(({ lane }) => lane === 'turbo')) mayUseTurbo(asker, server);
  await keepSlow(app, asker, drafts);
}

const MENTIONED = 5;

async function mayPaint(app: App, asker: Asker, server: ServerSettings): Promise<void> {
  const { guildId, channelId, parentId, roles } = asker;
  await mayInspect(app, asker);
  if (guildId === undefined) return;
  const here = server.channels.some((id) => id === channelId || id === parentId);
  if (server.channels.length > 0 && !here)
    throw new UserError('wrong-channel', { channels: mention('#', server.channels) });
  if (server.roles.length > 0 && !server.roles.some((id) => roles.includes(id)))
    throw new UserError('wrong-role', { roles: mention('@&', server.roles) });
}

const mention = (sign: '#' | '@&', ids: readonly string[]): string =>
  ids
    .slice(0, MENTIONED)
    .map((id) => `<${sign}${id}>`)
    .join(' ');

/** Whether adult words are allowed: an age-restricted channel, with leave of server and operator. */
const isAdult = ({ env }: App, { nsfw }: Asker, { adults }: ServerSettings): boolean =>
  nsfw && adults && env.MODERATION !== 'strict';

/** The safety that the server adds to the worker's own SAFETY; none in a channel for adults. */
const safetyOf = (app: App, asker: Asker, server: ServerSettings): Pick<RenderRequest, 'safety'> =>
  server.safety === 'operator' || isAdult(app, asker, server) ? {} : { safety: server.safety };

function moderate(app: App, asker: Asker, server: ServerSettings, wish: Wish): void {
  const { MODERATION } = app.env;
  const rule = refusedBy(wish, {
    lists: MODERATION === 'strict' || (MODERATION === 'on' && server.moderation),
    adults: isAdult(app, asker, server),
    own: server.words,
  });
  if (rule) throw new UserError(`banned-${rule}`);
}

/** The request as moderation reads it; Reword's `from` text counts as left out, as `--no` does. */
const wishOf = ({ prompt, parts, negative, reword }: Draft): Wish => ({
  prompt,
  parts,
  negative: [negative, reword?.from ?? ''].filter(Boolean).join(', '),
});

/**
 * Checked for every request, since a button may repeat a LoRA that was allowed when its picture was painted.
 * @throws UserError('lora-denied')
 */
async function mayUseLoras(
  app: App,
  { loras: rules }: ServerSettings,
  loras: readonly { readonly name: string }[] = [],
  model: string,
): Promise<void> {
  const allowed = mayUse(rules);
  const denied = loras.find(({ name }) => !allowed(name));
  if (!denied) return;
  const card = (await onRedis(app.models())).get(model);
  const fitting = card ? usableLoras(new Map([[model, card]])).map(({ name }) => name) : [];
  throw new UserError('lora-denied', {
    parameter: '--lora',
    value: denied.name,
    loras: fitting.filter(allowed).slice(0, 25).join(', ') || '–',
  });
}

/** @throws UserError('turbo-role') */
export function mayUseTurbo({ roles }: Pick<Asker, 'roles'>, { turboRoles }: ServerSettings): void {
  if (turboRoles.length > 0 && !turboRoles.some((id) => roles.includes(id)))
    throw new UserError('turbo-role', { roles: mention('@&', turboRoles) });
}

/** While the expected wait is over SLOW_MODE_WAIT_S, each member may have one open job. */
async function keepSlow({ redis, env }: App, asker: Asker, drafts: readonly Draft[]): Promise<void> {
  const [first] = drafts;
  if (env.SLOW_MODE_WAIT_S === 0 || !first) return;
  const [all, mine] = await onRedis(
    Promise.all([redis.zcard(keys.openAll), redis.zcard(keys.open(asker.user.id))]),
  );
  if (mine + drafts.length <= 1) return;
  const wait = await onRedis(expectedWait(redis, first.model, all));
  if (wait === undefined || wait <= env.SLOW_MODE_WAIT_S * 1000) return;
  throw new UserError('slow-wait', { n: mine, time: sayDuration(asker.locale, wait) });
}

/** The key that holds a member's pause; undefined where the server has none or the member is a moderator. */
const pauseOf = ({ guildId, user, moderator }: Asker, { slowSeconds }: ServerSettings): string | undefined =>
  slowSeconds === 0 || guildId === undefined || moderator ? undefined : keys.slow(guildId, user.id);

/** @returns the key that holds the pause, where one began. @throws UserError('slow-server') while one lasts */
async function startPause(app: App, asker: Asker, server: ServerSettings): Promise<string | undefined> {
  const key = pauseOf(asker, server);
  if (key === undefined) return undefined;
  const { interactionId } = asker;
  const other = await onRedis(app.redis.set(key, interactionId, 'EX', server.slowSeconds, 'NX', 'GET'));
  if (other === null || other === interactionId) return key;
  throw await stillPaused(app, asker, server, key);
}

async function stillPaused(
  { redis }: App,
  { locale }: Asker,
  { slowSeconds }: ServerSettings,
  key: string,
): Promise<UserError> {
  const left = Math.max(1000, await onRedis(redis.pttl(key)));
  const every = sayDuration(locale, slowSeconds * 1000);
  return new UserError('slow-server', { time: sayDuration(locale, left), every });
}

const ALL = 'all';

const enough = ({ scope, max }: Quota, used: number): UserError =>
  new UserError(scope === ALL ? 'quota' : 'quota-server', { n: used, max });

/** Daily quotas of a member: the operator's in all places together, a server's in that server. */
export const quotasOf = (
  { env }: Pick<App, 'env'>,
  { guildId }: Pick<Asker, 'guildId'>,
  { daily }: Pick<ServerSettings, 'daily'>,
): Quota[] => [
  ...(env.DAILY_JOBS > 0 ? [{ scope: ALL, max: env.DAILY_JOBS }] : []),
  ...(guildId !== undefined && daily > 0 ? [{ scope: guildId, max: daily }] : []),
];
