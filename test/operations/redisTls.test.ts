import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkRedis, connectRedis, producerConnection, workerConnection } from '../../shared/queue/redis.ts';
import { CANARY, type FaultStack, startFaultStack } from '../support/faults.ts';
import { startProcess } from '../support/processes.ts';
import { freePort } from '../support/redis.ts';

/** A real Redis that speaks TLS only, with a certificate of its own making. */
const openssl = spawnSync('openssl', ['version']).status === 0;
let folder: string;
let server: ChildProcess;
let url: string;
let ca: string;

const ssl = (...args: string[]): void => {
  const done = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(done.stderr);
};

describe.runIf(openssl)('rediss://', () => {
  let stack: FaultStack | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dreamgrid-tls-'));
    ca = join(folder, 'ca.pem');
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    ssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA');
    ssl('req', ...key, '-keyout', 'redis.key', '-out', 'redis.csr', '-subj', '/CN=localhost');
    const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    ssl('x509', '-req', '-in', 'redis.csr', ...sign, '-out', 'redis.pem');
    const port = await freePort();
    url = `rediss://:${CANARY.redisPassword}@localhost:${port}`;
    const tls = ['--tls-port', String(port), '--port', '0', '--tls-auth-clients', 'no'];
    const files = [
      '--tls-cert-file',
      'redis.pem',
      '--tls-key-file',
      'redis.key',
      '--tls-ca-cert-file',
      'ca.pem',
    ];
    const lasting = ['--appendonly', 'yes', '--save', ''];
    const safe = [...lasting, '--maxmemory', '64mb', '--maxmemory-policy', 'noeviction'];
    const where = ['--bind', '127.0.0.1', '::1', '--dir', folder, '--requirepass', CANARY.redisPassword];
    server = spawn('redis-server', [...tls, ...files, ...safe, ...where], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    for await (const line of server.stdout as AsyncIterable<Buffer>)
      if (line.toString().includes('Ready to accept connections')) break;
  });
  afterAll(async () => {
    await stack?.close();
    server?.kill('SIGKILL');
    if (server) await once(server, 'exit').catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });

  it('is trusted with the certificate of REDIS_CA, as producer and as worker', async () => {
    for (const options of [producerConnection(url, ca), workerConnection(url, ca)]) {
      const redis = await connectRedis(options);
      expect(await checkRedis(redis, { production: true, unsafe: false })).toEqual([]);
      redis.disconnect();
    }
  });

  it('is refused without it, in one line that does not show the password', async () => {
    const child = startProcess('bot/main.ts', { REDIS_URL: url, DISCORD_TOKEN: CANARY.botToken });
    expect(await child.ended).toBe(1);
    expect(child.lines).toHaveLength(1);
    expect(child.lines[0]).toMatch(/^Redis does not answer at localhost:\d+ \(.*certificate/);
    expect(child.lines[0]).not.toContain(CANARY.redisPassword);
  });

  it('a certificate file that is not there, or for a redis:// address, is named', () => {
    expect(() => producerConnection(url, join(folder, 'none.pem'))).toThrow(
      /REDIS_CA: cannot read .*none\.pem/,
    );
    expect(() => producerConnection('redis://localhost', ca)).toThrow(
      /REDIS_CA is for a REDIS_URL with rediss/,
    );
  });

  it('carries a picture from click to grid', async () => {
    stack = await startFaultStack({ env: { REDIS_URL: url, REDIS_CA: ca } });
    await Promise.all([stack.startBot(), stack.startWorker()]);
    await stack.grid(await stack.imagine('over TLS'));
  });
});
