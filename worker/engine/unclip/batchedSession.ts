/** A network with named inputs, on rows of different pictures in one call. */
import { EngineError } from '../errors.ts';
import type { Port, Session, Value } from '../onnx/session.ts';

export interface NetworkRow {
  /** By the file's input names; `dims` without the batch, `[]` for one number a row. */
  readonly inputs: Readonly<Record<string, Value>>;
  /** Whether the picture has no other row in this call, so that its numbers depend on no other picture. */
  readonly only: boolean;
}

export type NetworkOutput = Readonly<Record<string, Float32Array>>;

export interface Network {
  readonly session: Session;
  run(rows: readonly NetworkRow[]): Promise<NetworkOutput[]>;
}

/**
 * @param inputs names that the engine feeds; @param outputs names that it reads, alternatives of the first allowed
 * @throws EngineError 'bad-model' where the file has other names
 */
export function makeNetwork(
  session: Session,
  inputs: readonly string[],
  outputs: readonly string[],
): Network {
  const foreign = (why: string): EngineError =>
    new EngineError('bad-model', `${session.file} ${why}. Is it another model's part? Export it again.`, {
      file: session.file,
    });
  const lacking = inputs.filter((name) => !session.inputs.has(name));
  if (lacking.length > 0) throw foreign(`has no input ${lacking.join(', ')}`);
  const unknown = [...session.inputs.keys()].filter((name) => !inputs.includes(name));
  if (unknown.length > 0) throw foreign(`wants ${unknown.join(', ')}`);
  const silent = outputs.filter((name) => !session.outputs.has(name));
  if (silent.length > 0) throw foreign(`has no output ${silent.join(', ')}`);
  const fixed = [...session.inputs.values()].map(({ shape }) => shape[0]).find((n) => typeof n === 'number');
  // ONNX Runtime's CPU kernel for one row rounds otherwise than the one for several: a row that is alone when its
  // picture is painted alone stays alone.
  const apart = session.provider === 'cpu';

  async function together(rows: readonly NetworkRow[]): Promise<NetworkOutput[]> {
    const feeds: Record<string, Value> = {};
    for (const name of inputs) feeds[name] = stacked(rows, name, session.inputs.get(name)!);
    const said = await session.run(feeds, outputs);
    return rows.map((_, i) =>
      Object.fromEntries(
        outputs.map((name) => {
          const { data } = said.get(name)!;
          const size = data.length / rows.length;
          return [name, data.subarray(i * size, (i + 1) * size)];
        }),
      ),
    );
  }

  return {
    session,
    async run(rows) {
      const results: NetworkOutput[] = [];
      for (const group of groupsOf(rows, fixed ?? rows.length, apart))
        results.push(...(await together(group)));
      return results;
    },
  };
}

/** Rows joined to a batch; a port without a batch takes the first row's number. */
function stacked(rows: readonly NetworkRow[], name: string, port: Port): Value {
  const first = rows[0]!.inputs[name]!;
  if (port.shape.length === 0) return { data: first.data, dims: [] };
  const size = first.data.length;
  const data = new Float32Array(rows.length * size);
  rows.forEach((row, i) => {
    data.set(row.inputs[name]!.data, i * size);
  });
  return { data, dims: [rows.length, ...first.dims] };
}

function groupsOf(rows: readonly NetworkRow[], most: number, apart: boolean): NetworkRow[][] {
  const groups: NetworkRow[][] = [];
  for (const row of rows) {
    const group = groups.at(-1);
    const alone = apart && (row.only || group?.[0]?.only);
    if (group && group.length < most && !alone) group.push(row);
    else groups.push([row]);
  }
  return groups;
}
