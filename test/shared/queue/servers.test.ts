/** Redis as it is really run: replicas, clusters, sentinels, users with few rights, Valkey. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { tellWrongServer, wrongServer } from '../../../shared/queue/failover.ts';
import { release, reserve } from '../../../shared/queue/fairness.ts';
import { probeRedis } from '../../../shared/queue/probe.ts';
import {
  addJob,
  cancelJob,
  openDeliverWorker,
  openQueues,
  openRenderWorker,
  outcomeOf,
} from '../../../shared/queue/queue.ts';
import {
  checkRedis,
  connectRedis,
  keys,
  producerConnection,
  workerConnection,
} from '../../../shared/queue/redis.ts';
import { announce, listWorkers } from '../../../shared/queue/registry.ts';
import { readEnv } from '../../../shared/service/env.ts';
import { makeJob } from '../../support/jobs.ts';
import { type FaultProxy, startProxy } from '../../support/proxy.ts';
import { freePort, startRedis, type TestRedis } from '../../support/redis.ts';

let primary: TestRedis;
let replica: TestRedis;
beforeAll(async () => {
  [primary, replica] = await Promise.all([startRedis(), startRedis()]);
  await follow(replica, primary);
});
afterAll(() => Promise.all([primary?.close(), replica?.close()]));

/** Until the link is up, so that a promotion loses nothing. */
async function follow(follower: TestRedis, leader: TestRedis): Promise<void> {
  await follower.client.replicaof('127.0.0.1', leader.port);
  await vi.waitFor(
    async () => expect(await follower.client.info('replication')).toContain('master_link_status:up'),
    {
      timeout: 60_000,
    },
  );
}

/** What a process would say before it ends. */
async function refusal(url: string, more: Record<string, string> = {}): Promise<string> {
  const redis = await connectRedis(producerConnection(readEnv({ REDIS_URL: url, ...more })));
  try {
    return await probeRedis(redis).then(
      () => '',
      (error: Error) => error.message,
    );
  } finally {
    redis.disconnect();
  }
}

const withUser = (user: string, password = 'few') => `redis://${user}:${password}@127.0.0.1:${primary.port}`;

describe('the start', () => {
  it('takes a Redis that does all', async () => expect(await refusal(primary.url)).toBe(''));

  it('refuses a replica', async () => {
    const line = await refusal(replica.url);
    expect(line).toMatch(
      /^REDIS_URL leads to a replica \(127\.0\.0\.1:\d+\).*primary's address.*REDIS_SENTINEL/,
    );
  });

  it('refuses a database that is not there, which ioredis would pass over', async () => {
    expect(await refusal(`${primary.url}/99`)).toMatch(
      /^REDIS_URL: there is no database 99 at .*"databases"/,
    );
    expect(await refusal(`${primary.url}/15`)).toBe('');
  });

  it.each([
    ['channels', ['~*', '+@all', 'resetchannels'], /may not use the channels \{dreamgrid\}:\*/],
    ['INFO', ['~*', '&*', '+@all', '-info'], /may not run INFO/],
    ['other keys', ['~other:*', '&*', '+@all'], /may not write the keys \{dreamgrid\}:\*/],
    ['scripts', ['~*', '&*', '+@all', '-@scripting'], /may not run scripts/],
    ['streams', ['~*', '&*', '+@all', '-xadd'], /may not run scripts on the keys/],
  ])('refuses a user without %s, and says where the line is that suffices', async (name, rules, says) => {
    const user = `no-${name.replaceAll(' ', '-').toLowerCase()}`;
    await primary.client.call('ACL', 'SETUSER', user, 'on', '>few', ...rules);
    const line = await refusal(withUser(user));
    expect(line).toMatch(says);
    expect(line).toMatch(new RegExp(`^REDIS_URL: the user "${user}" at .*docs/operations\\.md`));
    expect(line).not.toContain('\n');
  });

  it('names a percent sign in the password that is none', () => {
    const at = readEnv({ REDIS_URL: 'redis://:a%zz@127.0.0.1:6379' });
    expect(() => producerConnection(at)).toThrow(
      'REDIS_URL: the password has a % that is no escape; a % itself is written %25.',
    );
  });
});

