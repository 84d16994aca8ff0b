/**
 * Our own graph of Stable Diffusion's network in two: the `text` half computes the attentions' keys and values, once
 * for as long as the text is in use, the `step` half everything else (see graph/textStates.ts). A guided picture's two rows
 * are one until the first use of the text. The output is the whole network's, bit for bit.
 */
import type { AdaptedRows, PartAdaptation } from '../adapters/index.ts';
import { textInputs } from '../graph/index.ts';
import type { Port, Session, Value } from '../onnx/session.ts';
import { concat } from '../onnx/tensor.ts';
import type { Denoiser } from './denoiser.ts';
import { type DenoiserRow, needsOwnCalls, predictInGroups, splitRows } from './denoiserRows.ts';

/** Opens either half for rows with LoRAs, with its feeds beyond the plain half's inputs. */
export interface OpenAdaptedHalves {
  text(row: PartAdaptation): Promise<Adapted>;
  /** @param pictures LoRAs of the rows' pictures: layers before the text run once a picture */
  step(rows: AdaptedRows, pictures: AdaptedRows): Promise<Adapted>;
}
interface Adapted {
  readonly session: Session;
  readonly feeds: Readonly<Record<string, Value>>;
}

/** A text's keys and values by input name of the step half, tokens × width each. */
type TextStates = ReadonlyMap<string, Float32Array>;

const noLora = {};

/** A denoiser over the two halves of our own graph. */
export function makeStepDenoiser(
  { step, text }: { readonly step: Session; readonly text: Session },
  openAdapted: OpenAdaptedHalves,
): Denoiser {
  const states = [...text.outputs.keys()];
  const known = new WeakMap<Float32Array, WeakMap<object, Promise<TextStates>>>();
  const taken = new Set<string>([...states, ...Object.values(textInputs)]);
  const ownInputs = [...step.inputs.keys()].filter((name) => !taken.has(name));
  const extraInputs = ownInputs.filter((name) => name !== 'sample' && name !== 'timestep');
  /** Inputs with one row a picture; the others have one for each row. */
  const shared = new Set(
    [...step.inputs.values()].filter((port) => port.shape[0] === 'pictures').map(({ name }) => name),
  );
  const sharesPictures = shared.has('sample');

  const limits = {
    timestepPerRow: true,
    apart: false,
    byPicture: needsOwnCalls(step),
    plainApart: false,
  };

  /** Keys and values of a row's text, cached by the array of its encoding and by LoRA. */
  function statesOf({ hidden, tokens, adaptation }: DenoiserRow): Promise<TextStates> {
    const ofText = known.get(hidden) ?? new WeakMap<object, Promise<TextStates>>();
    known.set(hidden, ofText);
    const before = ofText.get(adaptation ?? noLora);
    if (before) return before;
    const made = computeStates(hidden, tokens, adaptation);
    ofText.set(adaptation ?? noLora, made);
    made.catch(() => ofText.delete(adaptation ?? noLora));
    return made;
  }

  async function computeStates(
    hidden: Float32Array,
    tokens: number,
    adaptation: PartAdaptation | undefined,
  ): Promise<TextStates> {
    const adapted = adaptation && (await openAdapted.text(adaptation));
    const encoder_hidden_states = { data: hidden, dims: [1, tokens, hidden.length / tokens] };
    const said = await (adapted?.session ?? text).run({ encoder_hidden_states, ...adapted?.feeds });
    return new Map([...said].map(([name, { data }]) => [name, data]));
  }

  let last: { texts: readonly TextStates[]; feeds: Readonly<Record<string, Value>> } | undefined;

  /** The inputs for some texts' keys and values, cached: the steps of one painting need the same ones. */
  function feedsOf(texts: readonly TextStates[], tokens: number): Readonly<Record<string, Value>> {
    if (last && sameItems(last.texts, texts)) return last.feeds;
    const feeds: Record<string, Value> = {};
    for (const name of states) {
      const data = concat(texts.map((each) => each.get(name)!));
      feeds[name] = { data, dims: [texts.length, tokens, data.length / texts.length / tokens] };
    }
    last = { texts, feeds };
    return feeds;
  }

  async function predictTogether(
    rows: readonly DenoiserRow[],
    height: number,
    width: number,
  ): Promise<Float32Array[]> {
    const ofRows: TextStates[] = [];
    for (const row of rows) ofRows.push(await statesOf(row));
    const texts = distinct(ofRows);
    const pictures = sharesPictures ? firstOfEach(rows) : rows;
    const { tokens, sample } = rows[0]!;
    const channels = sample.length / (height * width);
    const feeds: Record<string, Value> = {
      ...feedsOf(texts, tokens),
      [textInputs.text]: { data: ofRows.map((each) => texts.indexOf(each)), dims: [rows.length] },
      sample: {
        data: concat(pictures.map((row) => row.sample)),
        dims: [pictures.length, channels, height, width],
      },
      timestep: { data: pictures.map((row) => row.timestep), dims: [pictures.length] },
    };
    if (sharesPictures) {
      const places = rows.map((row) => pictures.findIndex((first) => ofOnePicture(first, row)));
      feeds[textInputs.picture] = { data: places, dims: [rows.length] };
    }
    for (const name of extraInputs) {
      const data = concat((shared.has(name) ? pictures : rows).map((row) => row.extras[name]!));
      const count = shared.has(name) ? pictures.length : rows.length;
      feeds[name] = { data, dims: [count, data.length / count] };
    }
    const adapted = rows.some((row) => row.adaptation !== undefined)
      ? await openAdapted.step(rows.map(adaptationOf), pictures.map(adaptationOf))
      : undefined;
    const said = await (adapted?.session ?? step).run({ ...feeds, ...adapted?.feeds });
    return splitRows(said.get('out_sample')!.data, rows.length);
  }

  return {
    session: step,
    inChannels: fixed(step.inputs.get('sample'), 1),
    outChannels: fixed(step.outputs.get('out_sample'), 1),
    hiddenWidth: fixed(text.inputs.get('encoder_hidden_states'), 2),
    extraInputs,
    inputs: [...ownInputs, ...text.inputs.keys()],
    wholeTimesteps: false,
    timestepPerRow: true,
    predict: (rows, height, width, { most = rows.length } = {}) =>
      predictInGroups(rows, { ...limits, most }, (group) => predictTogether(group, height, width)),
  };
}

const fixed = (port: Port | undefined, axis: number): number | undefined => {
  const size = port?.shape[axis];
  return typeof size === 'number' ? size : undefined;
};

const adaptationOf = ({ adaptation }: DenoiserRow): PartAdaptation | undefined => adaptation;

const distinct = <T>(items: readonly T[]): T[] => [...new Set(items)];

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

const ofOnePicture = (a: DenoiserRow, b: DenoiserRow): boolean =>
  a.sample === b.sample && a.timestep === b.timestep && a.adaptation === b.adaptation;

/** The first row of each picture. */
function firstOfEach(rows: readonly DenoiserRow[]): DenoiserRow[] {
  const firsts: DenoiserRow[] = [];
  for (const row of rows) if (!firsts.some((first) => ofOnePicture(first, row))) firsts.push(row);
  return firsts;
}
