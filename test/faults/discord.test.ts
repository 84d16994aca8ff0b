import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Clock } from '../../playground/index.ts';
import { systemClock } from '../../playground/index.ts';
import { type FaultStack, holdEngine, startFaultStack, until } from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';
import { isGrid } from '../support/stack.ts';

/** Discord answers late, wrongly, twice or not at all; messages vanish and tokens expire. */
let ahead = 0;
/** Discord's clock, which a test moves ahead of everybody else's. */
const clock: Clock = { ...systemClock, now: () => Date.now() + ahead };
let stack: FaultStack;
let worker: TestProcess;

const patchesOf = (token: string) =>
  stack.playground.requests.filter(({ method, path }) => method === 'PATCH' && path.includes(token));
const delivered = (jobId: string) =>
  worker.logged((event) => event.msg === 'delivered' && event.jobId === jobId);
const released = () =>
  until(
    async () => (await stack.redis.client.exists('{dreamgrid}:open')) === 0,
    'the reservation is released',
  );

beforeAll(async () => {
  stack = await startFaultStack({ playground: { clock } });
  [, worker] = await Promise.all([stack.startBot(), stack.startWorker()]);
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
});

it('row 14: Discord 500s and broken connections, ten in a row: delivery alone retries, one message, painted once', async () => {
  const { trouble } = stack.playground;
  for (let i = 0; i < 5; i++) {
    trouble.add({ match: /^PATCH \/webhooks/, kind: '500' });
    trouble.add({ match: /^PATCH \/webhooks/, kind: 'reset' });
  }
  const handle = await stack.imagine('ten outages');
  // The waits between attempts double up to minutes; whoever has no minutes promotes the waiting attempt.
  const promoting = setInterval(async () => {
    const job = await stack.queues.deliver.getJob(`d-${handle.id}`);
    if (await job?.isDelayed()) await job?.promote().catch(() => undefined);
  }, 100);
  await stack.grid(handle).finally(() => clearInterval(promoting));
  await delivered(handle.id);
  expect(patchesOf(handle.token).filter(({ status }) => status === 0 || status === 500)).toHaveLength(10);
  expect(stack.gpuRuns(handle.id)).toBe(1);
  expect(stack.messagesOf(handle)).toHaveLength(1);
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
  const promoting = setInterval(async () => {
    if (posted()) ahead = 6 * 60_000;
    const job = await stack.queues.deliver.getJob(`d-${handle.id}`);
    if (await job?.isDelayed()) await job?.promote().catch(() => undefined);
  }, 100);
  await delivered(handle.id).finally(() => clearInterval(promoting));
  ahead = 0;
  expect(stack.messagesOf(handle).map(isGrid)).toEqual([true]);
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
  await stack.grid(retried);
  expect(stack.gpuRuns(retried.id)).toBe(1);
  await stack.expectClean();
});

it('row 18: permission lost: one attempt, logged, reservation released', async () => {
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
