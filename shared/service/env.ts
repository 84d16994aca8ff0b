import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError } from './errors.ts';

/**
 * The settings of all processes, one table. `npm start` reads `.env` first; README prints this table.
 * A wrong value stops the process with one line that names the variable and what it expects.
 */
const flag = z.enum(['0', '1', 'true', 'false']).transform((value) => value === '1' || value === 'true');
const port = z.coerce.number().int().min(0).max(65535);
const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);
/** A comma-separated list of Discord ids. */
const ids = list.pipe(z.array(z.string().regex(/^\d{15,20}$/))).default([]);

export const envTable = {
  REDIS_URL: {
    schema: z.url({ protocol: /^rediss?$/ }).default('redis://127.0.0.1:6379'),
    help: 'redis://[:password@]host:port or rediss:// for TLS',
  },
  REDIS_CA: {
    schema: z.string().min(1).optional(),
    help: 'file with the certificate (PEM) that signed the one of a rediss:// Redis; without it the public ones',
  },
  REDIS_SENTINEL: {
    schema: z
      .string()
      .regex(/^[^@,\s]+@[^@,\s]+(\s*,\s*[^@,\s]+)*$/)
      .optional(),
    help: 'NAME@HOST:PORT,HOST:PORT = the primary of that name is asked of these sentinels; REDIS_URL then gives user, password and database alone',
  },
  REDIS_SENTINEL_PASSWORD: {
    schema: z.string().min(1).optional(),
    help: 'password of the sentinels themselves, where they have one',
  },
  DISCORD_TOKEN: {
    schema: z.string().min(1).optional(),
    help: 'bot token; without it `npm start` opens the playground',
  },
  DISCORD_API: {
    schema: z.url().default('https://discord.com/api'),
    help: 'base of the REST API; set by the playground',
  },
  DISCORD_CDN: { schema: z.url().optional(), help: 'base of the CDN; set by the playground' },
  DISCORD_GUILD: {
    schema: z
      .string()
      .regex(/^\d{15,20}$/)
      .optional(),
    help: 'register commands in this server only (instant) instead of everywhere',
  },
  ALLOWED_GUILDS: {
    schema: ids,
    help: 'ids of the servers that the bot answers on, with commas; none = every server that it is invited to',
  },
  BLOCKED_USERS: {
    schema: ids,
    help: 'ids of people whom the bot answers nowhere, but for their own data, with commas',
  },
  DIRECT_MESSAGES: {
    schema: z.enum(['on', 'off']).default('on'),
    help: 'off = nothing outside servers is answered',
  },
  DATA_DIR: {
    schema: z.string().min(1).default('.dreamgrid/data'),
    help: 'folder of the picture store; bot and workers share it, unless STORE is set',
  },
  STORE: {
    schema: z
      .string()
      .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[\w-][\w.-]*)*\/?$/i)
      .optional(),
    help: 's3://bucket/prefix: pictures lie there instead of in DATA_DIR',
  },
  S3_ENDPOINT: {
    schema: z.url({ protocol: /^https?$/ }).optional(),
    help: 'address of the S3 server, where it is not AWS, for example https://s3.example.org',
  },
  S3_REGION: {
    schema: z.string().min(1).optional(),
    help: 'region of the bucket; without it AWS_REGION, or us-east-1',
  },
  S3_ACCESS_KEY: {
    schema: z.string().min(1).optional(),
    help: "key of the bucket; without it the environment's own credentials (AWS_… variables, a profile, a role)",
  },
  S3_SECRET_KEY: { schema: z.string().min(1).optional(), help: 'secret of that key' },
  MODELS_DIR: { schema: z.string().min(1).default('models'), help: 'folder with one folder a model' },
  DEFAULT_MODEL: {
    schema: z
      .string()
      .regex(/^[a-z0-9][\w.-]*$/i)
      .default('pocket'),
    help: 'model of a prompt without --model',
  },
  PROVIDERS: {
    schema: list.default(['cpu']),
    help: 'ONNX Runtime execution providers in order, e.g. cuda,cpu',
  },
  MODELS_RESIDENT: {
    schema: count(1, 64).default(1),
    help: 'models that a worker keeps loaded, where its memory allows; the one used least recently goes',
  },
  THREADS: { schema: count(0, 256).default(0), help: 'threads of the engine; 0 = physical cores' },
  MAX_BATCH: {
    schema: count(0, 64).default(0),
    help: "jobs that a worker paints at the same time; 0 = as many as the GPU's memory takes, 1 on the processor",
  },
  BATCH: {
    schema: z.enum(['auto', 'together', 'apart']).default('auto'),
    help: 'whether their rows share the calls of the network; apart = every job has its own, so that pictures are exact on a GPU too; auto = together on a GPU, apart on the processor',
  },
  JOB_DEADLINE_S: {
    schema: count(5, 86_400).default(600),
    help: 'a picture that takes longer is stopped and retried once',
  },
  MAX_OPEN_JOBS: { schema: count(1, 1000).default(13), help: 'jobs waiting or running for one user' },
  MAX_RUNNING_JOBS: {
    schema: count(1, 1000).default(3),
    help: 'jobs of one user that are painted at the same time, over all workers',
  },
  MAX_PER_SERVER: {
    schema: count(1, 1_000_000).default(1000),
    help: 'jobs waiting or running for one Discord server',
  },
  DAILY_JOBS: {
    schema: count(0, 1_000_000).default(0),
    help: 'jobs a day (UTC) for one user, wherever; 0 = no limit. A server may set its own in `/dreamgrid setup`',
  },
  SLOW_MODE_WAIT_S: {
    schema: count(0, 86_400).default(3600),
    help: 'when the expected wait is longer, everybody has one job at a time; 0 = never',
  },
  MODERATION: {
    schema: z.enum(['strict', 'on', 'off']).default('on'),
    help: 'word lists: slurs are refused, sexual words and gore outside age-restricted channels; strict = there too, whatever a server says',
  },
  SAFETY: {
    schema: z.enum(['block', 'blur', 'spoiler', 'off']).default('blur'),
    help: "what happens to a picture that a model's safety checker flags; a server may be stricter; off = not loaded",
  },
  KEEP_DAYS: {
    schema: count(0, 36_500).default(90),
    help: 'pictures that nobody favours leave DATA_DIR after so many days, and buttons paint them again; 0 = never',
  },
  MAX_QUEUE: { schema: count(1, 1_000_000).default(2000), help: 'jobs waiting or running in all' },
  SHUTDOWN_S: {
    schema: count(1, 600).default(25),
    help: 'seconds a running picture gets to finish on SIGTERM',
  },
  HEALTH_PORT: { schema: port.default(0), help: 'port of /healthz, /readyz, /metrics on 127.0.0.1; 0 = off' },
  HEALTH_HOST: { schema: z.string().default('127.0.0.1'), help: 'address that the health port listens on' },
  IMAGE_HOSTS: {
    schema: list.default(['cdn.discordapp.com', 'media.discordapp.net']),
    help: 'hosts that image prompts may come from',
  },
  LOG_LEVEL: {
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    help: 'prompt text appears at debug and below only',
  },
  REDIS_UNSAFE: {
    schema: flag.default(false),
    help: '1 = accept a Redis without password, AOF, noeviction or maxmemory although NODE_ENV=production',
  },
  NODE_ENV: {
    schema: z.string().default('development'),
    help: 'production: Redis must have a password, AOF, noeviction and maxmemory',
  },
} satisfies Record<string, { schema: z.ZodType; help: string }>;

type Table = typeof envTable;
export type Env = { [K in keyof Table]: z.output<Table[K]['schema']> };

/** @throws ConfigError naming every variable that is wrong, in one line. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Env {
  const env: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, { schema, help }] of Object.entries(envTable)) {
    const value = source[name] === '' ? undefined : source[name];
    const parsed = (schema as z.ZodType).safeParse(value);
    if (parsed.success) env[name] = parsed.data;
    else
      problems.push(
        `${name}: expected ${help}; got ${JSON.stringify(/TOKEN|URL|KEY|PASSWORD/.test(name) ? '…' : value)}`,
      );
  }
  if (problems.length > 0) throw new ConfigError(`Wrong setting: ${problems.join(' · ')}`);
  return env as Env;
}

/** A folder from the environment, absolute, relative to where the process was started. */
export const folder = (path: string): string => (isAbsolute(path) ? path : resolve(process.cwd(), path));
