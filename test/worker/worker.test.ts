import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readRecipe } from '../../shared/picture/png.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { openFolderStore, pictureKeys, type Store } from '../../shared/picture/store.ts';
import { reserve } from '../../shared/queue/fairness.ts';
import { type DeliverJob, renderId } from '../../shared/queue/job.ts';
import { addJob, cancelJob, openQueues, type Queues } from '../../shared/queue/queue.ts';
import { keys, workerConnection } from '../../shared/queue/redis.ts';
import { listWorkers } from '../../shared/queue/registry.ts';
import { APPLICATION, CHANNEL, MESSAGE, makeJob, snowflake, USER } from '../support/jobs.ts';
import { isMessage, startProcess, type TestProcess } from '../support/processes.ts';
import { type Recorded, type Recorder, startRecorder } from '../support/recorder.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';
import { type ModelsFolder, makeModels } from '../support/tinyModel.ts';

/** The worker's real process on a real Redis, with a Discord that can be told to fail. */
let redis: TestRedis;
let recorder: Recorder;
let folder: ModelsFolder;
let queues: Queues;
let dataDir: string;
let store: Store;
let workers: TestProcess[] = [];

beforeAll(async () => {
  [redis, recorder, folder] = await Promise.all([startRedis(), startRecorder(), makeModels()]);
  queues = openQueues(workerConnection(redis.url));
});
beforeEach(async () => {
  await redis.client.config('SET', 'maxmemory', '0');
  recorder.requests.length = 0;
  recorder.answer = () => undefined;
  await redis.client.flushall();
  dataDir = await mkdtemp(join(tmpdir(), 'dreamgrid-data-'));
  store = await openFolderStore(dataDir);
});
afterEach(async () => {
  for (const worker of workers) {
    if (worker.process.exitCode === null) worker.signal('SIGKILL');
    await worker.ended;
  }
  workers = [];
  await rm(dataDir, { recursive: true, force: true });
});
afterAll(async () => {
  await queues.close();
  await Promise.all([redis.close(), recorder.close(), folder.remove()]);
});

const launch = (env: Record<string, string> = {}): TestProcess => {
  const worker = startProcess('worker/main.ts', {
    REDIS_URL: redis.url,
    DISCORD_API: recorder.api,
    DISCORD_TOKEN: 'bot-canary',
    DATA_DIR: dataDir,
    MODELS_DIR: folder.root,
    DEFAULT_MODEL: 'tiny',
    ...env,
  });
  workers.push(worker);
  return worker;
};
const start = async (env?: Record<string, string>): Promise<TestProcess> => {
  const worker = launch(env);
  await worker.logged(isMessage('worker ready'));
  return worker;
};

/** As the bot does it: token, place of the message, a reservation, both jobs. */
async function submit(job: DeliverJob, acknowledged = true): Promise<void> {
  const { jobId } = job.render;
  if (acknowledged) {
    await redis.client.set(keys.token(jobId), 'token-canary', 'EX', 900);
    await redis.client.set(keys.message(jobId), `${CHANNEL}:${MESSAGE}`);
  }
  const place = await reserve(redis.client, { userId: USER, jobId, maxPerUser: 50, maxAll: 50 });
  await addJob(queues, job, place.ok ? place.priority : 1);
}
const isGrid = ({ body }: Recorded): boolean => JSON.stringify(body).includes('|upscale|0|');
const isPreview = ({ files }: Recorded): boolean => files[0]?.name === 'preview.webp';
const released = async (): Promise<boolean> => (await redis.client.exists(keys.openAll)) === 0;
const waitUntil = async (check: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 60_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('not within a minute');
    await new Promise((wait) => setImmediate(wait));
  }
};
/** Long enough to be caught in the middle, whatever the machine. */
const slow = { params: { quality: 4 }, model: 'tiny' } as const;
const forEver = async (): Promise<void> =>
  folder.writeManifest('tiny', {
    defaults: { steps: 1000, guidance: 7, scheduler: 'EulerDiscreteScheduler' },
  });
const quick = (): Promise<void> => folder.writeManifest('tiny');

