import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import type { Hub } from '../../../../worker/models/hub/http.ts';

/**
 * Answers as the Hugging Face hub does: a listing with blob ids and LFS hashes; small files from the hub itself,
 * large ones by a redirect to another host, which knows ranges and takes no Authorization. And it can fail.
 */
export interface FakeHub {
  readonly endpoint: string;
  readonly id: string;
  readonly commit: string;
  readonly files: Map<string, Buffer>;
  readonly seen: Seen[];
  readonly faults: Faults;
  /** For the code under test: no waiting between attempts. */
  hub(over?: Partial<Hub>): Hub;
  close(): Promise<void>;
}

export interface Seen {
  readonly host: 'hub' | 'cdn';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  sent: number;
}

export interface Faults {
  /** Breaks the connection at this byte of a file, so many times. */
  cut?: { path: string; after: number; times: number };
  /** Other bytes than the listing promises. */
  instead?: Map<string, Buffer>;
  /** Called when half of a file is out; the rest waits for it. */
  atHalf?: { path: string; run: () => void | Promise<void> };
  /** Sends half of a file and then nothing, once. */
  silent?: { path: string; times: number };
  /** Status codes before things go well, for listing and files. */
  refusals?: { status: number; headers?: Record<string, string> }[];
  ignoreRange?: boolean;
  /** Names in the listing that no repository should have. */
  extraNames?: string[];
  /** Only this token opens it. */
  token?: string;
  gated?: boolean;
  /** The repository's old name, redirected to the new one. */
  oldId?: string;
}

const LARGE = 10_000;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const blobId = (bytes: Buffer) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

export function readFolder(folder: string): Map<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [relative(folder, path), readFileSync(path)]),
  );
}

export async function startHub(files: Map<string, Buffer>, id = 'acme/Tiny-Model'): Promise<FakeHub> {
  const seen: Seen[] = [];
  const faults: Faults = {};
  const commit = '0123456789abcdef0123456789abcdef01234567';
  let cdnOrigin = '';

  const see = (host: 'hub' | 'cdn', request: IncomingMessage): Seen => {
    const { authorization, range } = request.headers;
    const entry: Seen = { host, path: decodeURIComponent(request.url ?? ''), authorization, range, sent: 0 };
    seen.push(entry);
    return entry;
  };

  const atHub = async (request: IncomingMessage, response: ServerResponse) => {
    const entry = see('hub', request);
    const refusal = faults.refusals?.shift();
    if (refusal) return response.writeHead(refusal.status, refusal.headers).end();
    const path = entry.path.split('?')[0]!;
    if (faults.oldId && path.includes(`/${faults.oldId}`)) {
      return response.writeHead(307, { location: request.url!.replace(faults.oldId, id) }).end();
    }
    const deny = (status: number, code: string) =>
      response.writeHead(status, { 'x-error-code': code }).end('{}');
    const known = faults.token === undefined || entry.authorization === `Bearer ${faults.token}`;
    if (!path.includes(`/${id}/`) || (!known && !faults.gated)) {
      return deny(entry.authorization && !faults.token ? 404 : 401, 'RepoNotFound');
    }
    if (path.startsWith(`/api/models/${id}/revision/`)) {
      const revision = path.slice(`/api/models/${id}/revision/`.length);
      if (!['main', 'refs/pr/1', commit].includes(revision)) return deny(404, 'RevisionNotFound');
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify(listing()));
    }
    const name = path.slice(`/${id}/resolve/${commit}/`.length);
    const bytes = files.get(name);
    if (!bytes) return deny(404, 'EntryNotFound');
    if (faults.gated && !known) return deny(entry.authorization ? 403 : 401, 'GatedRepo');
    response.setHeader('x-repo-commit', commit);
    if (bytes.length < LARGE) {
      response.setHeader('etag', `"${blobId(bytes)}"`);
      return send(entry, name, response);
    }
    const location = `${cdnOrigin}/repos/${encodeURIComponent(name)}?X-Amz-Signature=abc`;
    response.writeHead(302, {
      location,
      'x-linked-etag': `"${sha256(bytes)}"`,
      'x-linked-size': bytes.length,
    });
    return response.end(`Found. Redirecting to ${location}`);
  };

  const listing = () => ({
    id,
    modelId: id,
    sha: commit,
    private: false,
    gated: faults.gated ? 'manual' : false,
    tags: ['diffusers', 'onnx', 'license:openrail'],
    cardData: { license: 'creativeml-openrail-m' },
    siblings: [
      ...[...files].map(([rfilename, bytes]) => ({
        rfilename,
        size: bytes.length,
        blobId: blobId(bytes),
        ...(bytes.length < LARGE
          ? {}
          : { lfs: { sha256: sha256(bytes), size: bytes.length, pointerSize: 132 } }),
      })),
      ...(faults.extraNames ?? []).map((rfilename) => ({
        rfilename,
        size: 1,
        blobId: blobId(Buffer.from('x')),
      })),
    ],
  });

  const atCdn = async (request: IncomingMessage, response: ServerResponse) => {
    const entry = see('cdn', request);
    if (entry.authorization !== undefined)
      return response.writeHead(400).end('Only one auth mechanism allowed');
    const name = entry.path.split('?')[0]!.slice('/repos/'.length);
    return send(entry, name, response);
  };

  const send = async (entry: Seen, name: string, response: ServerResponse) => {
    const whole = faults.instead?.get(name) ?? files.get(name)!;
    const start = faults.ignoreRange ? 0 : Number(/^bytes=(\d+)-$/.exec(entry.range ?? '')?.[1] ?? 0);
    if (start > 0) {
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${start}-${whole.length - 1}/${whole.length}`);
    }
    response.setHeader('content-length', whole.length - start);
    const write = (bytes: Buffer) => {
      entry.sent += bytes.length;
      return new Promise<void>((resolve) => response.write(bytes, () => resolve()));
    };
    const { cut, atHalf, silent } = faults;
    if (cut?.path === name && cut.times > 0) {
      cut.times--;
      if (start < cut.after) await write(whole.subarray(start, cut.after));
      return response.destroy();
    }
    const middle = Math.max(start, Math.floor(whole.length / 2));
    if (silent?.path === name && silent.times > 0) {
      silent.times--;
      return write(whole.subarray(start, middle));
    }
    if (atHalf?.path === name) {
      await write(whole.subarray(start, middle));
      await atHalf.run();
      await write(whole.subarray(middle));
    } else await write(whole.subarray(start));
    return response.end();
  };

  const hubServer = createServer((request, response) => void atHub(request, response));
  const cdnServer = createServer((request, response) => void atCdn(request, response));
  const endpoint = `http://127.0.0.1:${await listen(hubServer, '127.0.0.1')}`;
  cdnOrigin = `http://localhost:${await listen(cdnServer, 'localhost')}`;
  return {
    endpoint,
    id,
    commit,
    files,
    seen,
    faults,
    hub: (over = {}) => ({ endpoint, pause: async () => undefined, ...over }),
    close: async () => {
      for (const server of [hubServer, cdnServer]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

const listen = (server: Server, host: string): Promise<number> =>
  new Promise((resolve) => server.listen(0, host, () => resolve((server.address() as AddressInfo).port)));
