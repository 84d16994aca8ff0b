/** Matrix products, by ONNX Runtime: a graph of one node. */
import { Graph } from '../graph/index.ts';
import { openSession, type Session } from '../onnx/session.ts';

let opened: Promise<Session> | undefined;

function open(): Promise<Session> {
  const graph = new Graph();
  const a = graph.input('a', 'float32', ['rows', 'shared']);
  const b = graph.input('b', 'float32', ['shared', 'columns']);
  graph.output('product', graph.op('MatMul', [a, b]), 'float32', ['rows', 'columns']);
  return openSession('matrix product', { providers: ['cpu'] }, graph.build());
}

/** [rows, shared] · [shared, columns] → [rows, columns], all row-major. */
export async function multiply(
  a: Float32Array,
  b: Float32Array,
  rows: number,
  shared: number,
  columns: number,
): Promise<Float32Array> {
  opened ??= open();
  const session = await opened;
  const feeds = { a: { data: a, dims: [rows, shared] }, b: { data: b, dims: [shared, columns] } };
  return (await session.run(feeds)).get('product')!.data;
}

/** [rows, columns] → [columns, rows]. */
export function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      turned[column * rows + row] = matrix[row * columns + column]!;
  return turned;
}

/**
 * LyCORIS' Tucker form: Σ_ij core[i, j, window] · left[p, i] · right[j, r] → [p, r, window].
 * @param core [i, j, window]
 */
export async function tucker(
  core: { readonly data: Float32Array; readonly i: number; readonly j: number; readonly window: number },
  left: { readonly data: Float32Array; readonly p: number },
  right: { readonly data: Float32Array; readonly r: number },
): Promise<Float32Array> {
  const inner = await combineCore(core, right);
  return multiply(left.data, inner, left.p, core.i, right.r * core.window);
}

/** Σ_j core[i, j, window] · right[j, r] → [i, r, window]. */
export async function combineCore(
  {
    data,
    i,
    j,
    window,
  }: { readonly data: Float32Array; readonly i: number; readonly j: number; readonly window: number },
  right: { readonly data: Float32Array; readonly r: number },
): Promise<Float32Array> {
  // Per row of the core: [window, j] · [j, r] → [window, r], turned back to [r, window].
  const turned = new Float32Array(data.length);
  for (let row = 0; row < i; row++)
    turned.set(
      transpose(data.subarray(row * j * window, (row + 1) * j * window), j, window),
      row * j * window,
    );
  const product = await multiply(turned, right.data, i * window, j, right.r);
  const back = new Float32Array(product.length);
  const size = window * right.r;
  for (let row = 0; row < i; row++)
    back.set(transpose(product.subarray(row * size, (row + 1) * size), window, right.r), row * size);
  return back;
}
