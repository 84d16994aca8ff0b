import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Clock } from '../../playground/index.ts';
import { systemClock } from '../../playground/index.ts';
import { deliverId } from '../../shared/queue/job.ts';
import {
  ENGLISH,
  type FaultStack,
  figureOf,
  holdEngine,
  startFaultStack,
  until,
  withoutWaits,
} from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';
import { freePort } from '../support/redis.ts';
import { isGrid } from '../support/stack.ts';

/** Discord answers late, wrongly, twice or not at all; messages vanish and tokens expire. */
let ahead = 0;
/** Discord's clock, which a test moves ahead of everybody else's. */
const clock: Clock = { ...systemClock, now: () => Date.now() + ahead };
let stack: FaultStack;
let worker: TestProcess;
let port: number;

const patchesOf = (token: string) =>
  stack.playground.requests.filter(({ method, path }) => method === 'PATCH' && path.includes(token));
const delivered = (jobId: string) =>
  worker.logged((event) => event.msg === 'delivered' && event.jobId === jobId);
/** As long as `work` lasts, no attempt to deliver waits. */
const hurry = <T>(jobId: string, work: Promise<T>): Promise<T> =>
  withoutWaits(stack.queues.deliver, deliverId(jobId), work);
const released = () =>
  until(
    async () => (await stack.redis.client.exists('{dreamgrid}:open')) === 0,
    'the reservation is released',
  );

beforeAll(async () => {
  stack = await startFaultStack({ playground: { clock } });
  port = await freePort();
  [, worker] = await Promise.all([stack.startBot(), stack.startWorker({ HEALTH_PORT: String(port) })]);
});
afterAll(() => stack?.close());

it('row 13: Discord 429 on an edit: waits as told, a single final edit, progress dropped and not queued up', async () => {
  stack.playground.trouble.add({
    match: /^PATCH \/webhooks/,
    kind: '429',
    retryAfter: 1.5,
    times: 3,
  });
  const handle = await stack.imagine('rate limited');
  await stack.grid(handle);
  await delivered(handle.id);
  const patches = patchesOf(handle.token);
  const good = patches.filter(({ status }) => status === 200);
  expect(patches.filter(({ status }) => status === 429)).toHaveLength(3);
  const finals = good.filter(({ body }) => JSON.stringify(body).includes('U1'));
  expect(finals).toHaveLength(1);
  expect(good.at(-1)).toBe(finals[0]);
  const lastRefusal = patches.filter(({ status }) => status === 429).at(-1)!;
  expect(finals[0]!.at - lastRefusal.at).toBeGreaterThanOrEqual(1_500);
  expect(await figureOf(port, 'dreamgrid_discord_answers_total{status="429"}')).toBe(3);
});

it('row 14: Discord 500s, broken connections and time-outs, ten in a row: delivery alone retries, one message, painted once', async () => {
  const { trouble } = stack.playground;
  for (let i = 0; i < 4; i++) {
    trouble.add({ match: /^PATCH \/webhooks/, kind: '500' });
    trouble.add({ match: /^PATCH \/webhooks/, kind: 'reset' });
  }
  trouble.add({ match: /^PATCH \/webhooks/, kind: '500' });
  trouble.add({ match: /^PATCH \/webhooks/, kind: 'hang' }); // half a minute
  const handle = await stack.imagine('ten outages');
  await hurry(handle.id, stack.grid(handle, 200_000));
  await delivered(handle.id);
  const failure = 'dreamgrid_failures_total{code="discord-transient"}';
  expect(await figureOf(port, failure)).toBeGreaterThan(5);
  expect(patchesOf(handle.token).filter(({ status }) => status === 0 || status === 500)).toHaveLength(10);
  expect(stack.gpuRuns(handle.id)).toBe(1);
  expect(stack.messagesOf(handle)).toHaveLength(1);
});

