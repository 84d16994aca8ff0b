import type { Queue } from 'bullmq';
import { expect } from 'vitest';
import type { InteractionHandle, MessageView, PersonName } from '../../playground/index.ts';
import { openQueues, type Queues } from '../../shared/queue/queue.ts';
import { workerConnection } from '../../shared/queue/redis.ts';
import { engineOf, type TestProcess } from './processes.ts';
import { CANARY, leaksIn } from './secrets.ts';
import { isGrid, type Stack, type StackOptions, startStack } from './stack.ts';
import { type ModelsFolder, makeModels } from './tinyModel.ts';

/**
 * A stack for breaking: the tiny model (a grid takes a second), logs as in production, secrets that can be
 * recognised anywhere, and the questions that every fault ends with.
 */
export interface FaultStack extends Stack {
  models: ModelsFolder | undefined;
  /** The test's own look into the queues. */
  queues: Queues;
  imagine(prompt: string, who?: PersonName): Promise<InteractionHandle>;
  press(message: MessageView, label: string, who?: PersonName): Promise<InteractionHandle>;
  /** The grid that a handle's message became; it must be acknowledged. */
  grid(handle: InteractionHandle, deadlineMs?: number): Promise<MessageView>;
  /** The handle's message, once it satisfies. */
  shown(
    handle: InteractionHandle,
    done: (message: MessageView) => boolean,
    deadlineMs?: number,
  ): Promise<MessageView>;
  /** How often the engine painted for a job: starts, less those that found the picture in the store. */
  gpuRuns(jobId: string): number;
  /** Everything in the channel that belongs to this interaction. */
  messagesOf(handle: InteractionHandle): MessageView[];
  /** Whatever was broken is over: nothing reserved, queued, half-written, invalid or leaked. */
  expectClean(): Promise<void>;
}

export { CANARY };

/** Some of the playground's people read Vietnamese. */
export const ENGLISH = { locale: 'en-US' } as const;

/** Deadline of a wait that should end at once: others work on the same cores. */
export const SOON_MS = 120_000;

export async function startFaultStack(options: StackOptions = {}): Promise<FaultStack> {
  const own = process.env['TEST_MODELS_DIR'];
  const models = own ? undefined : await makeModels();
  const stack = await startStack({
    ...options,
    env: {
      MODELS_DIR: own ?? (models as ModelsFolder).root,
      DEFAULT_MODEL: 'tiny',
      LOG_LEVEL: 'info',
      THREADS: '1',
      ...options.env,
    },
  });
  const { playground, processes } = stack;
  const queues = openQueues(workerConnection(stack.redis.url));
  const eventsOf = (jobId: string, msg: string) =>
    processes.flatMap(({ events }) => events).filter((event) => event.jobId === jobId && event.msg === msg);

  const shown: FaultStack['shown'] = (handle, done, deadlineMs = SOON_MS) =>
    playground
      .waitFor(
        () => (handle.message && done(handle.message) ? handle.message : undefined),
        deadlineMs,
        'the message',
      )
      .catch((error: Error) => {
        const last = processes.map(({ lines }) => lines.slice(-6).join('\n')).join('\n--\n');
        const text = JSON.stringify([handle.state, handle.message?.content, handle.message?.embeds]);
        throw new Error(`${error.message}; it is ${text}\n${last}`);
      });

  return {
    ...stack,
    models,
    queues,
    imagine: (prompt, who = 'member') =>
      playground.run(playground.users[who], 'imagine', { prompt: `${CANARY.prompt} ${prompt}` }, ENGLISH),
    press: (message, label, who = 'member') =>
      playground.click(playground.users[who], message.id, label, ENGLISH),
    shown,
    grid: async (handle, deadlineMs) => {
      expect(handle.state).toBe('acknowledged');
      return shown(handle, isGrid, deadlineMs);
    },
    gpuRuns: (jobId) =>
      eventsOf(jobId, 'painting').length -
      eventsOf(jobId, 'painted').filter(({ engineMs }) => engineMs === 0).length,
    messagesOf: (handle) =>
      playground
        .messages()
        .filter(
          (message) =>
            message.interaction?.id === handle.id ||
            message.attachments.some(({ filename }) => filename.includes(handle.id)),
        ),
    expectClean: async () => {
      await until(async () => (await stack.redis.client.exists('{dreamgrid}:open')) === 0, 'no reservation');
      await until(async () => (await countOpen(queues)) === 0, 'an empty queue');
      expect(await stack.redis.client.keys('{dreamgrid}:asking:*')).toEqual([]);
      expect(await stack.temporaryFiles()).toEqual([]);
      expect(playground.violations).toEqual([]);
      expectNoLeak(stack);
    },
    close: async () => {
      await queues.close();
      await stack.close();
      await models?.remove();
    },
  };
}

/** Jobs that still wait or run, of all kinds. */
export async function countOpen(queues: Queues): Promise<number> {
  const open = ['waiting', 'prioritized', 'active', 'delayed', 'waiting-children'] as const;
  const counts = await Promise.all([
    queues.render.getJobCountByTypes(...open),
    queues.deliver.getJobCountByTypes(...open),
    queues.ask.getJobCountByTypes(...open),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Takes every wait of a job for over, as long as `work` lasts: the waits between attempts double up to minutes. */
export async function withoutWaits<T>(queue: Queue, id: string, work: Promise<T>): Promise<T> {
  const promoting = setInterval(async () => {
    const job = await queue.getJob(id);
    if (await job?.isDelayed()) await job?.promote().catch(() => undefined);
  }, 100);
  return work.finally(() => clearInterval(promoting));
}

/** One figure of a process's `/metrics`, by its name with labels as printed there; undefined where it is not. */
export async function figureOf(port: number, series: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

/** No token, password or prompt in any line that any process wrote. */
export function expectNoLeak({ processes }: Pick<Stack, 'processes'>): void {
  const secrets = [CANARY.botToken, CANARY.redisPassword];
  for (const { lines } of processes) expect(leaksIn(lines, secrets)).toEqual([]);
}

/** Asks again until it is so: for Redis and files, which do not call back. */
export async function until(
  ask: () => Promise<boolean> | boolean,
  what: string,
  deadlineMs = SOON_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

/** What `/readyz` of a process says; empty = ready, undefined = it does not answer. */
export async function problemsOf(port: number): Promise<string[] | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(10_000) });
    return ((await answer.json()) as { problems: string[] }).problems;
  } catch {
    return undefined;
  }
}

/** Holds a job in the middle: the worker's engine is stopped (SIGSTOP) as soon as it paints this job. */
export async function holdEngine(worker: TestProcess, jobId: string): Promise<() => void> {
  await worker.logged((event) => event.msg === 'painting' && event.jobId === jobId);
  const pid = await engineOf(worker);
  process.kill(pid, 'SIGSTOP');
  return () => process.kill(pid, 'SIGCONT');
}