describe('a job', () => {
  it('is painted, stored and put on its message: previews, then the grid, then nothing', async () => {
    await folder.writeManifest('tiny', {
      defaults: { steps: 60, guidance: 7, scheduler: 'EulerDiscreteScheduler' },
    });
    const worker = await start();
    await quick();
    expect(await listWorkers(redis.client)).toMatchObject([{ models: [{ name: 'tiny' }] }]);
    const job = makeJob();
    const { jobId } = job.render;
    await submit(job);
    const final = await recorder.saw(isGrid);
    await waitUntil(released);

    expect(recorder.requests.at(-1)).toBe(final);
    expect(recorder.requests.some(isPreview)).toBe(true);
    expect(new Set(recorder.requests.map(({ method, path }) => `${method} ${path}`))).toEqual(
      new Set([`PATCH /api/v10/webhooks/${APPLICATION}/token-canary/messages/@original`]),
    );
    expect(final.body['allowed_mentions']).toEqual({ parse: [], users: [USER] });
    const [file] = final.files;
    expect(file!.name).toBe(`mai_a_fox_in_the_snow_${jobId}.png`);
    const { width, height } = await sharp(file!.bytes).metadata();
    expect([width, height]).toEqual([128, 128]);
    expect(file!.bytes.equals((await store.get(pictureKeys.grid(jobId)))!)).toBe(true);

    const recipe = JSON.parse((await redis.client.get(keys.recipe(jobId)))!) as Recipe;
    expect(readRecipe(file!.bytes)).toEqual(recipe);
    expect(recipe).toMatchObject({ seed: 7, count: 4, steps: 60, model: 'tiny' });
    expect(Number(await redis.client.hget(keys.pace, 'tiny'))).toBeGreaterThan(0);
    for (let i = 0; i < 4; i++) {
      expect(await store.has(pictureKeys.picture(jobId, i))).toBe(true);
      expect(await store.has(pictureKeys.latents(jobId, i))).toBe(true);
    }
    const logs = worker.lines.join('\n');
    expect(logs).not.toMatch(/canary|a fox in the snow/);
  });

  it('U, V and an upscaled picture start from what was stored, and from the recipe when that is gone', async () => {
    await start();
    const grid = makeJob();
    await submit(grid);
    await recorder.saw(isGrid);
    const recipe = JSON.parse((await redis.client.get(keys.recipe(grid.render.jobId)))!) as Recipe;
    const parent = { jobId: grid.render.jobId, index: 2, recipe };
    const fileOf = async (
      action: 'upscale-subtle' | 'upscale-creative' | 'vary-strong' | 'vary-subtle',
      from = parent,
    ) => {
      const job = makeJob({ action, parent: from, seed: 9 });
      await submit(job);
      const final = await recorder.saw(
        ({ body, files }) => files[0]?.name.includes(job.render.jobId) === true && 'components' in body,
      );
      return { jobId: job.render.jobId, bytes: final.files[0]!.bytes };
    };
    const actions = ['upscale-subtle', 'upscale-creative', 'vary-subtle', 'vary-strong'] as const;
    const before = [];
    for (const action of actions) before.push(await fileOf(action));
    const first = readRecipe(before[0]!.bytes)!;
    expect(first).toMatchObject({ action: 'upscale-subtle', width: 128, count: 1, parent: { index: 2 } });
    const third = await sharp(await store.get(pictureKeys.picture(parent.jobId, 2)))
      .resize(128, 128)
      .raw()
      .toBuffer();
    const shown = await sharp(before[0]!.bytes).raw().toBuffer();
    const off =
      third.reduce((sum, value, i) => sum + Math.abs(value - (shown[i] as number)), 0) / third.length;
    expect(off).toBeLessThan(3);

    await store.remove(parent.jobId);
    for (const [i, action] of actions.entries()) {
      if (i === 2) await store.remove(parent.jobId);
      const after = await fileOf(action);
      const raw = await Promise.all(
        [before[i]!.bytes, after.bytes].map((bytes) => sharp(bytes).raw().toBuffer()),
      );
      expect(raw[0]!.equals(raw[1]!), action).toBe(true);
    }
    // a variation of an enlarged picture goes back to the size it was painted in
    const enlarged = { jobId: before[0]!.jobId, index: 0, recipe: first };
    expect(readRecipe((await fileOf('vary-strong', enlarged)).bytes)).toMatchObject({ width: 64, count: 4 });
  });

  it('that was stored before is not painted again', async () => {
    const worker = await start({ DREAMGRID_FAULT: 'after-store:kill' });
    const job = makeJob();
    await submit(job);
    expect(await worker.ended).toBe('SIGKILL');
    const second = await start();
    await recorder.saw(isGrid);
    await waitUntil(released);
    expect(recorder.requests.filter(isGrid)).toHaveLength(1);
    const painted = second.events.find(isMessage('painted'))!;
    expect(painted).toMatchObject({ engineMs: 0 });
  });

  it('of another version, forged or for a model that is gone is told as failed and holds nothing up', async () => {
    await start();
    const gone = makeJob({ model: 'gone' });
    const forged = makeJob();
    // As if it had waited for a worker that has the model for longer than anybody would.
    await redis.client.set(keys.leftAt(renderId(gone.render.jobId)), 1);
    await submit(gone);
    await submit({ ...forged, render: { ...forged.render, evil: true } as never });
    await submit(makeJob());
    await recorder.saw(isGrid);
    const told = await recorder.saw(({ body }) => JSON.stringify(body).includes('Model missing'));
    expect(JSON.stringify(told.body)).toContain('gone');
    expect(await (await queues.render.getJob(renderId(gone.render.jobId)))!.getState()).toBe('failed');
  });
});

