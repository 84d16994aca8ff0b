/** Rows of input for a network that predicts noise, and which of them one call can take. */
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
  /** Whether the picture has no other row in this call, so that its numbers depend on no other picture. */
  readonly only: boolean;
  /** How the picture's LoRAs change the network. */
  readonly adaptation?: PartAdaptation | undefined;
}

export interface Groups {
  /** Rows in one call. */
  readonly most: number;
  readonly timestepPerRow: boolean;
  /** Whether a picture's single row stays alone. */
  readonly apart: boolean;
  /** Whether every picture has calls of its own. */
  readonly byPicture: boolean;
  /** Whether rows without a LoRA have calls of their own. */
  readonly plainApart: boolean;
}

/**
 * A picture must not depend on the others in its call. One thread computes a row of our own graphs alike in any number
 * of rows from two on; several threads share the work by its size, and a share's size decides how its sums are rounded
 * (ONNX Runtime 1.30: 2e-6 to 2e-5 in narrow networks).
 */
export const needsOwnCalls = ({ provider, own, threads }: Session): boolean =>
  provider === 'cpu' && own && threads !== 1;

/** Predicts for all rows, group by group. @returns one output for each row, in their order */
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

/** An output of several rows, split into rows. */
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
