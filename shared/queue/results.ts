import { pictureKeys, type Store, StoreAwayError } from '../picture/store.ts';
import { type RenderResult, renderResultSchema } from './job.ts';

/** A job's result from the store, written after all its pictures. A damaged one counts as none. */
export async function readResult(store: Store, jobId: string): Promise<RenderResult | undefined> {
  const bytes = await store.get(pictureKeys.result(jobId));
  if (!bytes) return undefined;
  try {
    const parsed = renderResultSchema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? (parsed.data as RenderResult) : undefined;
  } catch {
    return undefined;
  }
}

/** The same, but undefined where the store is away. */
export async function readResultIfThere(store: Store, jobId: string): Promise<RenderResult | undefined> {
  try {
    return await readResult(store, jobId);
  } catch (error) {
    if (error instanceof StoreAwayError) return undefined;
    throw error;
  }
}
