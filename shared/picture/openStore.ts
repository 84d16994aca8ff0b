import { type Env, folder } from '../service/env.ts';
import { ConfigError, messageOf } from '../service/errors.ts';
import { openFolderStore, type Store } from './store.ts';

/** A store's place as it is typed: a folder's path, or `s3://bucket/prefix`. */
export type StorePlace =
  | { kind: 'folder'; path: string }
  | { kind: 'bucket'; bucket: string; prefix: string };

type StoreEnv = Pick<
  Env,
  'STORE' | 'DATA_DIR' | 'S3_ENDPOINT' | 'S3_REGION' | 'S3_ACCESS_KEY' | 'S3_SECRET_KEY'
>;

const BUCKET = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[\w-][\w.-]*)*)\/?$/i;

/** @throws ConfigError for an `s3://` that names no bucket, or a prefix with parts that are not names */
export function parsePlace(text: string): StorePlace {
  if (!text.startsWith('s3:')) return { kind: 'folder', path: text };
  const found = BUCKET.exec(text);
  if (!found) throw new ConfigError(`STORE: expected s3://bucket/prefix; got ${JSON.stringify(text)}`);
  return { kind: 'bucket', bucket: found[1] as string, prefix: (found[2] as string).slice(1) };
}

/** The place as text: a path, or `s3://bucket/prefix`. */
export const printPlace = (place: StorePlace): string =>
  place.kind === 'folder' ? place.path : ['s3:/', place.bucket, place.prefix].filter(Boolean).join('/');

/** The place that the settings name. */
export const placeOf = (env: Pick<StoreEnv, 'STORE' | 'DATA_DIR'>): StorePlace =>
  env.STORE ? parsePlace(env.STORE) : { kind: 'folder', path: folder(env.DATA_DIR) };

/**
 * The store at a place, with the settings' credentials.
 * @throws ConfigError in one line where it cannot be used
 */
export async function openStoreAt(place: StorePlace, env: StoreEnv): Promise<Store> {
  if (place.kind === 'folder')
    return openFolderStore(place.path).catch((error) => {
      throw new ConfigError(`DATA_DIR: cannot use ${place.path} (${messageOf(error)})`);
    });
  const { S3_ACCESS_KEY: accessKeyId, S3_SECRET_KEY: secretAccessKey } = env;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw new ConfigError('S3_ACCESS_KEY and S3_SECRET_KEY: expected both or neither; got one.');
  // The S3 client is a hundred files, so it is loaded for buckets only.
  const { openBucketStore } = await import('./s3Store.ts');
  return openBucketStore({
    bucket: place.bucket,
    prefix: place.prefix,
    endpoint: env.S3_ENDPOINT,
    region: env.S3_REGION ?? process.env.AWS_REGION ?? 'us-east-1',
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined,
  });
}

/** The store that the settings name. @throws ConfigError in one line where it cannot be used */
export const openStore = (env: StoreEnv): Promise<Store> => openStoreAt(placeOf(env), env);