it('row 14: Discord 500s for longer than its owner waits: the next job is taken, and in the end one message each, also one that failed meanwhile', async () => {
  const healed = stack.playground.trouble.add({ match: /^PATCH /, kind: '500', times: Infinity });
  const handle = await stack.imagine('a long outage');
  const spoilt = await stack.imagine('whose picture is lost in a long outage');
  const attempts = async ({ id }: { id: string }): Promise<number> =>
    (await stack.queues.deliver.getJob(deliverId(id)))?.attemptsMade ?? 0;
  const outage = until(
    async () => (await attempts(handle)) > 14 && (await attempts(spoilt)) > 14,
    'more attempts than seventeen minutes of doubling waits hold',
  );
  await hurry(handle.id, hurry(spoilt.id, outage));
  await released();
  const waiting = (await stack.queues.deliver.getJob(deliverId(handle.id)))!;
  expect(await waiting.isFailed()).toBe(false);
  expect(waiting.opts.attempts).toBeGreaterThan(700);
  expect(waiting.stacktrace?.length ?? 0).toBeLessThanOrEqual(1);
  await rm(join(stack.dataDir, spoilt.id), { recursive: true });
  ahead += 16 * 60_000; // the tokens are over by then
  healed();
  const told = stack.shown(spoilt, ({ content }) => content.includes('(Failed)'));
  await hurry(handle.id, hurry(spoilt.id, Promise.all([stack.grid(handle), told])));
  for (const one of [handle, spoilt]) {
    await delivered(one.id);
    expect(stack.messagesOf(one)).toHaveLength(1);
    expect(stack.gpuRuns(one.id)).toBe(1);
  }
  await stack.expectClean();
});

it('row 15: answer lost after a successful create: one message', async () => {
  const before = stack.playground.messages().length;
  stack.playground.trouble.add({ match: /^POST \/interactions/, kind: 'lost-answer' });
  stack.playground.trouble.add({ match: /^POST \/channels\/\d+\/messages/, kind: 'lost-answer' });
  const handle = await stack.imagine('lost answers --repeat 2');
  await stack.grid(handle);
  await delivered(`${handle.id}.1`);
  const after = stack.playground.messages().slice(before);
  expect(after).toHaveLength(2);
  expect(after.every(isGrid)).toBe(true);
});

it('row 15: the answer to the only create lost, and tried again when the nonce is too old: one message', async () => {
  const { trouble, requests } = stack.playground;
  trouble.add({ match: /^POST \/interactions/, kind: '500', times: 4 }); // discord.js asks four times
  trouble.add({ match: /^POST \/channels\/\d+\/messages/, kind: 'lost-answer' });
  const handle = await stack.imagine('posted, and not said');
  const before = requests.length;
  const posted = () =>
    requests.slice(before).some(({ method, path }) => `${method} ${path}`.startsWith('POST /channels'));
  const now = ahead;
  const ageing = setInterval(() => {
    if (posted()) ahead = now + 6 * 60_000;
  }, 100);
  await hurry(handle.id, delivered(handle.id)).finally(() => clearInterval(ageing));
  expect(stack.messagesOf(handle).map(isGrid)).toEqual([true]);
});

it('row 15: a preview that Discord applies after the picture: the picture is shown again, in the same message', async () => {
  stack.playground.trouble.add({ match: /^PATCH \/webhooks/, kind: 'late', delayMs: 6_000 });
  const handle = await stack.imagine('overtaken --quality 4'); // with steps enough for a preview
  const grids = () => patchesOf(handle.token).filter(({ body }) => JSON.stringify(body).includes('U1'));
  await worker.logged((event) => event.msg === 'shown again' && event['jobId'] === handle.id);
  await stack.grid(handle);
  expect(grids()).toHaveLength(2);
  await stack.expectClean();
  expect(stack.messagesOf(handle).map(isGrid)).toEqual([true]);
  expect(stack.gpuRuns(handle.id)).toBe(1);
});

