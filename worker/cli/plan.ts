import { connectRedis, keys, producerConnection } from '../../shared/queue/redis.ts';
import { type Env, readEnv } from '../../shared/service/env.ts';
import { type InstalledModel, needModel, readModels } from '../models/installed.ts';
import { openEngine } from '../process/enginePool.ts';
import { ASSUMED, type ModelCost, type Plan, planCapacity } from './capacity.ts';
import { modelsFolder, readArgs, UsageError } from './usage.ts';

const USAGE =
  'dreamgrid plan --users N --per-day M [--model NAME] [--seconds S] [--wait S] [--peak SHARE] [--json]';

interface Measured {
  cost: ModelCost;
  /** Where the measured seconds come from. */
  source: string;
}

/** From people to machines: how many workers, how long the waits, how fast Redis and disk fill up. */
export async function plan(args: string[]): Promise<number> {
  const options = {
    users: { type: 'string' },
    'per-day': { type: 'string' },
    model: { type: 'string' },
    seconds: { type: 'string' },
    wait: { type: 'string', default: '30' },
    peak: { type: 'string', default: '0.12' },
    json: { type: 'boolean', default: false },
  } as const;
  const { values, positionals } = readArgs(args, options, USAGE);
  if (positionals.length > 0) throw new UsageError(`plan takes no ${positionals[0]}. Usage: ${USAGE}`);
  const users = readNumber('users', values.users, 1, 1e8);
  const perDay = readNumber('per-day', values['per-day'], 0.001, 1e5);
  const targetS = readNumber('wait', values.wait, 0.1, 86_400);
  const peakShare = readNumber('peak', values.peak, 1 / 24, 1);
  const seconds =
    values.seconds === undefined ? undefined : readNumber('seconds', values.seconds, 0.001, 86_400);

  const env = readEnv();
  const root = modelsFolder(env);
  const model = needModel(await readModels(root), values.model ?? env.DEFAULT_MODEL, root);
  const { cost, source } = await measure(env, model, seconds);
  const planned = planCapacity({ users, perDay, peakShare }, cost, targetS, env.KEEP_DAYS);
  const asked = { users, perDay, peakShare, waitS: targetS, model: model.name, keepDays: env.KEEP_DAYS };
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ asked, cost, source, assumed: ASSUMED, plan: planned })}\n`
      : `${describe(asked, cost, source, planned)}\n`,
  );
  return 0;
}

function readNumber(name: string, text: string | undefined, min: number, max: number): number {
  const value = Number(text);
  if (text === undefined || text.trim() === '' || !(value >= min && value <= max))
    throw new UsageError(
      `--${name}: expected a number from ${Number(min.toFixed(3))} to ${max}; got ${JSON.stringify(text ?? '')}. Usage: ${USAGE}`,
    );
  return value;
}

/** Seconds from the command line, else as measured by this Redis' workers, else by painting a grid now. */
async function measure(env: Env, model: InstalledModel, seconds: number | undefined): Promise<Measured> {
  const { width, height } = model.manifest.native;
  const size = { width, height };
  if (seconds !== undefined)
    return { cost: { ...size, gridS: seconds, pictureS: seconds / 10 }, source: 'as --seconds says' };
  const paced = process.env['REDIS_URL'] ? await readPace(env, model.name) : undefined;
  if (paced) return { cost: { ...size, ...paced }, source: 'as the workers of this Redis measured lately' };
  const gridS = await paintGrid(env, model);
  return {
    cost: { ...size, gridS, pictureS: gridS / 10 },
    source: `as this machine painted one just now on ${env.PROVIDERS.join(',')}`,
  };
}

async function readPace(env: Env, model: string): Promise<Pick<ModelCost, 'gridS' | 'pictureS'> | undefined> {
  const redis = await connectRedis(producerConnection(env));
  try {
    const [grid, picture] = await redis.hmget(keys.pace, `${model} imagine`, `${model} upscale-subtle`);
    if (grid == null) return undefined;
    const gridS = Number(grid) / 1000;
    return { gridS, pictureS: picture == null ? gridS / 10 : Number(picture) / 1000 };
  } finally {
    redis.disconnect();
  }
}

/** Paints two grids and times the second: the first one warms up. */
async function paintGrid(env: Env, model: InstalledModel): Promise<number> {
  const engine = openEngine({
    providers: env.PROVIDERS,
    threads: env.THREADS,
    deadlineMs: env.JOB_DEADLINE_S * 1000,
    onProviderMissing: (text) => process.stderr.write(`${text}\n`),
  });
  try {
    const { native, defaults } = model.manifest;
    const request = {
      prompt: 'a lighthouse at dawn',
      negative: '',
      seeds: [1, 2, 3, 4],
      width: native.width,
      height: native.height,
      guidance: defaults.guidance,
      scheduler: { name: defaults.scheduler },
    };
    await engine.generate(model, { ...request, steps: 1 });
    const began = performance.now();
    await engine.generate(model, { ...request, steps: defaults.steps });
    return (performance.now() - began) / 1000;
  } finally {
    await engine.close();
  }
}

const round = (value: number, digits = 1): string =>
  Number.isFinite(value) ? Number(value.toFixed(digits)).toLocaleString('en') : 'for ever';
const gigabytes = (bytes: number): string =>
  bytes >= 1e9 ? `${round(bytes / 1e9)} GB` : `${round(bytes / 1e6)} MB`;

function describe(
  asked: { users: number; perDay: number; peakShare: number; waitS: number; model: string; keepDays: number },
  cost: ModelCost,
  source: string,
  plan: Plan,
): string {
  const { discordLimit } = ASSUMED;
  const discord = plan.discordASecond / discordLimit;
  const kept = asked.keepDays === 0 ? 'a year (KEEP_DAYS=0 keeps all)' : `KEEP_DAYS=${asked.keepDays}`;
  return [
    `${asked.users.toLocaleString('en')} people, ${round(asked.perDay, 3)} grids a day each, on ${asked.model} (${cost.width} × ${cost.height}, ${round(cost.gridS, 2)} s a grid, ${source}).`,
    `That is ${round(plan.jobsADay, 0)} jobs a day, ${round(plan.jobsASecond, 3)} a second in the busiest hour, ${round(plan.serviceS, 2)} s each.`,
    '',
    'workers  busy    wait, mean  wait, 95 % below',
    ...plan.waits.map(
      ({ workers, busy, meanS, p95S }) =>
        `${String(workers).padStart(7)}  ${`${round(100 * busy, 0)} %`.padEnd(6)}  ${`${round(meanS)} s`.padEnd(10)}  ${round(p95S)} s${workers === plan.workers ? '   <- enough' : ''}`,
    ),
    '',
    `workers  ${plan.workers}, one a GPU, for at most ${round(asked.waitS)} s in line`,
    `Redis    ${gigabytes(plan.redisBytes)} (maxmemory at least ${gigabytes(1.5 * plan.redisBytes)}), ${round(100 * plan.redisLoad)} % of its one thread${plan.redisLoad > 0.7 ? ': more than one Redis carries; make two installations of it' : ''}`,
    `bucket   ${gigabytes(plan.bucketBytesADay)} a day, ${gigabytes(plan.bucketBytesKept)} kept in ${kept}`,
    `Discord  ${round(plan.discordASecond)} requests a second of the ${discordLimit} that one bot may make${discord > 0.8 ? ': too many; previews go first and by themselves, then results are late. Use several bots, or ask Discord for more' : ''}`,
    '',
    'Assumed:',
    `  ${round(100 * asked.peakShare)} % of a day's jobs come in its busiest hour (--peak), in bursts (squared variation ${ASSUMED.arrivals}; of the jobs' lengths ${ASSUMED.services})`,
    `  ${ASSUMED.picturesPerGrid} clicks on U for each grid; variations and edits count as grids`,
    `  one job at a time on a worker: what batching adds comes on top`,
    `  Redis: ${ASSUMED.openBytes / 1000} kB for a job of the last hour, ${ASSUMED.rememberedBytes / 1000} kB for one of the last ${ASSUMED.rememberedDays} days, ${ASSUMED.redisS * 1000} ms of its thread`,
    `  PNGs of ${ASSUMED.bytesPerPixel} bytes a pixel; four pictures, their latents and the sheet for a grid; U doubles width and height; nobody's ❤️ keeps any longer`,
    `  Discord: acknowledgement, result, a preview every ${ASSUMED.previewEveryS} s`,
  ].join('\n');
}
