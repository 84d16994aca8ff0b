/** What a network that predicts noise is asked row by row, and which rows one call of it can take. */
import type { PartAdaptation } from '../adapters/index.ts';
import type { Session } from '../onnx/session.ts';

export interface DenoiserRow {
  /** channels × height × width; the rows of one picture share the array. */
  readonly sample: Float32Array;
  readonly timestep: number;
  /** tokens × width */
  readonly hidden: Float32Array;
  readonly tokens: number;
  /** Further inputs by name, one row each. */
  readonly extras: Readonly<Record<string, Float32Array>>;
  /** The picture has no other row in this call, so it must not depend on whether other pictures have. */
  readonly only: boolean;
  /** What the picture's LoRAs do to the network. */
  readonly adaptation?: PartAdaptation | undefined;
}

export interface Groups {
  /** Rows in one call. */
  readonly most: number;
  readonly timestepPerRow: boolean;
  /** A row that has no other of its picture stays alone. */
  readonly apart: boolean;
  /** Every picture has calls of its own. */
  readonly byPicture: boolean;
  /** Rows without a LoRA stay among themselves. */
  readonly plainApart: boolean;
}

/**
 * What a picture is painted with must not depend on its company. One thread multiplies a row of a graph of ours alike in
 * any number of rows from two on; several share the work by how much there is, and a share's size decides how its sums
 * are rounded (ONNX Runtime 1.30: 2e-6 to 2e-5 in narrow networks).
 */
export const needsOwnCalls = ({ provider, own, threads }: Session): boolean =>
  provider === 'cpu' && own && threads !== 1;

/** Asks for all rows, group by group. @returns one answer a row, in their order */
export async function predictInGroups(
  rows: readonly DenoiserRow[],
  limits: Groups,
  predictTogether: (group: readonly DenoiserRow[]) => Promise<readonly Float32Array[]>,
): Promise<readonly Float32Array[]> {
  const outputs = new Map<DenoiserRow, Float32Array>();
  for (const group of groups(rows, limits)) {
    const predicted = await predictTogether(group);
    for (const [i, row] of group.entries()) outputs.set(row, predicted[i]!);
  }
  return rows.map((row) => outputs.get(row)!);
}

/** An output of several rows, row by row. */
export function splitRows(output: Float32Array, count: number): Float32Array[] {
  const size = output.length / count;
  return Array.from({ length: count }, (_, i) => output.subarray(i * size, (i + 1) * size));
}

/** Rows that one model call can take together. */
function groups(
  rows: readonly DenoiserRow[],
  { most, timestepPerRow, apart, byPicture, plainApart }: Groups,
): DenoiserRow[][] {
  const result: DenoiserRow[][] = [];
  for (const row of rows) {
    const joins = (first: DenoiserRow): boolean =>
      (timestepPerRow || first.timestep === row.timestep) &&
      first.adaptation?.overlay === row.adaptation?.overlay &&
      !(plainApart && (first.adaptation === undefined) !== (row.adaptation === undefined)) &&
      !(apart && (first.only || row.only)) &&
      !(byPicture && first.sample !== row.sample) &&
      sameShape(first, row);
    const group = result.find((each) => each.length < most && joins(each[0]!));
    if (group) group.push(row);
    else result.push([row]);
  }
  return result;
}

/** Prompts of different lengths have different numbers of tokens. */
const sameShape = (a: DenoiserRow, b: DenoiserRow): boolean =>
  a.tokens === b.tokens &&
  a.sample.length === b.sample.length &&
  Object.keys(a.extras).every((name) => a.extras[name]!.length === b.extras[name]?.length);