it('row 16: token expired while it was painted: the same message is edited by its id, and the bot token still works', async () => {
  const handle = await stack.imagine('slow --seed 16');
  const go = await holdEngine(worker, handle.id);
  ahead += 16 * 60_000;
  go();
  await delivered(handle.id);
  expect(patchesOf(handle.token).some(({ status }) => status === 401)).toBe(true);
  await stack.grid(handle);
  expect(stack.messagesOf(handle)).toHaveLength(1);
  const next = await stack.imagine('after the expiry --repeat 2');
  await stack.grid(next);
  await delivered(`${next.id}.1`);
});

describe('a message that cannot be reached after the 15 minutes of its token', () => {
  const slowIn = async (channelId: string, prompt: string) => {
    const { playground } = stack;
    const { member } = playground.users;
    const handle = await playground.run(member, 'imagine', { prompt }, { channelId, ...ENGLISH });
    return { handle, go: await holdEngine(worker, handle.id) };
  };
  const gridsIn = (channelId: string) => stack.playground.messages(channelId).filter(isGrid);
  const dm = () => stack.playground.dm(stack.playground.users.member);

  it('in an archived thread: a new message opens it again and takes its place', async () => {
    const thread = stack.playground.openThread('foxes');
    const { handle, go } = await slowIn(thread, 'in a thread');
    ahead += 16 * 60_000;
    stack.playground.archive(thread);
    go();
    await delivered(handle.id);
    expect(stack.playground.messages(thread).map(isGrid)).toEqual([true]);
    // Its buttons find their job, and erasing it finds the message.
    const at = await stack.redis.client.get(`{dreamgrid}:message:${handle.id}`);
    expect(at).toBe(`${thread}:${stack.playground.messages(thread)[0]!.id}`);
  });

  it('in a locked thread: a direct message to its owner', async () => {
    const before = gridsIn(dm()).length;
    const thread = stack.playground.openThread('locked');
    const { handle, go } = await slowIn(thread, 'in a locked thread');
    ahead += 16 * 60_000;
    stack.playground.archive(thread, true);
    go();
    await delivered(handle.id);
    expect(gridsIn(thread)).toEqual([]);
    expect(gridsIn(dm())).toHaveLength(before + 1);
  });

  it('in a channel that the bot may not see any more: a direct message to its owner, one', async () => {
    const before = gridsIn(dm()).length;
    const thread = stack.playground.openThread('hidden');
    const { handle, go } = await slowIn(thread, 'in a hidden channel');
    ahead += 16 * 60_000;
    stack.playground.hide(thread);
    stack.playground.trouble.add({ match: /^POST .channels.*messages/, kind: 'lost-answer' });
    go();
    await hurry(handle.id, delivered(handle.id));
    expect(gridsIn(dm())).toHaveLength(before + 1);
  });

  it('a failure is told there too', async () => {
    const thread = stack.playground.openThread('failed');
    const { handle, go } = await slowIn(thread, 'cancelled in a hidden channel');
    ahead += 16 * 60_000;
    stack.playground.hide(thread);
    await stack.redis.client.set(`{dreamgrid}:cancelled:${handle.id}`, '1');
    await stack.redis.client.publish('{dreamgrid}:cancel', handle.id);
    go();
    await delivered(handle.id);
    expect(JSON.stringify(stack.playground.messages(dm()).at(-1))).toContain('cancelled in a hidden channel');
  });
});

it('row 17: message deleted while it was painted: ends quietly, reservation released, nothing new is posted', async () => {
  const { playground } = stack;
  const handle = await stack.imagine('deleted meanwhile');
  const go = await holdEngine(worker, handle.id);
  playground.dismiss(playground.users.moderator, handle.message!.id);
  const before = playground.messages().length;
  go();
  await worker.logged((event) => event.msg === 'message or channel is gone' && event['jobId'] === handle.id);
  await released();
  expect(playground.messages()).toHaveLength(before);
});

