/** Interaction ids that are remembered; a repeated delivery comes moments after the first. */
const KEPT = 5_000;

/**
 * True for an interaction id new to this process, false for a repeated delivery. Two handlers of the same
 * interaction share its one acknowledgement: one that fails cannot know what the other answered.
 */
export function openDeduplicator(kept = KEPT): (id: string) => boolean {
  const seen = new Set<string>();
  return (id) => {
    if (seen.has(id)) return false;
    seen.add(id);
    if (seen.size > kept) for (const oldest of seen) return seen.delete(oldest);
    return true;
  };
}
