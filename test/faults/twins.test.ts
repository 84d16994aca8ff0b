import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../playground/index.ts';
import { keys } from '../../shared/queue/redis.ts';
import { type FaultStack, SOON_MS, startFaultStack, until } from '../support/faults.ts';
import { isMessage, type TestProcess } from '../support/processes.ts';
import { type FaultProxy, startProxy } from '../support/proxy.ts';
import { passOn, type Relay, startRelay } from '../support/relay.ts';
import { isGrid } from '../support/stack.ts';

/** What must not be told of a job that is queued: that nothing will come. And the other way about. */
let behind = 0;
/** Discord's clock, behind ours by as much as makes the bot acknowledge before anything else. */
const clock: Clock = { ...systemClock, now: () => Date.now() - behind };
let stack: FaultStack;
let relay: Relay;
let proxy: FaultProxy;
let bot: TestProcess;
let worker: TestProcess;

beforeAll(async () => {
  stack = await startFaultStack({ playground: { clock }, env: { DAILY_JOBS: '1000' } });
  [relay, proxy] = await Promise.all([startRelay(stack.playground.url), startProxy(stack.redis.port)]);
  const throughProxy = stack.redis.url.replace(String(stack.redis.port), String(proxy.port));
  [bot, worker] = await Promise.all([
    stack.startBot({ DISCORD_API: relay.api, REDIS_URL: throughProxy }),
    stack.startWorker(),
  ]);
});
afterAll(async () => {
  await stack?.close();
  await relay?.close();
  await proxy?.close();
});
beforeEach(() => {
  behind = 0;
  relay.forge = passOn;
});
afterEach(() => stack.expectClean());

const queued = (jobId: string): Promise<unknown> =>
  bot.logged((event) => event.msg === 'queued' && event['jobId'] === jobId);
const usedToday = async (): Promise<string[]> => {
  const [key] = await stack.redis.client.keys(keys.used('all', stack.playground.users.member, '*'));
  return key === undefined ? [] : stack.redis.client.smembers(key);
};

it('row 19: delivered twice, and Discord fails the one that acknowledged: one message, and no word of a failure', async () => {
  const { playground } = stack;
  const { trouble } = playground;
  behind = 2_500;
  relay.forge = (event, data) => (event === 'INTERACTION_CREATE' ? [data, structuredClone(data)] : [data]);
  trouble.add({ match: /^PATCH \/webhooks/, kind: '500', times: 4 }); // discord.js asks four times
  const handle = await stack.imagine('a failing twin');
  const refused = () =>
    playground.requests.filter(({ method, status }) => method === 'PATCH' && status === 500);
  await until(() => refused().length === 4, 'the bot gives up');
  await bot.logged((event) => event.msg === 'delivered again' && event['interactionId'] === handle.id);
  await queued(handle.id);
  await stack.grid(handle);
  expect(stack.messagesOf(handle)).toHaveLength(1);
  expect(handle.followups).toEqual([]);
  expect(stack.gpuRuns(handle.id)).toBe(1);
});

it('row 19: two bots that acknowledge before anything else: the one that is first goes on alone', async () => {
  const twin = await stack.startBot();
  behind = 2_500;
  const handle = await stack.imagine('two bots, both late');
  await stack.grid(handle);
  const left = isMessage('another bot has it');
  await Promise.race([bot, twin].map((one) => one.logged(left)));
  expect([bot, twin].flatMap(({ events }) => events).filter(({ msg }) => msg === 'queued')).toHaveLength(2);
  expect(stack.messagesOf(handle)).toHaveLength(1);
  expect(handle.followups).toEqual([]);
  twin.signal('SIGTERM');
  expect(await twin.ended).toBe(0);
});

it('row 9: the connection to Redis breaks after it took the job: no "nothing was queued", one message', async () => {
  const cut = proxy.cutAt(/attachmentLimit/, 'after');
  const asked = stack.imagine('taken, and not said');
  await cut;
  await bot.logged((event) => event.msg === 'perhaps queued; adding it again');
  proxy.set('pass');
  const handle = await asked;
  await queued(handle.id);
  await stack.grid(handle);
  expect(stack.messagesOf(handle)).toHaveLength(1);
  expect(handle.followups).toEqual([]);
  expect(stack.gpuRuns(handle.id)).toBe(1);
});

it('row 9: Redis goes away between the first and the second of three jobs: "1 of 3", and the others count for nothing', async () => {
  const before = await usedToday();
  const cut = proxy.cutAt(/:owner:\d+\.1\b/, 'before');
  const handle = await stack.imagine('three of them --repeat 3');
  await cut;
  const told = await stack.playground.waitFor(() => handle.followups[0], SOON_MS, 'the private word');
  proxy.set('pass');
  expect(told.ephemeral).toBe(true);
  expect(told.embeds[0]?.['title']).toBe('Only a part is on its way');
  expect(told.embeds[0]?.['description']).toContain('1 of 3 jobs are queued');
  await stack.grid(handle);
  await until(async () => (await usedToday()).length === before.length + 1, 'two jobs are given back');
  expect(await usedToday()).toContain(handle.id);
  expect(await stack.queues.deliver.getJob(`d-${handle.id}.1`)).toBeUndefined();
  expect(
    stack.playground.messages().filter((message) => isGrid(message) && message.content.includes('three of')),
  ).toHaveLength(1);
});

it('row 20: bot SIGKILL between a further job and its message: the worker posts it', async () => {
  const { trouble } = stack.playground;
  trouble.add({ match: /^POST \/channels\/\d+\/messages/, kind: 'hang', times: 100 });
  const handle = await stack.imagine('killed in between --repeat 2');
  const further = `${handle.id}.1`;
  await queued(further);
  bot.signal('SIGKILL');
  await bot.ended;
  trouble.clear();
  await worker.logged((event) => event.msg === 'delivered' && event['jobId'] === further);
  await stack.grid(handle);
  const found = stack.playground.messages().filter(({ content }) => content.includes('killed in between'));
  expect(found.map(isGrid)).toEqual([true, true]);
});