it('row 17: channel deleted while it was painted: ends quietly, reservation released', async () => {
  const { playground } = stack;
  const { users, loungeId } = playground;
  const handle = await playground.run(
    users.member,
    'imagine',
    { prompt: 'in a channel that goes' },
    { channelId: loungeId, ...ENGLISH },
  );
  const go = await holdEngine(worker, handle.id);
  ahead += 16 * 60_000; // by token Discord would name the message, which is gone with its channel
  playground.removeChannel(loungeId);
  go();
  await worker.logged((event) => event.msg === 'message or channel is gone' && event['jobId'] === handle.id);
  await released();
  const answers = playground.requests.filter(({ path }) => path.startsWith(`/channels/${loungeId}/`));
  expect(answers.map(({ answer }) => (answer as { code?: number }).code)).toEqual([10003]);
});

it('row 33: Discord’s clock ten minutes ahead of ours, then ten behind: nothing is lost', async () => {
  for (const minutes of [10, -10]) {
    ahead = minutes * 60_000;
    await stack.grid(await stack.imagine(`clock ${minutes}`));
  }
  ahead = 0;
});

it('row 33: a worker whose clock is ten minutes behind bot and Redis: nothing is lost', async () => {
  worker.signal('SIGTERM');
  await worker.ended;
  const shift = 'const now = Date.now; Date.now = () => now() - 600000;';
  worker = await stack.startWorker({
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(shift)}`,
  });
  await Promise.all(['one', 'two', 'three'].map(async (word) => stack.grid(await stack.imagine(word))));
  stack.playground.trouble.add({ match: /^PATCH \/webhooks/, kind: '500', times: 3 });
  const retried = await stack.imagine('retried with a clock behind');
  await hurry(retried.id, stack.grid(retried));
  expect(stack.gpuRuns(retried.id)).toBe(1);
  await stack.expectClean();
});

it('row 18: the bot may send no messages in the channel any more (50013): one attempt there, then a direct message', async () => {
  const { playground } = stack;
  worker.signal('SIGTERM');
  await worker.ended;
  worker = await stack.startWorker();
  playground.trouble.add({ match: /^POST \/interactions/, kind: '500', times: 4 }); // discord.js asks four times
  playground.mute(playground.channelId);
  const handle = await stack.imagine('nowhere to be shown');
  await hurry(handle.id, delivered(handle.id));
  await released();
  const posts = playground.requests.filter(
    ({ method, path }) => method === 'POST' && path === `/channels/${playground.channelId}/messages`,
  );
  expect(posts.filter(({ status }) => status === 403)).toHaveLength(1);
  expect(stack.messagesOf(handle)).toEqual([]);
  const { member } = playground.users;
  expect(playground.messages(playground.dm(member)).some(isGrid)).toBe(true);
});

it('row 18: nor a direct message: logged, reservation released', async () => {
  const { playground } = stack;
  playground.closeDm(playground.users.member);
  playground.trouble.add({ match: /^POST \/interactions/, kind: '500', times: 4 });
  const handle = await stack.imagine('nobody to be told');
  const warned = worker.logged((event) => event.msg === 'cannot post here' && event['jobId'] === handle.id);
  const { level, err } = await hurry(handle.id, warned);
  expect(level).toBe('warn');
  expect(err).toMatchObject({ code: 50007 });
  await released();
});

it('row 18: the bot thrown out: one attempt, logged, reservation released', async () => {
  worker.signal('SIGTERM');
  await worker.ended;
  // The bot was thrown out: its token is no longer taken, and the interaction's has expired.
  worker = await stack.startWorker({ DISCORD_TOKEN: 'revoked.canary-bot-token.MTE5' });
  const handle = await stack.imagine('no permission');
  const go = await holdEngine(worker, handle.id);
  ahead += 16 * 60_000;
  go();
  const warning = await worker.logged(
    (event) => event.msg === 'cannot post here' && event['jobId'] === handle.id,
  );
  expect(warning['level']).toBe('warn');
  await released();
  const byId = stack.playground.requests.filter(
    ({ method, path }) => method === 'PATCH' && path.endsWith(`/messages/${handle.message!.id}`),
  );
  expect(byId).toHaveLength(1);
  await stack.expectClean();
});
