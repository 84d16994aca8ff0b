/** Arithmetic on picture embeddings: Ramesh et al., "unCLIP" (2022), section 3. */
import { sum } from '../schedulers/plan.ts';

/** Euclidean length. */
export const lengthOf = (v: Float32Array): number => {
  let total = 0;
  for (const value of v) total += value * value;
  return Math.sqrt(total);
};

/** The vector scaled to length one; zeros stay zeros. */
export function unit(v: Float32Array): Float32Array {
  const length = lengthOf(v) || 1;
  return v.map((value) => value / length);
}

/**
 * The great circle from `a` (0) to `b` (1) (Shoemake, 1985), the length interpolated linearly. Between opposite ends
 * the great circle is ambiguous: there the result is on the straight line.
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

/** Two embeddings by the angle between them; more by their mean direction, at their mean length. */
export function interpolate(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const total = weights.reduce((a, b) => a + b, 0);
  if (vectors.length === 1) return vectors[0]!;
  if (vectors.length === 2) return slerp(vectors[0]!, vectors[1]!, weights[1]! / total);
  const direction = unit(sum(...vectors.map((v, i) => [weights[i]! / total, unit(v)] as const)));
  const length = vectors.reduce((mean, v, i) => mean + (weights[i]! / total) * lengthOf(v), 0);
  return direction.map((value) => value * length);
}

/** Text diff (section 3.3): turned by `share` towards the difference of two texts, the length kept. */
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
