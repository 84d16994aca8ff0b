import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

type Json = Record<string, unknown>;

/**
 * A relay between the bot and the local Discord, for what Discord's own client would never send: every gateway
 * dispatch passes `forge`, which gives it on, changed, twice or not at all.
 */
export interface Relay {
  /** The REST base for the bot, in place of the playground's. */
  api: string;
  forge: (event: string, data: Json) => Json[];
  close(): Promise<void>;
}

export const passOn: Relay['forge'] = (_event, data) => [data];

/** @param target the playground's address */
export async function startRelay(target: string): Promise<Relay> {
  const server = createServer((near, answer) => {
    const far = request(
      `${target}${near.url}`,
      { method: near.method, headers: near.headers },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const body = Buffer.concat(chunks);
          // The bot finds the gateway through REST, so this is where it is led through the relay.
          const own = near.url?.includes('/gateway')
            ? Buffer.from(body.toString('utf8').replaceAll(ws(target), ws(url)))
            : body;
          const { 'content-length': _length, 'transfer-encoding': _encoding, ...headers } = response.headers;
          answer.writeHead(response.statusCode ?? 502, { ...headers, 'content-length': own.length });
          answer.end(own);
        });
      },
    );
    far.on('error', () => answer.destroy());
    near.pipe(far);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (near, { url: path }) => {
    const far = new WebSocket(`${ws(target)}${path}`);
    const early: string[] = [];
    near.on('message', (frame) => {
      if (far.readyState === WebSocket.OPEN) far.send(frame.toString());
      else early.push(frame.toString());
    });
    far.on('open', () => {
      for (const frame of early) far.send(frame);
    });
    far.on('message', (frame) => {
      const whole = JSON.parse(frame.toString()) as Json & { op: number; t: string; d: Json };
      if (whole.op !== 0) return near.send(frame.toString());
      for (const d of relay.forge(whole.t, whole.d)) near.send(JSON.stringify({ ...whole, d }));
    });
    const end = (): void => {
      near.terminate();
      far.terminate();
    };
    for (const socket of [near, far]) socket.on('close', end).on('error', end);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const relay: Relay = {
    api: `${url}/api`,
    forge: passOn,
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
  return relay;
}

const ws = (url: string): string => url.replace(/^http/, 'ws');
