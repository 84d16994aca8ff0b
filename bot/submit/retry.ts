import { setTimeout as pause } from 'node:timers/promises';

/**
 * For what nobody can be told to try again.
 * @param waits seconds between the attempts
 * @throws the first error that is not `passing`, and the last
 */
export async function retry(
  waits: readonly number[],
  passing: (error: unknown) => boolean,
  work: () => Promise<void>,
): Promise<void> {
  for (const seconds of waits)
    try {
      return await work();
    } catch (error) {
      if (!passing(error)) throw error;
      await pause(seconds * 1000);
    }
  await work();
}
