import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reserve } from '../../shared/queue/fairness.ts';
import type { DeliverJob } from '../../shared/queue/job.ts';
import { addJob, cancelJob, openQueues, type Queues } from '../../shared/queue/queue.ts';
import { keys, workerConnection } from '../../shared/queue/redis.ts';
import { jobsAtOnce, jobsOf } from '../../worker/jobs.ts';
import type { LoadedInfo } from '../../worker/process/protocol.ts';
import { figureOf, until } from '../support/faults.ts';
import { CHANNEL, MESSAGE, makeJob } from '../support/jobs.ts';
import { isMessage, startProcess, type TestProcess } from '../support/processes.ts';
import { type Recorder, startRecorder } from '../support/recorder.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';
import { type ModelsFolder, makeModels } from '../support/tinyModel.ts';

/** The worker's real process with several jobs at a time, on a real Redis. */
let redis: TestRedis;
let recorder: Recorder;
let folder: ModelsFolder;
let queues: Queues;
let dataDir: string;
let worker: TestProcess;
let port: number;

beforeAll(async () => {
  [redis, recorder, folder] = await Promise.all([startRedis(), startRecorder(), makeModels()]);
  queues = openQueues(workerConnection(redis.url));
  dataDir = await mkdtemp(join(tmpdir(), 'dreamgrid-data-'));
  // Long enough to be caught in the middle, whatever the machine; a draft has two steps.
  await folder.writeManifest('tiny', {
    defaults: { steps: 1000, guidance: 7, scheduler: 'EulerDiscreteScheduler' },
  });
  port = await freePort();
  worker = startProcess('worker/main.ts', {
    REDIS_URL: redis.url,
    DISCORD_API: recorder.api,
    DISCORD_TOKEN: 'bot-canary',
    DATA_DIR: dataDir,
    MODELS_DIR: folder.root,
    DEFAULT_MODEL: 'tiny',
    THREADS: '1',
    MAX_BATCH: '4',
    MAX_RUNNING_JOBS: '2',
    BATCH: 'together',
    HEALTH_PORT: String(port),
  });
  await worker.logged(isMessage('worker ready'));
});
afterAll(async () => {
  worker.signal('SIGKILL');
  await worker.ended;
  await queues.close();
  await Promise.all([redis.close(), recorder.close(), folder.remove()]);
  await rm(dataDir, { recursive: true, force: true });
});

const MAI = '1000000000000000011';
const AN = '1000000000000000012';

async function submit(userId: string, draft: boolean): Promise<string> {
  const job: DeliverJob = makeJob({
    user: { id: userId, name: 'mai' },
    params: draft ? { draft: true } : {},
  });
  const { jobId } = job.render;
  await redis.client.set(keys.token(jobId), 'token-canary', 'EX', 900);
  await redis.client.set(keys.message(jobId), `${CHANNEL}:${MESSAGE}`);
  const place = await reserve(redis.client, { userId, jobId, maxPerUser: 50, maxAll: 50 });
  await addJob(queues, job, place.ok ? place.priority : 1);
  return jobId;
}
const said = (msg: string, jobId: string) =>
  worker.logged((event) => event.msg === msg && event.jobId === jobId);
const at = (msg: string, jobId: string): number =>
  worker.events.findIndex((event) => event.msg === msg && event.jobId === jobId);

it('paints several jobs at a time, a short one beside long ones, and of one user no more than are allowed', async () => {
  const [first, second] = [await submit(MAI, false), await submit(MAI, false)];
  await Promise.all([said('painting', first), said('painting', second)]);
  const third = await submit(MAI, true);
  const short = await submit(AN, true);
  await said('painted', short);
  expect(at('painted', first)).toBe(-1);
  // There is room for two more here, but not for two more of hers.
  expect(at('painting', third)).toBe(-1);
  expect(await redis.client.zcard(keys.running(MAI))).toBe(2);
  // Two grids of four guided pictures in one call.
  const upTo = (rows: string) => figureOf(port, `dreamgrid_call_rows_bucket{le="${rows}"}`);
  await until(async () => ((await upTo('16')) ?? 0) > ((await upTo('8')) ?? 0), 'a call of both grids');

  await cancelJob(queues, redis.client, first);
  await said('cancelled', first);
  await said('painted', third);
  expect(at('painting', third)).toBeGreaterThan(at('cancelled', first));
  expect(at('painted', second)).toBe(-1);

  // Given back at the second signal, both that run go to other workers.
  const fourth = await submit(AN, false);
  await said('painting', fourth);
  worker.signal('SIGTERM');
  await worker.logged(isMessage('stopping')); // two that wait are one signal
  worker.signal('SIGTERM');
  await Promise.all([said('given back to the queue', second), said('given back to the queue', fourth)]);
  expect(await worker.ended).toBe(0);
  expect(await queues.render.getPrioritizedCount()).toBe(2);
});

it('takes as many jobs as the device has memory for', () => {
  const info = (provider: string, mostRows?: number): LoadedInfo =>
    ({ provider, ...(mostRows === undefined ? {} : { mostRows }) }) as LoadedInfo;
  expect(jobsAtOnce(5, info('cpu'))).toBe(5);
  expect(jobsAtOnce(0, info('cpu'))).toBe(1);
  expect(jobsAtOnce(0, info('cuda'))).toBe(2);
  expect(jobsAtOnce(0, info('cuda', 34))).toBe(5);
  expect([2, 8, 16, 64].map(jobsOf)).toEqual([2, 2, 3, 9]);
});
