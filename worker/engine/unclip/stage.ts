/** What every stage needs: a canvas of any shape, the two rows of guidance, and news of how far it is. */
import type { Canvas, Prediction } from '../latents/canvas.ts';
import type { Generator } from '../latents/rng.ts';
import { type Plan, sum } from '../schedulers/plan.ts';
import type { GenerateHooks, Stage, Step } from '../types.ts';
import type { Network, NetworkRow } from './batchedSession.ts';

export function bareCanvas(generator: Generator, guidance: number, plan: Plan, x: Float32Array): Canvas {
  return { generator, guidance, sampler: plan.sampler(), x, imagined: () => x };
}

/** Pure noise at the schedule's start. */
export const noiseCanvas = (generator: Generator, guidance: number, plan: Plan, size: number): Canvas =>
  bareCanvas(generator, guidance, plan, sum([plan.initNoiseSigma, generator.randn(size)]));

/** The rows of one canvas, all of one half of the guidance, then those of the other; `against` empty: unguided. */
export interface CanvasRows {
  readonly against: readonly NetworkRow['inputs'][];
  readonly towards: readonly NetworkRow['inputs'][];
}

/**
 * Classifier-free guidance on rows of any shape (Ho & Salimans, 2022). What a network says beyond the size of what
 * it was shown is its variance, of the conditional half alone.
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

/** Steps of all stages counted through, each under its stage's name. */
export interface Course {
  readonly hooks: GenerateHooks;
  /** Of all stages. */
  readonly steps: number;
  done: number;
  readonly stepMs: number[];
  readonly maxBatch: number;
}

/** How what is not finished can be looked at. */
export type Looks = Pick<Step, 'preview' | 'decodePreview'>;

export const nothingToSee: Looks = { preview: () => [] };

/** One more step of a stage is done. */
export async function tell(course: Course, stage: Stage, looks: Looks): Promise<void> {
  course.done++;
  await course.hooks.onStep?.({ step: course.done, steps: course.steps, stage, ...looks });
}
