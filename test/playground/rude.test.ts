import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { speak } from '../support/speak.ts';
import { request } from './rest.ts';

/** Visitors that no client of ours is. What they send must end nobody else's session: an exception here ends it all. */
let pg: Playground;
beforeEach(async () => {
  pg = await startPlayground();
});
afterEach(() => pg.close());

const lives = async (): Promise<void> => {
  expect((await request(pg, 'GET', '/users/@me')).status).toBe(200);
};

describe('bytes of nobody’s client', () => {
  const head = (path: string, more = '') =>
    `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: ${more ? 'upgrade' : 'close'}\r\n${more}\r\n`;
  const upgrade = 'upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAA\r\n';

  it.each(['//', '/\\\\', 'http://[', '*', '/%', '/api/%E0', '/attachments/%E0/1/%E0'])(
    'GET %s',
    async (path) => {
      expect(await speak(pg.url, head(path))).toMatch(/^HTTP\/1.1 4\d\d /);
      await lives();
    },
  );
  it.each(['//', '/\\\\', '*', '/page?as=%', '/gateway', '/elsewhere'])('an upgrade of %s', async (path) => {
    await speak(pg.url, head(path, upgrade));
    await lives();
  });

  const frames = [
    'x',
    'null',
    '1',
    '"a"',
    '[]',
    '{}',
    '{"op":2,"d":null}',
    '{"op":2,"d":{"token":{"toString":1}}}',
    '{"op":6,"d":{"token":"playground","session_id":{},"seq":{"valueOf":1}}}',
    '{"do":{"toString":1}}',
    '{"do":"run","options":{"a":{"upload":{}}}}',
    '{"do":"click","values":7}',
    '{"do":"submit","opener":null,"fields":1}',
    '{"do":"say","content":{"toString":1}}',
  ];
  it.each(['gateway', 'page'])('frames to the %s', async (path) => {
    for (const frame of frames) {
      const ws = new WebSocket(`${pg.url.replace('http', 'ws')}/${path}`);
      await once(ws, 'message');
      const heard = Promise.race([once(ws, 'close'), once(ws, 'message')]);
      ws.send(frame);
      await heard;
      ws.terminate();
    }
    await lives();
  });
  it.each([
    ['shards of no number', { op: 2, d: { intents: 1, shard: [0, 1.5] } }],
    ['shards of one', { op: 2, d: { intents: 1, shard: [0] } }],
    ['a query of no text', { op: 8, d: { query: { toString: 1 } } }],
  ])('a bot that asks for %s', async (_, frame) => {
    const ws = new WebSocket(`${pg.url.replace('http', 'ws')}/gateway`);
    await once(ws, 'message');
    const closed = once(ws, 'close');
    ws.send(
      JSON.stringify({ op: 2, d: { intents: 1, token: pg.token, ...(frame.op === 2 ? frame.d : {}) } }),
    );
    ws.send(JSON.stringify(frame));
    const [code] = await closed;
    expect([4002, 4010]).toContain(code);
    await lives();
  });

  it('a health port that is somebody else’s', async () => {
    const other = createServer((_, answer) => answer.end('null')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const watching = await startPlayground({ underneath: { bot: url, worker: url } });
    const ws = new WebSocket(`${watching.url.replace('http', 'ws')}/page`);
    const states: unknown[] = [];
    ws.on('message', (raw) => states.push(JSON.parse(String(raw)).t));
    await expect.poll(() => states).toContain('underneath');
    ws.terminate();
    await watching.close();
    other.close();
  });
});

describe('who is a bot', () => {
  it('no page of others in a browser here, by its origin or by a name that leads here', async () => {
    const answer = (host: string, origin = '') =>
      speak(
        pg.url,
        `GET /api/v10/users/@me HTTP/1.1\r\nhost: ${host}\r\n${origin}authorization: Bot ${pg.token}\r\nconnection: close\r\n\r\n`,
      );
    const { host, port } = new URL(pg.url);
    expect(await answer(host)).toMatch(/^HTTP\/1.1 200 /);
    expect(await answer(`localhost:${port}`)).toMatch(/^HTTP\/1.1 200 /);
    expect(await answer(host, 'origin: http://evil.example\r\n')).toMatch(/^HTTP\/1.1 403 /);
    expect(await answer(`rebound.example:${port}`)).toMatch(/^HTTP\/1.1 403 /);
    for (const options of [{ origin: 'http://evil.example' }, { headers: { host: 'rebound.example' } }]) {
      const ws = new WebSocket(`${pg.url.replace('http', 'ws')}/gateway`, options);
      await expect(once(ws, 'open')).rejects.toThrow('socket hang up');
    }
  });

  it('beyond this machine nobody who knows only the usual token', async () => {
    const wide = await startPlayground({ host: '0.0.0.0' });
    try {
      expect(pg.token).toBe('playground');
      expect(wide.token).toMatch(/^[0-9a-f]{48}$/);
      expect((await request(wide, 'GET', '/users/@me')).status).toBe(200);
      expect((await request({ ...wide, token: 'playground' }, 'GET', '/users/@me')).status).toBe(401);
      const ws = new WebSocket(`${wide.url.replace('http', 'ws')}/gateway`);
      await once(ws, 'message');
      ws.send(JSON.stringify({ op: 2, d: { token: 'playground', intents: 1 } }));
      expect((await once(ws, 'close'))[0]).toBe(4004);
    } finally {
      await wide.close();
    }
  });
});
