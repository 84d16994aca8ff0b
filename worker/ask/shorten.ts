import type { InstalledModel } from '../models/installed.ts';
import type { Engine } from '../process/enginePool.ts';

/**
 * Which words of a prompt matter to the model. A word weighs as much as the text's vector turns when the word is left
 * out (leave-one-out, Li et al., "Understanding Neural Networks through Representation Erasure", 2016, eq. 1).
 */
export interface Word {
  text: string;
  /** 0..1, relative to the heaviest word. */
  weight: number;
}

/** Texts of more words are weighed by groups of words. */
const MOST_GROUPS = 100;
/** The share of all weight that each shortened prompt keeps. */
const SHARES = [0.95, 0.85, 0.7, 0.5, 0.3] as const;

export async function weighWords(
  engine: Engine,
  model: InstalledModel,
  text: string,
  signal?: AbortSignal,
): Promise<Word[]> {
  const words = text.split(/\s+/).filter(Boolean);
  const size = Math.ceil(words.length / MOST_GROUPS);
  const groups = Array.from({ length: Math.ceil(words.length / size) }, (_, i) =>
    words.slice(i * size, (i + 1) * size).join(' '),
  );
  const without = groups.map((_, i) => groups.filter((_, j) => j !== i).join(' '));
  const { texts } = await engine.embed(model, [groups.join(' '), ...without], [], { signal });
  const [whole, ...rest] = texts as [Float32Array, ...Float32Array[]];
  const turns = rest.map((vector) => Math.max(0, 1 - dot(vector, whole)));
  const most = Math.max(...turns, 1e-9);
  return groups.map((group, i) => ({ text: group, weight: (turns[i] as number) / most }));
}

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** At most five prompts, each shorter than the one before, of the heaviest words in their own order. */
export function shortened(words: readonly Word[]): string[] {
  const heaviest = words.map((_, i) => i).sort((a, b) => (words[b]?.weight ?? 0) - (words[a]?.weight ?? 0));
  const all = words.reduce((sum, { weight }) => sum + weight, 0);
  const found: string[] = [];
  let most = words.length - 1;
  for (const share of SHARES) {
    let sum = 0;
    let count = 0;
    while (count < most && sum < share * all) sum += words[heaviest[count++] as number]?.weight ?? 0;
    if (count === 0) break;
    const kept = new Set(heaviest.slice(0, count));
    const text = words
      .filter((_, i) => kept.has(i))
      .map((word) => word.text)
      .join(' ')
      .replace(/[\s,.;:]+$/, '');
    if (text !== '' && !found.includes(text)) found.push(text);
    most = Math.min(most, count) - 1;
  }
  return found;
}
