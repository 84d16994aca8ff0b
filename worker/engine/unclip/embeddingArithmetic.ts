/** Arithmetic on picture embeddings: Ramesh et al., "unCLIP" (2022), section 3. */
import { sum } from '../schedulers/plan.ts';

export const lengthOf = (v: Float32Array): number => {
  let total = 0;
  for (const value of v) total += value * value;
  return Math.sqrt(total);
};

export function unit(v: Float32Array): Float32Array {
  const length = lengthOf(v) || 1;
  return v.map((value) => value / length);
}

/**
 * The great circle from `a` (0) to `b` (1) (Shoemake, 1985), and the length on a straight line between theirs.
 * Opposite ends have no one way between them: there it is the straight line.
 */
export function slerp(a: Float32Array, b: Float32Array, share: number): Float32Array {
  const from = unit(a);
  const to = unit(b);
  const length = lengthOf(a) + share * (lengthOf(b) - lengthOf(a));
  const cosine = Math.min(Math.max(dot(from, to), -1), 1);
  const angle = Math.acos(cosine);
  const sine = Math.sin(angle);
  if (sine < 1e-6) return sum([1 - share, a], [share, b]);
  return sum(
    [(length * Math.sin((1 - share) * angle)) / sine, from],
    [(length * Math.sin(share * angle)) / sine, to],
  );
}

/** Two by the angle between them; more by the mean of their directions, at the mean of their lengths. */
export function interpolate(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const total = weights.reduce((a, b) => a + b, 0);
  if (vectors.length === 1) return vectors[0]!;
  if (vectors.length === 2) return slerp(vectors[0]!, vectors[1]!, weights[1]! / total);
  const direction = unit(sum(...vectors.map((v, i) => [weights[i]! / total, unit(v)] as const)));
  const length = vectors.reduce((mean, v, i) => mean + (weights[i]! / total) * lengthOf(v), 0);
  return direction.map((value) => value * length);
}

/** Text diff (section 3.3): turned by `share` towards what tells one text from the other, its length kept. */
export function reword(
  picture: Float32Array,
  from: Float32Array,
  to: Float32Array,
  share: number,
): Float32Array {
  const difference = sum([1, unit(to)], [-1, unit(from)]);
  if (lengthOf(difference) < 1e-6) return picture;
  const length = lengthOf(picture);
  return slerp(
    picture,
    unit(difference).map((value) => value * length),
    share,
  );
}

function dot(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
}
