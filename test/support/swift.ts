import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort } from './redis.ts';
import { S3_BUCKET, settingsOf, type TestS3 } from './s3.ts';

/** Debian's Python, which knows Debian's packages; another one that comes first in PATH does not. */
const PYTHON = '/usr/bin/python3';
const SERVER = resolve(import.meta.dirname, 'swift_server.py');

/** Debian: apt-get install python3-swift. `npm test` does so where it may. */
export const hasSwift = (): boolean => spawnSync(PYTHON, ['-c', 'import swift.proxy.server']).status === 0;

/** OpenStack Swift with its S3 API: a server of another make than the one that our client was written for. */
export async function startSwift(): Promise<TestS3> {
  const dir = await mkdtemp(join(tmpdir(), 'dreamgrid-swift-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: 'test:tester', secretAccessKey: 'testing-secret' };
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const { accessKeyId, secretAccessKey } = credentials;
    const args = [SERVER, dir, String(port), accessKeyId, secretAccessKey];
    const child = spawn(PYTHON, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    server = child;
    let said = '';
    child.stderr.on('data', (text) => {
      said += String(text);
    });
    await new Promise<void>((ready, reject) => {
      child.stdout.on('data', (text) => String(text).includes('ready') && ready());
      child.once('exit', (code) => reject(new Error(`Swift ended with ${code}: ${said.slice(-600)}`)));
    });
  };
  const kill = async (): Promise<void> => {
    const dying = server;
    server = undefined;
    if (!dying || dying.exitCode !== null) return;
    const gone = new Promise((done) => dying.once('exit', done));
    dying.kill('SIGKILL');
    await gone;
  };
  await start();
  const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: S3_BUCKET })).finally(() => client.destroy());
  return {
    endpoint,
    port,
    bucket: S3_BUCKET,
    credentials,
    env: settingsOf(endpoint, credentials),
    kill,
    start,
    close: async () => {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
