import { randomInt } from 'node:crypto';
import { readOptions } from '../../shared/memory/customOptions.ts';
import { readSettings, type Settings } from '../../shared/memory/settings.ts';
import { drawStyle, type ParsedPrompt, parsePrompt } from '../../shared/prompt/index.ts';
import type { ModelCard, Params } from '../../shared/queue/job.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { keepFix, type Pending } from '../buttons/fix.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { readServer, type ServerSettings } from '../server/settings.ts';
import { GRID } from './drafts.ts';
import { mayUse } from './loras.ts';
import { describeProblems } from './promptProblems.ts';

/** Most jobs that one prompt may become, by `{a, b}` and `--repeat`. */
export const MAX_JOBS = 10;

export interface Prompts {
  prompts: ParsedPrompt[];
  /** Model of a prompt that names none. */
  defaultModel: string;
}

/**
 * Parses a prompt with the member's options, suffix and settings: typed > suffix > settings > the server's
 * model > the operator's. `keep` is stored with the mended text for the Fix it form.
 * @throws UserError empty, prompt
 */
export async function readPrompts(
  app: App,
  asker: Asker,
  typed: string,
  keep: Omit<Pending, 'text'> = {},
): Promise<Prompts> {
  const { redis } = app;
  const [models, settings, customOptions, server] = await onRedis(
    Promise.all([
      app.models(),
      readSettings(redis, asker.user.id),
      readOptions(redis, asker.user.id),
      readServer(redis, asker.guildId),
    ]),
  );
  const defaultModel = serversModel(app, models, server);
  const channelLoras = server.channelLoras[asker.channelId];
  const parsed = parsePrompt(typed, {
    // While no worker has announced models, every model name is accepted; the worker checks it later.
    models: models.size === 0 ? undefined : models,
    defaultModel,
    customOptions,
    suffix: settings.suffix,
    defaults: {
      ...defaultsOf(settings, models, server),
      ...(channelLoras ? { loras: channelLoras } : {}),
    },
    maxPermutations: MAX_JOBS,
    mayUseLora: mayUse(server.loras),
  });
  if (parsed.ok)
    return {
      prompts: parsed.prompts.map((prompt) => drawStyle(prompt, () => randomInt(2 ** 32))),
      defaultModel,
    };
  const only = parsed.problems.length === 1 ? parsed.problems[0]?.code : undefined;
  if (only === 'empty-prompt') throw new UserError('empty');
  const text = (parsed.fixed ?? typed).trim();
  const offered = await keepFix(app, asker, { ...keep, text });
  throw new UserError('prompt', {
    lines: describeProblems(asker.locale, typed, parsed.problems),
    ...(offered ? { fix: asker.interactionId } : {}),
  });
}

/**
 * The model of a command without a prompt: its option > /settings > the server's > the operator's.
 * @throws UserError no-worker; unknown-model where the named model is not installed
 */
export async function paintingModel(
  app: App,
  asker: Asker,
  typed: string | null,
): Promise<{ models: ReadonlyMap<string, ModelCard>; model: string }> {
  const [models, settings, server] = await onRedis(
    Promise.all([app.models(), readSettings(app.redis, asker.user.id), readServer(app.redis, asker.guildId)]),
  );
  if (models.size === 0) throw new UserError('no-worker');
  const named = typed?.trim();
  if (named && !models.has(named)) {
    const names = [...models.keys()].slice(0, 25).join(', ');
    throw new UserError('unknown-model', { parameter: '--model', value: named, models: names });
  }
  const chosen = settings.model !== undefined && models.has(settings.model) ? settings.model : undefined;
  return { models, model: named || (chosen ?? serversModel(app, models, server)) };
}

/** The server's model, for a member who chose none. */
export const serversModel = (
  { env }: Pick<App, 'env'>,
  models: ReadonlyMap<string, ModelCard>,
  { model }: Pick<ServerSettings, 'model'>,
): string => modelFor(models, models.has(model) ? model : env.DEFAULT_MODEL);

export const modelFor = (models: ReadonlyMap<string, ModelCard>, wanted: string): string =>
  models.has(wanted) ? wanted : ([...models.keys()][0] ?? wanted);

/** Defaults from a member's settings; a chosen model that no worker has is skipped. */
function defaultsOf(
  { model, stylize, quality, raw, count }: Settings,
  models: ReadonlyMap<string, ModelCard>,
  server: Pick<ServerSettings, 'count'>,
): Params {
  const wanted = count ?? server.count;
  return {
    ...(model !== undefined && models.has(model) ? { model } : {}),
    ...(stylize === undefined ? {} : { stylize }),
    ...(quality === undefined ? {} : { quality }),
    ...(raw ? { raw } : {}),
    // The default count is left out of the printed prompt.
    ...(wanted === GRID ? {} : { count: wanted }),
  };
}
