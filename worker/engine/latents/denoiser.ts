/**
 * The network that predicts noise, on rows of different pictures in one call. The file's names of its inputs, and
 * the type and rank of its timestep, are read from its metadata.
 */
import type { AdaptedRows } from '../adapters/index.ts';
import { EngineError } from '../errors.ts';
import type { Session, Value } from '../onnx/session.ts';
import { concat } from '../onnx/tensor.ts';
import { type DenoiserRow, needsOwnCalls, predictInGroups, splitRows } from './denoiserRows.ts';

/** Opens the network for rows with LoRAs, with its feeds beyond the plain network's inputs. */
export type OpenAdapted = (
  rows: AdaptedRows,
) => Promise<{ session: Session; feeds: Readonly<Record<string, Value>> }>;

export interface Denoiser {
  readonly session: Session;
  /** Channels of the sample input: 4, 9 for inpainting, 16 … */
  readonly inChannels: number | undefined;
  readonly outChannels: number | undefined;
  /** Length of a token's vector, where the file says. */
  readonly hiddenWidth: number | undefined;
  readonly extraInputs: readonly string[];
  /** Inputs that each row has, by the names of the whole network's inputs. */
  readonly inputs: readonly string[];
  /** Whether the file takes whole timesteps only: fractions are cut off. */
  readonly wholeTimesteps: boolean;
  /** Whether rows may differ in their timestep. */
  readonly timestepPerRow: boolean;
  predict(
    rows: readonly DenoiserRow[],
    height: number,
    width: number,
    course?: Course,
  ): Promise<readonly Float32Array[]>;
}

/** What a call may know beside its rows. */
export interface Course {
  /** Rows that the same generation will still ask for; 0 where this is its last call. */
  readonly left?: number;
  /** Rows in one run of the network, even, so that no guided picture's two rows are split; all where left out. */
  readonly most?: number;
}

/** A denoiser over an opened network. @throws EngineError('bad-model') where its inputs are others */
export function makeDenoiser(session: Session, openAdapted?: OpenAdapted): Denoiser {
  const inputs = [...session.inputs.values()];
  const byName = (name: string, fallback: (rank: number) => boolean): string => {
    const found = session.inputs.has(name) ? name : inputs.find((port) => fallback(port.shape.length))?.name;
    if (found === undefined) {
      throw new EngineError(
        'bad-model',
        `${session.file} has no input "${name}": is it a diffusion model's network?`,
        { file: session.file },
      );
    }
    return found;
  };
  const sampleName = byName('sample', (rank) => rank === 4);
  const timestepName = byName('timestep', (rank) => rank <= 1);
  const hiddenName = byName('encoder_hidden_states', (rank) => rank === 3);
  const outputName =
    ['out_sample', 'noise_pred', 'latent'].find((name) => session.outputs.has(name)) ??
    [...session.outputs.keys()][0]!;
  const samplePort = session.inputs.get(sampleName)!;
  const timestepPort = session.inputs.get(timestepName)!;
  const fixedBatch = samplePort.shape[0];
  const timestepDim = timestepPort.shape[0];
  // ONNX Runtime's CPU kernel for one row rounds otherwise than the one for several: a row that is alone when its
  // picture is painted alone stays alone. From two rows on, a row's numbers do not depend on their count; our own
  // graphs never multiply one row alone.
  const apart = session.provider === 'cpu' && !session.own;
  // Opening an export with a LoRA's inputs optimises it otherwise: rows without a LoRA stay in the plain network.
  const plainApart = !session.own;
  const timestepPerRow =
    timestepPort.shape.length === 1 && typeof timestepDim === 'string' && !/^steps?$/.test(timestepDim);

  async function predictTogether(
    rows: readonly DenoiserRow[],
    height: number,
    width: number,
  ): Promise<Float32Array[]> {
    const count = rows.length;
    const first = rows[0]!;
    const channels = first.sample.length / (height * width);
    const feeds: Record<string, Value> = {
      [sampleName]: { data: concat(rows.map((row) => row.sample)), dims: [count, channels, height, width] },
      [timestepName]: timestepValue(rows),
      [hiddenName]: {
        data: concat(rows.map((row) => row.hidden)),
        dims: [count, first.tokens, first.hidden.length / first.tokens],
      },
    };
    for (const name of Object.keys(first.extras)) {
      const data = concat(rows.map((row) => row.extras[name]!));
      feeds[name] = { data, dims: [count, data.length / count] };
    }
    const adaptations = rows.map((row) => row.adaptation);
    const adapted = adaptations.some((each) => each !== undefined)
      ? await openAdapted?.(adaptations)
      : undefined;
    const running = adapted?.session ?? session;
    const output = (await running.run({ ...feeds, ...adapted?.feeds }, [outputName])).get(outputName)!;
    return splitRows(output.data, count);
  }

  function timestepValue(rows: readonly DenoiserRow[]): Value {
    if (timestepPort.shape.length === 0) return { data: [rows[0]!.timestep], dims: [] };
    if (!timestepPerRow) return { data: [rows[0]!.timestep], dims: [1] };
    return { data: rows.map((row) => row.timestep), dims: [rows.length] };
  }

  return {
    session,
    inChannels: fixed(samplePort.shape[1]),
    outChannels: fixed(session.outputs.get(outputName)!.shape[1]),
    hiddenWidth: fixed(session.inputs.get(hiddenName)!.shape[2]),
    inputs: [...session.inputs.keys()],
    extraInputs: inputs
      .map((port) => port.name)
      .filter((name) => ![sampleName, timestepName, hiddenName].includes(name)),
    wholeTimesteps: /int/.test(timestepPort.type),
    timestepPerRow,
    predict: (rows, height, width, { most = rows.length } = {}) =>
      predictInGroups(
        rows,
        {
          most: typeof fixedBatch === 'number' ? fixedBatch : most,
          timestepPerRow,
          apart,
          byPicture: needsOwnCalls(session),
          plainApart,
        },
        (group) => predictTogether(group, height, width),
      ),
  };
}

const fixed = (size: number | string | undefined): number | undefined =>
  typeof size === 'number' ? size : undefined;
