/** Twins come within moments of each other. */
const KEPT = 5_000;

/**
 * Tells an interaction that this process has not seen from one that Discord delivers again. Two handlers of the same
 * interaction share its one acknowledgement: when one of them fails, it cannot know what the other has promised.
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
