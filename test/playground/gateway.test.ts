import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type ManualClock, manualClock, type Playground, startPlayground } from '../../playground/index.ts';
import { request } from './rest.ts';

let pg: Playground;
let clock: ManualClock;
const open: WebSocket[] = [];
beforeEach(async () => {
  clock = manualClock();
  pg = await startPlayground({ clock });
});
afterEach(async () => {
  for (const ws of open.splice(0)) ws.terminate();
  await pg.close();
});

// biome-ignore lint/suspicious/noExplicitAny: frames of the protocol under test
type Frame = { op: number; t: string | null; s: number | null; d: any };

/** A bare client: frames in order, each read once. */
async function dial() {
  const { body } = await request(pg, 'GET', '/gateway/bot');
  const ws = new WebSocket(`${body.url}?v=10&encoding=json`);
  open.push(ws);
  const frames: Frame[] = [];
  const waiters: ((f: Frame) => void)[] = [];
  ws.on('message', (raw) => {
    const frame = JSON.parse(raw.toString()) as Frame;
    const waiter = waiters.shift();
    if (waiter) waiter(frame);
    else frames.push(frame);
  });
  const next = (): Promise<Frame> => {
    const frame = frames.shift();
    return frame ? Promise.resolve(frame) : new Promise((resolve) => waiters.push(resolve));
  };
  const send = (op: number, d: unknown) => ws.send(JSON.stringify({ op, d }));
  const closed = once(ws, 'close').then(([code]) => code as number);
  await once(ws, 'open');
  expect((await next()).op).toBe(10);
  return { ws, next, send, closed };
}

const identity = (token = pg.token) => ({
  token,
  intents: (1 << 0) | (1 << 9) | (1 << 10) | (1 << 12),
  properties: {},
});

async function ready() {
  const client = await dial();
  client.send(2, identity());
  const frame = await client.next();
  expect(frame.t).toBe('READY');
  expect((await client.next()).t).toBe('GUILD_CREATE');
  return { ...client, session: frame.d.session_id as string };
}

test('hello, identify, ready, guild, heartbeat', async () => {
  const client = await ready();
  client.send(1, 2);
  expect((await client.next()).op).toBe(11);
  expect(pg.gatewayConnected).toBe(true);
});

test('a wrong token is closed with 4004, a second identify with 4005, a stranger’s opcode with 4001', async () => {
  const wrong = await dial();
  wrong.send(2, identity('nonsense'));
  expect(await wrong.closed).toBe(4004);
  const twice = await ready();
  twice.send(2, identity());
  expect(await twice.closed).toBe(4005);
  const odd = await dial();
  odd.send(99, null);
  expect(await odd.closed).toBe(4001);
});

test('a dropped session resumes and hears what it missed, in order', async () => {
  const first = await ready();
  pg.trouble.dropGateway();
  await first.closed;
  pg.say(pg.users.member, 'one');
  pg.say(pg.users.member, 'two');
  const second = await dial();
  second.send(6, { token: pg.token, session_id: first.session, seq: 2 });
  const missed = [await second.next(), await second.next(), await second.next()];
  expect(missed.map((f) => f.t)).toEqual(['MESSAGE_CREATE', 'MESSAGE_CREATE', 'RESUMED']);
  expect(missed.map((f) => f.s)).toEqual([3, 4, 5]);
});

test('a session that is too old or unknown gets op 9', async () => {
  const first = await ready();
  pg.trouble.dropGateway();
  await first.closed;
  clock.advance(10 * 60_000);
  const late = await dial();
  late.send(6, { token: pg.token, session_id: first.session, seq: 2 });
  expect(await late.next()).toMatchObject({ op: 9, d: false });
  late.send(2, identity());
  expect((await late.next()).t).toBe('READY');
});

test('op 7 and op 9 on demand', async () => {
  const client = await ready();
  pg.trouble.reconnectGateway();
  expect((await client.next()).op).toBe(7);
  pg.trouble.invalidSession();
  expect(await client.next()).toMatchObject({ op: 9, d: false });
});

test('without the message content intent people’s words are blank, the bot’s own are not', async () => {
  const client = await ready();
  pg.say(pg.users.member, 'secret');
  expect((await client.next()).d.content).toBe('');
  await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'mine' });
  expect((await client.next()).d.content).toBe('mine');
});

test('messages, edits, deletions and reactions are told', async () => {
  const client = await ready();
  const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'x' });
  await request(pg, 'PATCH', `/channels/${pg.channelId}/messages/${made.body.id}`, { content: 'y' });
  pg.react(pg.users.member, made.body.id, '❌');
  pg.react(pg.users.member, made.body.id, '❌');
  await request(pg, 'DELETE', `/channels/${pg.channelId}/messages/${made.body.id}`);
  const names: (string | null)[] = [];
  for (let i = 0; i < 5; i++) names.push((await client.next()).t);
  expect(names).toEqual([
    'MESSAGE_CREATE',
    'MESSAGE_UPDATE',
    'MESSAGE_REACTION_ADD',
    'MESSAGE_REACTION_REMOVE',
    'MESSAGE_DELETE',
  ]);
});

test('the guild’s events go to the shard that owns it', async () => {
  const owner = Number((BigInt(pg.guildId) >> 22n) % 2n);
  const shards = [await dial(), await dial()];
  shards.forEach((c, i) => void c.send(2, { ...identity(), shard: [i, 2] }));
  const readies = [await shards[0]!.next(), await shards[1]!.next()];
  expect(readies.map((f) => f.d.guilds.length)).toEqual(owner === 0 ? [1, 0] : [0, 1]);
});
