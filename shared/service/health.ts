import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError } from './errors.ts';

/** The used part of a `prom-client` registry. */
export interface MetricsSource {
  contentType: string;
  metrics(): Promise<string>;
}

export interface HealthOptions {
  /** 0 = no port is opened. */
  port: number;
  host: string;
  /** Why this process cannot do its work now, one sentence each; empty when it can. */
  ready: () => Promise<string[]>;
  registry?: MetricsSource | undefined;
}

export interface Health {
  /** The open port; undefined where none is open. */
  port: number | undefined;
  close(): Promise<void>;
}

/** A check that takes longer than this is a problem of its own. */
const CHECK_MS = 3_000;

/**
 * `/healthz` = the process answers; `/readyz` = it can work, else 503 and why; `/metrics` for Prometheus.
 * @throws ConfigError when the port is taken.
 */
export async function openHealth({ port, host, ready, registry }: HealthOptions): Promise<Health> {
  if (port === 0) return { port: undefined, close: async () => undefined };
  const server = createServer(async (request, response) => {
    const send = (status: number, type: string, text: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
    };
    try {
      const path = request.url?.split('?')[0];
      if (path === '/healthz') send(200, 'text/plain', 'ok\n');
      else if (path === '/readyz') {
        const problems = await withTimeout(ready());
        send(problems.length === 0 ? 200 : 503, 'application/json', `${JSON.stringify({ problems })}\n`);
      } else if (path === '/metrics' && registry) send(200, registry.contentType, await registry.metrics());
      else send(404, 'text/plain', 'not here\n');
    } catch {
      if (!response.headersSent) send(500, 'text/plain', 'error\n');
    }
  });
  await listen(server, port, host);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function withTimeout(checks: Promise<string[]>): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => resolve([`no answer within ${CHECK_MS / 1000} s`]), CHECK_MS);
  });
  const failed = checks.catch(() => ['the check failed']);
  return Promise.race([failed, late]).finally(() => clearTimeout(timer));
}

const listen = (server: Server, port: number, host: string): Promise<void> =>
  new Promise((resolve, reject) => {
    // Errors after the start, such as a connection that could not be accepted, do not end the process.
    server.on('error', (error: NodeJS.ErrnoException) =>
      reject(new ConfigError(`HEALTH_PORT: cannot listen on ${host}:${port} (${error.code}). Set another.`)),
    );
    server.listen(port, host, resolve);
  });
