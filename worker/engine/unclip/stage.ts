/** Shared by all stages: a canvas of any shape, guidance, and reports of progress. */
import type { Canvas, Prediction } from '../latents/canvas.ts';
import type { Generator } from '../latents/rng.ts';
import { type Plan, sum } from '../schedulers/plan.ts';
import type { GenerateHooks, Stage, Step } from '../types.ts';
import type { Network, NetworkRow } from './batchedSession.ts';

/** A canvas that starts from `x`. */
export function bareCanvas(generator: Generator, guidance: number, plan: Plan, x: Float32Array): Canvas {
  return { generator, guidance, sampler: plan.sampler(), x, imagined: () => x };
}

/** Pure noise at the schedule's start. */
export const noiseCanvas = (generator: Generator, guidance: number, plan: Plan, size: number): Canvas =>
  bareCanvas(generator, guidance, plan, sum([plan.initNoiseSigma, generator.randn(size)]));

/** One canvas' rows of the conditional half, and of the unconditional half; `against` empty: unguided. */
export interface CanvasRows {
  readonly against: readonly NetworkRow['inputs'][];
  readonly towards: readonly NetworkRow['inputs'][];
}

/**
 * Classifier-free guidance on rows of any shape (Ho & Salimans, 2022). Output beyond the size of a sample is the
 * variance, taken from the conditional half alone.
 * @param size numbers in one canvas
 */
export async function guided(
  network: Network,
  output: string,
  canvases: readonly Canvas[],
  rowsOf: (canvas: Canvas) => CanvasRows,
  size: number,
): Promise<Prediction[]> {
  const asked = canvases.map(rowsOf);
  const rows = asked.flatMap(({ against, towards }) =>
    [...against, ...towards].map((inputs) => ({ inputs, only: against.length + towards.length === 1 })),
  );
  const said = (await network.run(rows)).map((row) => row[output]!);
  let at = 0;
  return asked.map(({ against, towards }, i) => {
    const away = split(said.slice(at, at + against.length), size);
    at += against.length;
    const near = split(said.slice(at, at + towards.length), size);
    at += towards.length;
    const { guidance } = canvases[i]!;
    const pushed =
      against.length === 0
        ? near.prediction
        : sum([guidance, near.prediction], [1 - guidance, away.prediction]);
    return {
      towards: near.prediction,
      guided: pushed,
      ...(near.variance ? { variance: near.variance } : {}),
    };
  });
}

/** Rows of one canvas joined, prediction and variance apart. */
function split(
  rows: readonly Float32Array[],
  size: number,
): { prediction: Float32Array; variance?: Float32Array } {
  if (rows.length === 0) return { prediction: new Float32Array(0) };
  const each = size / rows.length;
  const prediction = new Float32Array(size);
  rows.forEach((row, i) => {
    prediction.set(row.subarray(0, each), i * each);
  });
  if (rows[0]!.length !== 2 * each) return { prediction };
  const variance = new Float32Array(size);
  rows.forEach((row, i) => {
    variance.set(row.subarray(each), i * each);
  });
  return { prediction, variance };
}

/** Progress counted through all stages; each step is reported with its stage's name. */
export interface Course {
  readonly hooks: GenerateHooks;
  /** Of all stages. */
  readonly steps: number;
  done: number;
  readonly stepMs: number[];
  readonly maxBatch: number;
}

/** Functions that show an unfinished picture. */
export type Looks = Pick<Step, 'preview' | 'decodePreview'>;

export const nothingToSee: Looks = { preview: () => [] };

/** Counts and reports one more step of a stage. */
export async function tell(course: Course, stage: Stage, looks: Looks): Promise<void> {
  course.done++;
  await course.hooks.onStep?.({ step: course.done, steps: course.steps, stage, ...looks });
}