describe('a node of a cluster', () => {
  let folder: string;
  const nodes: ChildProcess[] = [];
  const ports: number[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dreamgrid-cluster-'));
    for (const name of ['a', 'b']) {
      const port = await freePort();
      ports.push(port);
      const words = [
        '--bind',
        '127.0.0.1',
        '--port',
        String(port),
        '--cluster-port',
        String(await freePort()),
      ];
      const files = ['--dir', folder, '--dbfilename', `${name}.rdb`, '--cluster-config-file', `${name}.conf`];
      nodes.push(
        spawn('redis-server', [...words, ...files, '--cluster-enabled', 'yes', '--save', ''], {
          stdio: 'ignore',
        }),
      );
    }
    // Half of the slots each; they need not know each other to refuse.
    const halves = [
      [0, 8191],
      [8192, 16383],
    ] as const;
    for (const [i, [from, to]] of halves.entries()) {
      const node = new Redis({ host: '127.0.0.1', port: ports[i]!, retryStrategy: () => 50 });
      node.on('error', () => undefined);
      await node.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
      node.disconnect();
    }
  });
  afterAll(async () => {
    for (const node of nodes) node.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  it.each([0, 1])('is refused with a word, whether it holds the slot or not (node %i)', async (i) => {
    const line = await refusal(`redis://127.0.0.1:${ports[i]}`);
    expect(line).toMatch(
      /^REDIS_URL leads to a node of a Redis Cluster \(.*without cluster mode, or REDIS_SENTINEL/,
    );
  });
});

describe('the ACL line of docs/operations.md', () => {
  it('suffices for all that bot and workers do', async () => {
    const page = await readFile(resolve(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
    const line = /^ACL SETUSER (dreamgrid on >PASSWORD .*)$/m.exec(page)?.[1];
    expect(line).toBeDefined();
    await primary.client.call('ACL', 'SETUSER', ...(line as string).replace('PASSWORD', 'enough').split(' '));
    await everything(withUser('dreamgrid', 'enough'));
    // What it did not need all the same.
    const log = (await primary.client.call('ACL', 'LOG', '100')) as string[][];
    expect(log.filter((entry) => entry.join(' ').includes('username dreamgrid'))).toEqual([]);
  });
});

const found = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const valkey = found('valkey-server') ? (['valkey-server'] as const) : [];

it.each(['redis-server', ...valkey] as const)('everything runs on a %s', async (program) => {
  const server = await startRedis({ program });
  onTestFinished(() => server.close());
  await everything(server.url);
  const redis = await connectRedis(producerConnection(server.url));
  expect(await checkRedis(redis, { production: true, unsafe: false })).toEqual([]);
  redis.disconnect();
});

/** The start, the registry, the fair queue, a flow from enqueueing to the parent, a cancel by message. */
async function everything(url: string): Promise<void> {
  const redis = await connectRedis(producerConnection(url));
  const queues = openQueues(redis);
  const connection = workerConnection(url);
  const render = openRenderWorker(connection, async ({ data }) => ({ jobId: data.jobId }) as never);
  const ended = new Promise<string>((resolve, reject) => {
    const deliver = openDeliverWorker(connection, async (job) => resolve((await outcomeOf(job)).kind));
    deliver.on('error', reject);
    onTestFinished(() => deliver.close(true));
    void deliver.run();
  });
  onTestFinished(async () => {
    await render.close(true);
    await queues.close();
    redis.disconnect();
  });
  void render.run();
  await probeRedis(redis);
  await checkRedis(redis, { production: false, unsafe: false });
  await announce(redis, { id: 'w', models: [] });
  expect(await listWorkers(redis)).toHaveLength(1);
  const job = makeJob({ jobId: '1190000000000000042' });
  const { user, jobId } = job.render;
  expect(await reserve(redis, { userId: user.id, jobId, maxPerUser: 5, maxAll: 50 })).toMatchObject({
    ok: true,
  });
  await addJob(queues, job, 1);
  expect(await ended).toBe('done');
  expect(await cancelJob(queues, redis, jobId)).toBe(false);
  await release(redis, user.id, jobId);
}

describe('failover', () => {
  it.each([
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ["READONLY You can't write against a read only replica. script: 1f, on @user_script:1.", 'READONLY'],
    ["ERR Error running script (call to f_1f): @user_script:1: -READONLY You can't write", 'READONLY'],
    ['MOVED 3999 127.0.0.1:6381', 'MOVED'],
    ['LOADING Redis is loading the dataset in memory', 'LOADING'],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'MASTERDOWN'],
    ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    [
      'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
      'UNBLOCKED',
    ],
    ["OOM command not allowed when used memory > 'maxmemory'.", undefined],
    ["ERR unknown command 'MOVED', with args beginning with:", undefined],
  ])('%s', (message, word) => expect(wrongServer(new Error(message))).toBe(word));

  let relay: FaultProxy;
  let one: TestRedis;
  let two: TestRedis;
  beforeAll(async () => {
    [one, two] = await Promise.all([startRedis(), startRedis()]);
    relay = await startProxy(one.port);
  });
  afterAll(() => Promise.all([relay?.close(), one?.close(), two?.close()]));
  const url = () => one.url.replace(String(one.port), String(relay.port));

  /** The other server becomes the primary behind the same name; what is open stays where it is. */
  async function failOver(): Promise<void> {
    const [old, next] = relay.target === one.port ? [one, two] : [two, one];
    await follow(next, old);
    await next.client.replicaof('NO', 'ONE');
    await old.client.replicaof('127.0.0.1', next.port);
    relay.target = next.port;
  }
  const current = () => (relay.target === one.port ? one : two);

  it("the bot's connection: one command is refused, and the next reaches the new primary", async () => {
    const told: object[] = [];
    const log = { warn: (fields: object) => told.push(fields) };
    const redis = await connectRedis(producerConnection(url(), undefined, tellWrongServer(log)));
    onTestFinished(() => redis.disconnect());
    await failOver();
    await expect(redis.set('a', '1')).rejects.toThrow('READONLY');
    await vi.waitFor(() => redis.set('a', '2'), { timeout: 20_000 });
    expect(await current().client.get('a')).toBe('2');
    expect(told).toEqual([{ answer: 'READONLY', command: 'set' }]);
  });

  it('a flow of jobs, whose refusal stands inside of a transaction', async () => {
    const redis = await connectRedis(producerConnection(url()));
    const queues = openQueues(redis);
    onTestFinished(async () => {
      await queues.close();
      redis.disconnect();
    });
    const job = makeJob({ jobId: '1190000000000000043' });
    await queues.flow.waitUntilReady();
    await failOver();
    await expect(addJob(queues, job, 1)).rejects.toThrow('READONLY');
    await vi.waitFor(() => addJob(queues, job, 1), { timeout: 20_000 });
    expect(await current().client.exists('{dreamgrid}:deliver:d-1190000000000000043')).toBe(1);
  });

  it("a worker's scripts are sent again, so that a finished job is finished once", async () => {
    await current().client.flushall();
    const connection = workerConnection(url());
    const queues = openQueues(await connectRedis(producerConnection(current().url)));
    onTestFinished(async () => {
      await queues.close();
      queues.shared?.disconnect();
    });
    let runs = 0;
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    let started = (): void => undefined;
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    const worker = openRenderWorker(connection, async ({ data }) => {
      runs++;
      started();
      await held;
      return { jobId: data.jobId } as never;
    });
    onTestFinished(() => worker.close(true));
    worker.on('error', () => undefined); // its wait for the next job is refused too
    const completed = new Promise((resolve) => worker.on('completed', resolve));
    void worker.run();
    await addJob(queues, makeJob({ jobId: '1190000000000000044' }), 1);
    await running;
    await failOver();
    go();
    await completed;
    expect(runs).toBe(1);
    expect(
      await current().client.zscore('{dreamgrid}:render:completed', 'g-1190000000000000044'),
    ).not.toBeNull();
  });

  it("a worker's job that failed by it is tried again on the new primary", async () => {
    await current().client.flushall();
    const connection = workerConnection(url());
    const own = await connectRedis(connection);
    const queues = openQueues(await connectRedis(producerConnection(current().url)));
    let runs = 0;
    let started = (): void => undefined;
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const worker = openRenderWorker(connection, async ({ data }) => {
      runs++;
      started();
      await held;
      await own.set('painted', runs);
      return { jobId: data.jobId } as never;
    });
    worker.on('error', () => undefined);
    onTestFinished(async () => {
      await worker.close(true);
      await queues.close();
      queues.shared?.disconnect();
      own.disconnect();
    });
    const completed = new Promise((resolve) => worker.on('completed', resolve));
    void worker.run();
    await addJob(queues, makeJob({ jobId: '1190000000000000045' }), 1);
    await running;
    await failOver();
    go();
    await completed;
    expect(runs).toBe(2);
    expect(await current().client.get('painted')).toBe('2');
  });

  it('a primary that lost its replicas, and a replica that lost its primary', async () => {
    const words: string[] = [];
    const redis = await connectRedis(
      producerConnection(current().url, undefined, (word) => words.push(word)),
    );
    onTestFinished(() => redis.disconnect());
    await current().client.config('SET', 'min-replicas-to-write', '5');
    await expect(redis.set('a', '1')).rejects.toThrow('NOREPLICAS');
    await current().client.config('SET', 'min-replicas-to-write', '0');
    await vi.waitFor(() => redis.ping(), { timeout: 20_000 });
    await current().client.config('SET', 'replica-serve-stale-data', 'no');
    await current().client.replicaof('127.0.0.1', 1);
    await expect(redis.get('a')).rejects.toThrow('MASTERDOWN');
    expect(words).toEqual(['NOREPLICAS', 'MASTERDOWN']);
  });
});

describe('Sentinel', () => {
  it('gives the primary, and the next one after a failover', async () => {
    const [first, second] = await Promise.all([startRedis(), startRedis()]);
    onTestFinished(async () => {
      await Promise.all([first.close(), second.close()]);
    });
    await follow(second, first);
    const folder = await mkdtemp(join(tmpdir(), 'dreamgrid-sentinel-'));
    const port = await freePort();
    const file = join(folder, 'sentinel.conf');
    await writeFile(
      file,
      [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        'requirepass watch',
        `sentinel monitor mymaster 127.0.0.1 ${first.port} 1`,
        `sentinel auth-pass mymaster ${first.password}`,
        'sentinel down-after-milliseconds mymaster 60000',
        'sentinel failover-timeout mymaster 10000',
      ].join('\n'),
    );
    const sentinel = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
    const asked = new Redis({ port, password: 'watch', retryStrategy: () => 50, maxRetriesPerRequest: null });
    asked.on('error', () => undefined);
    onTestFinished(async () => {
      asked.disconnect();
      sentinel.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    });
    // It learns of the replica from the primary.
    await vi.waitFor(
      async () =>
        expect(JSON.stringify(await asked.call('SENTINEL', 'replicas', 'mymaster'))).toContain('slave'),
      { timeout: 60_000, interval: 200 },
    );
    const at = readEnv({
      REDIS_URL: `redis://:${first.password}@ignored/0`,
      REDIS_SENTINEL: `mymaster@127.0.0.1:${port}`,
      REDIS_SENTINEL_PASSWORD: 'watch',
    });
    const redis = await connectRedis(producerConnection(at));
    onTestFinished(() => redis.disconnect());
    await probeRedis(redis);
    expect(await checkRedis(redis, { production: true, unsafe: false })).toEqual([]);
    await redis.set(keys.swept, 'before');
    expect(await first.client.get(keys.swept)).toBe('before');

    await vi.waitFor(() => asked.call('SENTINEL', 'failover', 'mymaster'), {
      timeout: 60_000,
      interval: 500,
    });
    await vi.waitFor(
      async () => {
        expect(await second.client.info('replication')).toContain('role:master');
        await redis.set(keys.swept, 'after');
        expect(await second.client.get(keys.swept)).toBe('after');
      },
      { timeout: 90_000, interval: 200 },
    );
  });

  it('refuses what it cannot read, and a password without sentinels', () => {
    expect(() => readEnv({ REDIS_SENTINEL: 'sentinel:26379' })).toThrow(
      /REDIS_SENTINEL: expected NAME@HOST:PORT/,
    );
    expect(() => producerConnection(readEnv({ REDIS_SENTINEL_PASSWORD: 'x' }))).toThrow(
      'REDIS_SENTINEL_PASSWORD is for REDIS_SENTINEL, which is not set.',
    );
  });
});
