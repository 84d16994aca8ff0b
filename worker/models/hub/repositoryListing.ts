import { z } from 'zod';
import { StoreError } from './errors.ts';
import { get, type Hub, inPath, refuse, retry } from './http.ts';
import { idOf, type Reference } from './hubReference.ts';

/** A file as the hub describes it. */
export interface RemoteFile {
  readonly path: string;
  readonly bytes: number;
  /** The content's sha256, for files in large file storage. */
  readonly sha256?: string;
  /** git's hash of the content, for small files: sha1 of "blob <bytes>\0" and the content. */
  readonly blob?: string;
}

export interface Listing {
  /** The commit that the revision points at now; files are fetched from it, even if the branch moves. */
  readonly commit: string;
  readonly files: readonly RemoteFile[];
  readonly license: string;
}

const answerSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  cardData: z
    .object({ license: z.union([z.string(), z.array(z.string())]), license_name: z.string() })
    .partial()
    .nullish(),
  tags: z.array(z.string()).nullish(),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.int().min(0).nullish(),
      blobId: z.string().nullish(),
      lfs: z.object({ sha256: z.string(), size: z.int().min(0) }).nullish(),
    }),
  ),
});

/** The files of a model's revision: `GET /api/models/{owner}/{name}/revision/{revision}?blobs=true`. */
export async function listFiles(hub: Hub, wanted: Reference): Promise<Listing> {
  const address = `${hub.endpoint}/api/models/${inPath(idOf(wanted))}/revision/${encodeURIComponent(wanted.revision)}?blobs=true`;
  const text = await retry(hub, 5, async () => {
    const answer = await get(hub, address);
    if (answer.response.status !== 200) return refuse(hub, answer, wanted, idOf(wanted));
    let body = '';
    const decoder = new TextDecoder();
    for await (const chunk of answer.chunks()) body += decoder.decode(chunk, { stream: true });
    return body;
  });
  const parsed = answerSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new StoreError(
      'hub',
      `${hub.endpoint} does not answer as a Hugging Face hub does. Check HF_ENDPOINT.`,
    );
  }
  const { sha, siblings, cardData, tags } = parsed.data;
  return {
    commit: sha,
    license: licenseOf(cardData?.license_name ?? cardData?.license, tags ?? []),
    files: siblings.map(({ rfilename, size, blobId, lfs }) => ({
      path: rfilename,
      bytes: lfs?.size ?? size ?? 0,
      ...(lfs ? { sha256: lfs.sha256 } : blobId ? { blob: blobId } : {}),
    })),
  };
}

function licenseOf(stated: string | readonly string[] | undefined, tags: readonly string[]): string {
  const fromCard = typeof stated === 'string' ? stated : stated?.join(', ');
  return fromCard || tags.find((tag) => tag.startsWith('license:'))?.slice(8) || 'unknown';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
