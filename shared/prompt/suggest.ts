/** Optimal string alignment distance: insert, delete, replace, swap two neighbours. */
export const distance = (a: string, b: string): number => {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
};

/** The nearest name to a word: one within a small distance, or the only one that starts with the word. */
export const nearest = (word: string, names: Iterable<string>): string | undefined => {
  if (word.length < 2 || word.length > 64) return undefined;
  const allowed = Math.max(1, Math.floor(word.length / 3));
  const candidates = [...names].filter((name) => name.length >= 2);
  let best: string | undefined;
  let least = allowed + 1;
  for (const name of candidates) {
    const far = distance(word, name);
    if (far < least) {
      least = far;
      best = name;
    }
  }
  if (best !== undefined) return best;
  const longer = word.length >= 3 ? candidates.filter((name) => name.startsWith(word)) : [];
  return longer.length === 1 ? longer[0] : undefined;
};
