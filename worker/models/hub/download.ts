import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { diskError, StoreError } from './errors.ts';
import { type Answer, get, type Hub, inPath, refuse, retry } from './http.ts';
import { idOf, pathBelow, type Reference } from './hubReference.ts';
import type { RemoteFile } from './repositoryListing.ts';

export interface Source {
  readonly hub: Hub;
  /** The address of a file. */
  address(file: RemoteFile): string;
  /** Throws the error for an answer that brings no file, with what to do. */
  refuse(answer: Answer, file: RemoteFile): Promise<never>;
}

/** A repository at a commit. */
export const repository = (hub: Hub, wanted: Reference, commit: string): Source => ({
  hub,
  address: ({ path }) => `${hub.endpoint}/${inPath(idOf(wanted))}/resolve/${commit}/${inPath(path)}`,
  refuse: (answer, { path }) => refuse(hub, answer, wanted, `${idOf(wanted)}/${path}`),
});

/** Failed attempts in a row, without a single byte gained, after which we give up. */
const TRIES = 5;

/**
 * Downloads a file into `folder`: it gets its name only when it is whole and has the content that the hub promised.
 * Until then it is `<file>.part`, which a later call continues.
 * @param onBytes called with how many bytes of this file are there, resumed ones included
 * @returns the sha256 of the content
 */
export async function download(
  source: Source,
  file: RemoteFile,
  folder: string,
  onBytes: (there: number) => void = () => undefined,
): Promise<string> {
  const path = pathBelow(folder, file.path);
  const part = `${path}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const kept = await takeKept(path, file);
    if (kept !== undefined) {
      onBytes(file.bytes);
      return kept;
    }
    // A leftover may be of another revision: if its hash is wrong, the download starts again once.
    for (let resumed = await sizeOf(part); ; resumed = 0) {
      const digest = await fetchPart(source, file, part, onBytes);
      if (matches(file, digest)) {
        await rename(part, path);
        return digest.sha256;
      }
      await rm(part, { force: true });
      if (resumed > 0) continue;
      throw new StoreError(
        'wrong-hash',
        `${file.path} arrived with another content than the hub promises (sha256 ${digest.sha256.slice(0, 16)}…). Try again; if it stays so, the mirror or a proxy changes files.`,
      );
    }
  } catch (error) {
    if (error instanceof StoreError && error.code === 'wrong-hash') await rm(part, { force: true });
    throw diskError(error, folder);
  }
}

/** A file that an earlier call finished; undefined where there is none. */
async function takeKept(path: string, file: RemoteFile): Promise<string | undefined> {
  if ((await sizeOf(path)) !== file.bytes || !(await exists(path))) return undefined;
  const digest = new Digest(file.bytes);
  await digest.readFile(path);
  if (matches(file, digest.end())) return digest.end().sha256;
  await rm(path);
  return undefined;
}

async function fetchPart(
  source: Source,
  file: RemoteFile,
  part: string,
  onBytes: (there: number) => void,
): Promise<Ended> {
  const { hub } = source;
  const address = source.address(file);
  if ((await sizeOf(part)) > file.bytes) await rm(part);
  let digest = new Digest(file.bytes);
  if (await exists(part)) await digest.readFile(part);
  let gained = false;

  const attempt = async (): Promise<Ended> => {
    gained = false;
    onBytes(digest.bytes);
    if (digest.bytes === file.bytes && (await exists(part))) return digest.end();
    const answer = await get(hub, address, digest.bytes > 0 ? { range: `bytes=${digest.bytes}-` } : {});
    const { status, headers } = answer.response;
    const continues = status === 206 && headers.get('content-range')?.startsWith(`bytes ${digest.bytes}-`);
    if (status === 206 && !continues) {
      await answer.drop();
      throw new StoreError('hub', `The hub sent another piece of ${file.path} than we asked for.`);
    }
    if (status !== 200 && status !== 206) return source.refuse(answer, file);
    // A host without ranges answers 200 with the whole file: the digest starts again.
    if (status === 200) digest = new Digest(file.bytes);
    const handle = await open(part, status === 200 ? 'w' : 'a');
    try {
      for await (const chunk of answer.chunks()) {
        if (digest.bytes + chunk.length > file.bytes) {
          throw new StoreError(
            'wrong-hash',
            `${file.path} is longer than the hub says (${file.bytes} bytes).`,
          );
        }
        await writeAll(handle, chunk);
        digest.add(chunk);
        gained = true;
        onBytes(digest.bytes);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (digest.bytes < file.bytes) {
      throw new StoreError(
        'connection',
        `${file.path} broke off at ${digest.bytes} of ${file.bytes} bytes. Give the same command again: it goes on where it stopped.`,
        { transient: true },
      );
    }
    return digest.end();
  };
  return retry(hub, TRIES, attempt, () => gained);
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
}

interface Ended {
  readonly sha256: string;
  readonly blob: string;
}

/** A content's two hashes on the hub (sha256, git's), computed while it is downloaded. */
class Digest {
  bytes = 0;
  readonly #sha256 = createHash('sha256');
  readonly #blob: Hash;
  #ended: Ended | undefined;

  constructor(length: number) {
    this.#blob = createHash('sha1').update(`blob ${length}\0`);
  }

  add(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#sha256.update(chunk);
    this.#blob.update(chunk);
  }

  async readFile(path: string): Promise<void> {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) this.add(chunk as Buffer);
  }

  end(): Ended {
    this.#ended ??= { sha256: this.#sha256.digest('hex'), blob: this.#blob.digest('hex') };
    return this.#ended;
  }
}

const matches = (file: RemoteFile, { sha256, blob }: Ended): boolean =>
  file.sha256 !== undefined ? file.sha256 === sha256 : file.blob === undefined || file.blob === blob;

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (info) => info.size,
    () => 0,
  );
const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
