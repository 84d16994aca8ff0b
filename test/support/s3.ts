import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './redis.ts';
import { CANARY } from './secrets.ts';

/** A server with S3's API and the bucket `pictures`, in a process of its own. */
export interface TestS3 {
  endpoint: string;
  port: number;
  bucket: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** Settings of a process that keeps its pictures there. */
  env: Record<string, string>;
  kill(): Promise<void>;
  /** Again on the same port and folder. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const SERVER = join(import.meta.dirname, 's3rverServer.mjs');
export const S3_BUCKET = 'pictures';

/** What every S3 server of the tests is told and tells. */
export function settingsOf(
  endpoint: string,
  { accessKeyId, secretAccessKey }: TestS3['credentials'],
): Record<string, string> {
  return {
    STORE: `s3://${S3_BUCKET}/dreamgrid`,
    S3_ENDPOINT: endpoint,
    S3_REGION: 'us-east-1',
    S3_ACCESS_KEY: accessKeyId,
    S3_SECRET_KEY: secretAccessKey,
  };
}

export interface S3rverOptions {
  host?: string;
  /** A command that becomes node, given as its last arguments. */
  within?: readonly string[];
}

/** s3rver (npm): starts in half a second, keeps files in a folder, checks signatures. */
export async function startS3rver({ host = '127.0.0.1', within = [] }: S3rverOptions = {}): Promise<TestS3> {
  const dir = await mkdtemp(join(tmpdir(), 'dreamgrid-s3-'));
  const port = await freePort();
  const endpoint = `http://${host}:${port}`;
  const credentials = { accessKeyId: CANARY.bucketKey, secretAccessKey: CANARY.bucketSecret };
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const [command, ...args] = [
      ...within,
      process.execPath,
      SERVER,
      ...[host, String(port), dir, S3_BUCKET, credentials.accessKeyId, credentials.secretAccessKey],
    ];
    const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    server = child;
    await new Promise<void>((ready, reject) => {
      child.stdout.on('data', (text) => String(text).includes('listening') && ready());
      child.once('exit', (code) => reject(new Error(`s3rver ended with ${code}`)));
    });
  };
  const kill = async (): Promise<void> => {
    const dying = server;
    server = undefined;
    if (!dying || dying.exitCode !== null) return;
    const gone = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill('SIGKILL');
    await gone;
  };
  await start();
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
