/** Attention with a bias added to its scores: masks of every kind. */
import type { Graph } from './graph.ts';

/**
 * Softmax(q·kᵀ / √size + bias)·v by head.
 * @param q [B, N, width]; k and v are [B, M, width]
 * @param bias broadcasts to [B, heads, N, M]; none where undefined
 * @returns [B, N, width]
 */
export function biased(
  graph: Graph,
  q: string,
  k: string,
  v: string,
  width: number,
  heads: number,
  bias: string | undefined,
): string {
  const size = width / heads;
  const byHead = (x: string, perm: readonly number[]): string =>
    graph.op('Transpose', [graph.op('Reshape', [x, graph.ints([0, -1, heads, size])])], {
      attributes: { perm },
    });
  const scale = graph.floats(`attention.scale.${size}`, [size ** -0.25], []);
  const query = graph.op('Mul', [byHead(q, [0, 2, 1, 3]), scale]);
  const key = graph.op('Mul', [byHead(k, [0, 2, 3, 1]), scale]);
  const scores = graph.op('MatMul', [query, key]);
  const shifted = bias === undefined ? scores : graph.op('Add', [scores, bias]);
  const shares = graph.op('Softmax', [shifted], { attributes: { axis: -1 } });
  const mixed = graph.op('MatMul', [shares, byHead(v, [0, 2, 1, 3])]);
  const back = graph.op('Transpose', [mixed], { attributes: { perm: [0, 2, 1, 3] } });
  return graph.op('Reshape', [back, graph.ints([0, -1, width])]);
}
