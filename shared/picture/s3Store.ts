import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { ConfigError, messageOf } from '../service/errors.ts';
import { jobIdSchema, storeKeySchema } from './recipe.ts';
import { type Store, StoreAwayError, type StoredFile } from './store.ts';

/**
 * A bucket of S3's API (AWS, Ceph, MinIO, R2, OpenStack Swift). A key is the object `<prefix>/<key>` and nothing
 * outside the prefix is read, written, listed or removed. An object is whole or not there: that is S3's promise for
 * PutObject, with reads after writes consistent since December 2020.
 */
export interface BucketOptions {
  bucket: string;
  /** Without slashes at its ends; '' = the whole bucket. */
  prefix: string;
  /** The server's address where it is not AWS; buckets are then addressed by path. */
  endpoint?: string | undefined;
  region: string;
  /** undefined = the environment's own: AWS_… variables, a profile, a role of the container or machine. */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined;
  /** Tries of one call, and ms that one may take; tests set less. */
  attempts?: number;
  connectMs?: number;
  requestMs?: number;
}

/** One call of a few megabytes over a slow link ends within this; a silent link is given up. */
const REQUEST_MS = 20_000;
const CONNECT_MS = 3_000;
const ATTEMPTS = 3;
/** Below readiness' 3 s in all (`service/health`), so that the error names the store. */
const CHECK_MS = 2_500;
/** Removals at a time; one object each, since the call for many needs checksums that older servers lack. */
const AT_ONCE = 8;

/**
 * @throws ConfigError where the bucket or the access key is wrong. A bucket that does not answer does not stop
 * the start: `check` says so, and each call throws StoreAwayError until it answers.
 */
export async function openBucketStore(options: BucketOptions): Promise<Store> {
  const { bucket, prefix, endpoint, region, credentials } = options;
  const base = prefix === '' ? '' : `${prefix}/`;
  const where = `the bucket "${bucket}"${endpoint ? ` at ${endpoint}` : ` in ${region}`}`;
  const client = new S3Client({
    region,
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    ...(credentials ? { credentials } : {}),
    maxAttempts: options.attempts ?? ATTEMPTS,
    requestHandler: {
      connectionTimeout: options.connectMs ?? CONNECT_MS,
      requestTimeout: options.requestMs ?? REQUEST_MS,
      socketTimeout: options.requestMs ?? REQUEST_MS,
      throwOnRequestTimeout: true,
    },
    // Newer checksums are unknown to Swift, Ceph and MinIO of some years ago; TLS and the signature guard the bytes.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });

  const objectOf = (key: string): { Bucket: string; Key: string } => ({
    Bucket: bucket,
    Key: base + storeKeySchema.parse(key),
  });
  /** Every failure after the start is StoreAwayError: a bucket that worked may work again. */
  const call = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw new StoreAwayError(`${where} ${whyAway(error)}`, { cause: error });
    }
  };
  const orMissing = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };

  async function* list(below = ''): AsyncGenerator<StoredFile> {
    if (below !== '') storeKeySchema.parse(below.replace(/\/$/, ''));
    let next: string | undefined;
    do {
      const page = await call(
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: base + below, // exactly the keys below a folder begin so
            ContinuationToken: next,
          }),
        ),
      );
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(base.length);
        // Other programs may use the bucket: keys that no store writes are skipped.
        if (storeKeySchema.safeParse(key).success)
          yield { key, bytes: Size, written: LastModified?.getTime() ?? 0 };
      }
      next = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
  }

  const put = async (key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> => {
    const input = { ...objectOf(key), Body: bytes, ContentLength: bytes.length, ContentType: typeOf(key) };
    await call(client.send(new PutObjectCommand(input), signal ? { abortSignal: signal } : {}));
  };
  const drop = async (key: string): Promise<void> => {
    await call(orMissing(client.send(new DeleteObjectCommand(objectOf(key)))));
  };

  const store: Store = {
    put: (key, bytes) => put(key, bytes),
    get: async (key) => {
      const object = objectOf(key);
      const body = await call(
        orMissing(client.send(new GetObjectCommand(object)).then(({ Body }) => Body?.transformToByteArray())),
      );
      return body && Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    },
    has: async (key) => {
      const object = objectOf(key);
      return (await call(orMissing(client.send(new HeadObjectCommand(object))))) !== undefined;
    },
    remove: async (key) => {
      storeKeySchema.parse(key);
      const atOnce = pLimit(AT_ONCE);
      const found = [key];
      for await (const file of list(`${key}/`)) found.push(file.key);
      await Promise.all(found.map((one) => atOnce(() => drop(one))));
    },
    list,
    async *jobs() {
      // Keys come in order, so a job's files come together.
      let last: { jobId: string; written: number } | undefined;
      for await (const { key, written } of list()) {
        const jobId = key.slice(0, Math.max(0, key.indexOf('/')));
        if (last && last.jobId !== jobId) yield last;
        if (!jobIdSchema.safeParse(jobId).success) last = undefined;
        else last = { jobId, written: last?.jobId === jobId ? Math.max(last.written, written) : written };
      }
      if (last) yield last;
    },
    check: () => put('check/write.txt', Buffer.from('ok'), AbortSignal.timeout(CHECK_MS)),
    versioned: async () =>
      (await call(client.send(new GetBucketVersioningCommand({ Bucket: bucket })))).Status === 'Enabled',
  };
  await probe(store, where).catch((error: unknown) => {
    client.destroy();
    throw error;
  });
  return store;
}

