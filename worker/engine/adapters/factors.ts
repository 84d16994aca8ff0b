/** A LoRA's factors as a graph with ports takes them (see graph/loraPorts.ts), picture by picture. */
import type { Port, Value } from '../onnx/session.ts';
import { type AdaptedModule, type AdaptedNetwork, portsOf, sides } from './adaptedNetwork.ts';
import { transpose } from './matrixProduct.ts';
import type { Change, ModuleChange } from './readLora.ts';
import { readFloats } from './tensorSource.ts';
import { wholeDown } from './weightDelta.ts';

export interface Factors {
  readonly rank: number;
  /** Linear: [in, rank]. Convolution: [rank, in, height, width]. */
  readonly down: Float32Array;
  /** Linear: [rank, out]. Convolution: [out, rank]. Scale and strength are multiplied in. */
  readonly up: Float32Array;
}
/** The factors for one network, by module. */
export type FactorSet = ReadonlyMap<string, Factors>;

export type LowRank = Extract<Change, { kind: 'factors' }>;

/** A module's change as factors; undefined where it is more than pairs of factors and cannot be fed. */
export function lowRankOf(
  { changes, magnitude, bias }: ModuleChange,
  module: AdaptedModule,
): readonly LowRank[] | undefined {
  const low = changes.filter((change) => change.kind === 'factors');
  return module.port !== undefined && !magnitude && !bias && low.length === changes.length ? low : undefined;
}

export interface Weighted {
  readonly change: LowRank;
  readonly strength: number;
}

/** The factors of one or several LoRAs on one module, their ranks side by side. */
export async function joinFactors(module: AdaptedModule, parts: readonly Weighted[]): Promise<Factors> {
  const { out, into, window } = sides(module);
  const ranks = parts.map(({ change }) => change.down.shape[0]!);
  const rank = ranks.reduce((sum, each) => sum + each, 0);
  // As in files: down [rank, in · window], row after row; up transposed to [rank, out].
  const down = new Float32Array(rank * into * window);
  const up = new Float32Array(rank * out);
  let at = 0;
  for (const [i, { change, strength }] of parts.entries()) {
    down.set(await wholeDown(change, into, window), at * into * window);
    const scale = change.scale * strength;
    const own = readFloats(change.up).data;
    up.set(
      transpose(own, out, ranks[i]!).map((value) => value * scale),
      at * out,
    );
    at += ranks[i]!;
  }
  return module.port === 'convolution'
    ? { rank, down, up: transpose(up, rank, out) }
    : { rank, down: transpose(down, rank, into), up };
}

/** Bytes that a set's factors take in memory. */
export const bytesOf = (set: FactorSet): number =>
  [...set.values()].reduce((sum, { down, up }) => sum + down.byteLength + up.byteLength, 0);

/**
 * The inputs that a graph with ports has beyond those of the plain graph.
 * @param rows undefined: no LoRA
 * @param pictures factors for the ports that take one row a picture (see graph/unet.ts)
 */
export function factorFeeds(
  network: AdaptedNetwork,
  inputs: ReadonlyMap<string, Port>,
  rows: readonly (FactorSet | undefined)[],
  pictures: readonly (FactorSet | undefined)[] = rows,
): Record<string, Value> {
  const feeds: Record<string, Value> = {};
  for (const module of network.modules.values()) {
    const names = portsOf(module);
    const port = names && inputs.get(module.port === 'convolution' ? names.rows : names.down);
    if (!port) continue;
    const own = port.shape[0] === 'pictures' ? pictures : rows;
    if (module.port === 'convolution') feedConvolution(feeds, module, names, own);
    else feedLinear(feeds, module, names, own);
  }
  return feeds;
}

type Names = NonNullable<ReturnType<typeof portsOf>>;

function feedLinear(
  feeds: Record<string, Value>,
  module: AdaptedModule,
  names: Names,
  rows: readonly (FactorSet | undefined)[],
): void {
  const { out, into } = sides(module);
  const own = rows.map((row) => row?.get(module.name));
  const rank = Math.max(...own.map((factors) => factors?.rank ?? 0));
  const first = own[0];
  const { length } = rows;
  if (first && length === 1) {
    feeds[names.down] = { data: first.down, dims: [1, into, rank] };
    feeds[names.up] = { data: first.up, dims: [1, rank, out] };
    return;
  }
  const down = new Float32Array(length * into * rank);
  const up = new Float32Array(length * rank * out);
  for (const [i, factors] of own.entries()) {
    if (!factors) continue;
    up.set(factors.up, i * rank * out);
    if (factors.rank === rank) down.set(factors.down, i * into * rank);
    else
      for (let row = 0; row < into; row++)
        down.set(
          factors.down.subarray(row * factors.rank, (row + 1) * factors.rank),
          (i * into + row) * rank,
        );
  }
  feeds[names.down] = { data: down, dims: [length, into, rank] };
  feeds[names.up] = { data: up, dims: [length, rank, out] };
}

function feedConvolution(
  feeds: Record<string, Value>,
  module: AdaptedModule,
  names: Names,
  rows: readonly (FactorSet | undefined)[],
): void {
  const [out, into, ...kernel] = module.shape as [number, number, ...number[]];
  const { window } = sides(module);
  const sets = [...new Set(rows.map((row) => row?.get(module.name)))].filter((each) => each !== undefined);
  const rank = Math.max(
    1,
    sets.reduce((sum, each) => sum + each.rank, 0),
  );
  const down = new Float32Array(rank * into * window);
  const up = new Float32Array(out * rank);
  const mask = new Float32Array(rows.length * rank);
  let at = 0;
  for (const factors of sets) {
    down.set(factors.down, at * into * window);
    for (let row = 0; row < out; row++)
      up.set(factors.up.subarray(row * factors.rank, (row + 1) * factors.rank), row * rank + at);
    for (const [i, row] of rows.entries())
      if (row?.get(module.name) === factors) mask.fill(1, i * rank + at, i * rank + at + factors.rank);
    at += factors.rank;
  }
  feeds[names.down] = { data: down, dims: [rank, into, ...kernel] };
  feeds[names.up] = { data: up, dims: [out, rank, 1, 1] };
  feeds[names.rows] = { data: mask, dims: [rows.length, rank, 1, 1] };
}
