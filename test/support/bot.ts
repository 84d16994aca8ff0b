import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import {
  type InteractionHandle,
  type MessageView,
  type Playground,
  type PlaygroundOptions,
  startPlayground,
} from '../../playground/index.ts';
import type { LoraCard } from '../../shared/picture/lora.ts';
import type { DeliverJob, ModelCard, RenderRequest } from '../../shared/queue/job.ts';
import { deliverId, renderId, renderRequestSchema } from '../../shared/queue/job.ts';
import { openQueues, type Queues } from '../../shared/queue/queue.ts';
import { keys, workerConnection } from '../../shared/queue/redis.ts';
import { announce } from '../../shared/queue/registry.ts';
import { isMessage, startProcess, type TestProcess } from './processes.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { CANARY } from './secrets.ts';
import { expectNoPings } from './stack.ts';

/** A real bot process against a local Discord and a real Redis; no worker, so that jobs stay to be looked at. */
export interface Scene {
  discord: Playground;
  redis: TestRedis;
  queues: Queues;
  bot: TestProcess;
  dataDir: string;
  env: Record<string, string>;
  render(jobId: string): Promise<RenderRequest | undefined>;
  /** What was asked of the workers, as soon as the bot queued it. */
  requestOf(jobId: string): Promise<RenderRequest>;
  deliver(jobId: string): Promise<DeliverJob | undefined>;
  /** Id of the message that carries a job, as soon as the bot noted it. */
  messageOf(jobId: string): Promise<string>;
  /** Ids of all render jobs that wait. */
  waiting(): Promise<string[]>;
  /** Forgets every job; the worker that announced itself stays. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

export const pocket: ModelCard = {
  name: 'pocket',
  title: 'Pocket',
  description: 'small',
  family: 'sd',
  native: { width: 64, height: 64 },
  buckets: [[64, 64]],
  defaults: { steps: 20, guidance: 5, scheduler: 'DDIMScheduler' },
  draft: { steps: 8 },
  hash: '0123456789abcdef',
  upscale: true,
};

/** A model that reads pictures as what they are about. */
export const reader: ModelCard = {
  ...pocket,
  name: 'tiny-unclip',
  family: 'unclip',
  pictureEmbedding: true,
  parameters: { aspect: { supported: false } },
};

/** Ids of the local Discord's people, the same each time. */
export const PEOPLE: Playground['users'] = {
  member: '1190000000000000010',
  stranger: '1190000000000000011',
  moderator: '1190000000000000012',
  owner: '1190000000000000013',
};

/** Announcements live 15 s; this one is repeated for as long as the scene is open. */
const REPEAT_MS = 3_000;

export interface SceneOptions {
  env?: Record<string, string>;
  /** Stands between the bot and the local Discord. @returns what the bot finds there */
  between?: (discord: Playground) => Promise<Record<string, string>>;
  playground?: PlaygroundOptions;
  worker?: boolean;
  /** Installed beside pocket. */
  models?: readonly ModelCard[];
  /** Installed where they paint. */
  loras?: readonly LoraCard[];
}

/**
 * One scene for the tests of a `describe`: open before them, emptied after each, which must not have broken a rule of
 * Discord's, and closed at the end. What it gives is the scene from the first test on.
 */
export function useScene(options?: SceneOptions): Scene {
  let scene: Scene | undefined;
  beforeAll(async () => {
    scene = await openScene(options);
    expect(scene.discord.users).toEqual(PEOPLE);
  }, 240_000);
  afterAll(() => scene?.close());
  afterEach(async () => {
    expect(scene?.discord.violations).toEqual([]);
    scene?.discord.trouble.clear();
    await scene?.empty();
  });
  return new Proxy({} as Scene, { get: (_, name) => Reflect.get(scene as Scene, name) });
}

/** What somebody alone was told: in place of the answer, or after it. */
export const told = ({ followups, message }: InteractionHandle): MessageView | undefined =>
  followups[0] ?? message;

/** The title of it. */
export function refusal(handle: InteractionHandle): string | undefined {
  expect(told(handle)?.ephemeral).toBe(true);
  return told(handle)?.embeds[0]?.['title'];
}

export async function openScene(options: SceneOptions = {}): Promise<Scene> {
  const [discord, redis, dataDir] = await Promise.all([
    startPlayground({ token: CANARY.botToken, ...options.playground }),
    startRedis(),
    mkdtemp(join(tmpdir(), 'dreamgrid-bot-')),
  ]);
  const say = async () => {
    if (options.worker !== false)
      await announce(redis.client, {
        id: 'test',
        models: [pocket, ...(options.models ?? [])],
        ...(options.loras ? { loras: [...options.loras] } : {}),
      }).catch(() => undefined);
  };
  await say();
  const timer = setInterval(say, REPEAT_MS);
  const env = {
    REDIS_URL: redis.url,
    DISCORD_TOKEN: discord.token,
    DISCORD_API: discord.api,
    DISCORD_CDN: discord.url,
    DATA_DIR: dataDir,
    LOG_LEVEL: 'info',
    ...options.env,
    ...(await options.between?.(discord)),
  };
  const bot = startProcess('bot/main.ts', env);
  await bot.logged(isMessage('bot ready'));
  const queues = openQueues(workerConnection(redis.url));
  return {
    discord,
    redis,
    queues,
    bot,
    dataDir,
    env,
    render: async (jobId) => (await queues.render.getJob(renderId(jobId)))?.data,
    requestOf: async (jobId) => {
      await bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === jobId);
      return renderRequestSchema.parse((await queues.render.getJob(renderId(jobId)))?.data);
    },
    deliver: async (jobId) => (await queues.deliver.getJob(deliverId(jobId)))?.data,
    messageOf: (jobId) =>
      vi.waitFor(
        async () => {
          const at = await redis.client.get(keys.message(jobId));
          if (at === null) throw new Error(`no message of ${jobId}`);
          return at.split(':')[1] as string;
        },
        { timeout: 20_000 },
      ),
    waiting: async () =>
      (await queues.render.getJobs(['prioritized', 'waiting'])).map(({ id }) => id as string),
    async empty() {
      await redis.client.flushall();
      await say();
    },
    async close() {
      clearInterval(timer);
      bot.signal('SIGKILL');
      await bot.ended;
      await queues.close();
      await discord.close();
      await redis.close();
      await rm(dataDir, { recursive: true, force: true });
      expectNoPings(discord);
    },
  };
}