/** Makes every kind of call once, so that a missing right shows at the start. */
async function probe(store: Store, where: string): Promise<void> {
  try {
    await store.check();
    if (await store.has('check/none')) throw new ConfigError(`STORE: ${where} has a file "check/none".`);
    await store.get('check/write.txt');
    for await (const _ of store.list('check/')) break;
    await store.remove('check');
  } catch (error) {
    const cause = error instanceof StoreAwayError ? error.cause : error;
    const wrong = whatIsWrong(cause);
    if (wrong) throw new ConfigError(`STORE: ${where} ${wrong}`, { cause });
    if (!(error instanceof StoreAwayError)) throw error;
  }
}

const codeOf = (error: unknown): string => {
  const { name, code, Code } = error as { name?: unknown; code?: unknown; Code?: unknown };
  return String(Code ?? code ?? name ?? 'unknown');
};
const statusOf = (error: unknown): number =>
  error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0;

/** HeadObject's answer has no body, so its 404 has another name; a missing bucket is no missing file. */
const isMissing = (error: unknown): boolean =>
  ['NoSuchKey', 'NotFound'].includes((error as Error).name) ||
  (statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket');

/** Why an error is permanent; undefined where waiting may mend it. */
function whatIsWrong(error: unknown): string | undefined {
  const name = (error as Error).name;
  if (name === 'NoSuchBucket') return 'does not exist. Create it, or correct STORE.';
  if (name === 'CredentialsProviderError')
    return 'needs a key. Set S3_ACCESS_KEY and S3_SECRET_KEY, or give the machine a role.';
  const status = statusOf(error);
  if (status === 401 || status === 403)
    return `refuses this key (${codeOf(error)}). It must be allowed to put, get, list and delete there.`;
  if (status === 301 || status === 307) return 'is in another region. Set S3_REGION to its own.';
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    return `refuses what it is asked (${codeOf(error)}: ${messageOf(error)}).`;
  return undefined;
}

function whyAway(error: unknown): string {
  const status = statusOf(error);
  if (status > 0) return `answers ${status} (${codeOf(error)})`;
  const code = codeOf(error);
  const late = code === 'ETIMEDOUT' || /^(?:TimeoutError|AbortError|\d+)$/.test(code);
  return late ? 'does not answer in time' : `does not answer (${code})`;
}

const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  json: 'application/json',
  txt: 'text/plain',
};
/** Content type of a key, for people who look into the bucket. */
const typeOf = (key: string): string =>
  TYPES[key.slice(key.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