describe('stopping a job', () => {
  beforeEach(forEver);
  afterEach(quick);

  it('that runs: within seconds, and the message says so', async () => {
    const worker = await start();
    const job = makeJob({ ...slow });
    await submit(job);
    await recorder.saw(isPreview);
    expect(await cancelJob(queues, redis.client, job.render.jobId)).toBe(true);
    const told = await recorder.saw(({ body }) => String(body['content']).includes('(Cancelled)'));
    await waitUntil(released);
    expect(recorder.requests.at(-1)).toBe(told);
    expect(worker.events.some(isMessage('cancelled'))).toBe(true);
    expect(worker.events.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('that waits', async () => {
    await start();
    const [running, waiting] = [makeJob({ ...slow }), makeJob()];
    await submit(running);
    await recorder.saw(isPreview);
    await submit(waiting, false);
    await cancelJob(queues, redis.client, waiting.render.jobId);
    const told = await recorder.saw(({ body }) => String(body['content']).includes('(Cancelled)'));
    expect(told.body['nonce']).toBe(waiting.render.jobId);
  });

  it('SIGTERM gives it back at the deadline, and another worker takes it', async () => {
    const worker = await start({ SHUTDOWN_S: '1' });
    const job = makeJob({ ...slow });
    await submit(job);
    await recorder.saw(isPreview);
    worker.signal('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(worker.events.some(isMessage('given back to the queue'))).toBe(true);
    expect(await listWorkers(redis.client)).toEqual([]);
    await quick();
    await start();
    await recorder.saw(isGrid);
  });

  it('SIGTERM lets a short one finish, and hands it out', async () => {
    await quick();
    await folder.writeManifest('tiny', {
      defaults: { steps: 100, guidance: 7, scheduler: 'EulerDiscreteScheduler' },
    });
    const worker = await start();
    await submit(makeJob());
    await recorder.saw(isPreview);
    worker.signal('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(recorder.requests.filter(isGrid)).toHaveLength(1);
    expect(worker.events.some(isMessage('given back to the queue'))).toBe(false);
  });
});

describe('the engine', () => {
  it('that crashes once is replaced and nobody notices', async () => {
    const marker = join(dataDir, 'crashed-once');
    const worker = await start({ DREAMGRID_FAULT: `engine-step:kill:2:${marker}` });
    await submit(makeJob());
    await recorder.saw(isGrid);
    expect(worker.events.filter(isMessage('the engine process is replaced'))).toHaveLength(1);
  });

  it('that crashes again and again is told, and the queue goes on', async () => {
    const worker = await start({ DREAMGRID_FAULT: 'engine-step:kill' });
    await submit(makeJob());
    await recorder.saw(({ body }) => JSON.stringify(body).includes('Painting failed'));
    await waitUntil(released);
    expect(worker.process.exitCode).toBeNull();
  });

  it('that has not enough memory is told as too large', async () => {
    await start({ DREAMGRID_FAULT: 'engine-step:out-of-memory' });
    await submit(makeJob());
    await recorder.saw(({ body }) => JSON.stringify(body).includes('Too large for this GPU'));
    await waitUntil(released);
  });

  it('that hangs is stopped at the deadline and told', async () => {
    await start({ DREAMGRID_FAULT: 'engine-step:hang', JOB_DEADLINE_S: '5' });
    await submit(makeJob());
    const told = await recorder.saw(({ body }) => JSON.stringify(body).includes('Took too long'));
    expect(JSON.stringify(told.body)).toContain('5 s');
  });
});

describe('delivery', () => {
  const isFinal = ({ body }: Recorded): boolean => isGrid({ body } as Recorded);

  it('goes by message id when the token is over', async () => {
    recorder.answer = ({ path }) =>
      path.includes('/webhooks/') ? { status: 401, body: { code: 50027 } } : undefined;
    await start();
    await submit(makeJob());
    const final = await recorder.saw((request) => isFinal(request) && request.path.includes('/channels/'));
    expect(final).toMatchObject({
      method: 'PATCH',
      path: `/api/v10/channels/${CHANNEL}/messages/${MESSAGE}`,
      authorization: 'Bot bot-canary',
    });
    await waitUntil(released);
  });

  it('creates one message with a nonce where none was acknowledged', async () => {
    await start();
    const job = makeJob();
    await submit(job, false);
    const final = await recorder.saw(isFinal);
    expect(final).toMatchObject({ method: 'POST', body: { nonce: job.render.jobId, enforce_nonce: true } });
    await waitUntil(released);
    expect(await redis.client.get(keys.message(job.render.jobId))).toBe(`${CHANNEL}:1100000000000000001`);
  });

  it('survives errors, hangs and broken connections of Discord without painting again', async () => {
    let left = 5;
    recorder.answer = (request) => {
      if (!isFinal(request) || left-- <= 0) return undefined;
      return left % 2 === 0 ? { status: 500, body: {} } : 'reset';
    };
    const worker = await start();
    await submit(makeJob());
    await waitUntil(released);
    expect(recorder.requests.filter(isFinal)).toHaveLength(6);
    expect(worker.events.filter(isMessage('painting'))).toHaveLength(1);
  });

  it('posts once although Redis takes no writes when it is done', async () => {
    recorder.answer = (request) => {
      if (isFinal(request)) void redis.client.config('SET', 'maxmemory', '1');
      return undefined;
    };
    const worker = await start();
    await submit(makeJob());
    await worker.logged(isMessage('not delivered'));
    await redis.client.config('SET', 'maxmemory', '0');
    await waitUntil(released);
    expect(recorder.requests.filter(isFinal)).toHaveLength(1);
  });

  it('waits as a 429 says and drops progress meanwhile', async () => {
    recorder.answer = (request) => {
      if (!isFinal(request)) return { status: 429, body: { retry_after: 60 } };
      const first = recorder.requests.filter(isFinal).length === 1;
      return first ? { status: 429, body: { retry_after: 0.3 } } : undefined;
    };
    await start();
    await submit(makeJob());
    await waitUntil(released);
    const finals = recorder.requests.filter(isFinal);
    expect(finals).toHaveLength(2);
    expect(finals[1]!.at - finals[0]!.at).toBeGreaterThan(290);
    expect(recorder.requests.filter((request) => !isFinal(request)).length).toBeLessThanOrEqual(1);
  });

  it.each([
    ['a deleted message', 404, 10008, 'message or channel is gone'],
    ['a lost permission', 403, 50013, 'cannot post here'],
    ['a payload that Discord refuses', 400, 50035, 'cannot post here'],
  ])('ends quietly at %s', async (_, status, code, says) => {
    recorder.answer = () => ({ status, body: { code } });
    const worker = await start();
    await submit(makeJob());
    await worker.logged(isMessage(says));
    await waitUntil(released);
    expect(recorder.requests.filter(isFinal)).toHaveLength(1);
  });

  it('sends WebP where the PNG is over the limit, and smaller where Discord says so', async () => {
    recorder.answer = (request) =>
      isFinal(request) && request.files[0]!.bytes.length > 8_000
        ? { status: 413, body: { code: 40005 } }
        : undefined;
    await start();
    const job = makeJob({}, { attachmentLimit: 30_000 });
    await submit(job);
    await waitUntil(released);
    const final = recorder.requests.filter(isFinal).at(-1)!;
    expect(final.files[0]).toMatchObject({ type: 'image/webp', name: expect.stringMatching(/\.webp$/) });
    expect(readRecipe(final.files[0]!.bytes)).toMatchObject({ seed: 7 });
    expect(await store.has(pictureKeys.grid(job.render.jobId))).toBe(true);
  });
});

describe('starting and health', () => {
  it.each([
    ['no model', { DEFAULT_MODEL: 'gone' }, /There is no model "gone"/],
    ['a wrong setting', { JOB_DEADLINE_S: 'soon' }, /JOB_DEADLINE_S: expected/],
    ['no Redis', { REDIS_URL: 'redis://127.0.0.1:1' }, /Redis does not answer at 127\.0\.0\.1:1/],
    ['no store', { DATA_DIR: '/dev/null/data' }, /DATA_DIR: cannot use/],
  ])('%s is one line and exit code 1', async (_, env, says) => {
    const worker = launch(env);
    expect(await worker.ended).toBe(1);
    const lines = worker.lines.filter((line) => !line.startsWith('{'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(says);
  });

  it('answers for its health, and turns red without Redis', async () => {
    const port = await freePort();
    await start({ HEALTH_PORT: String(port) });
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    expect(await get('/healthz')).toEqual({ status: 200, text: 'ok\n' });
    expect(await get('/readyz')).toEqual({ status: 200, text: '{"problems":[]}\n' });
    expect((await get('/metrics')).text).toContain('dreamgrid_paint_seconds');
    expect((await get('/else')).status).toBe(404);
    await redis.kill('SIGKILL');
    await waitUntil(async () => (await get('/readyz')).status === 503);
    await redis.start();
    await waitUntil(async () => (await get('/readyz')).status === 200);
    await submit(makeJob({ jobId: snowflake() }));
    await recorder.saw(isGrid);
  });
});
