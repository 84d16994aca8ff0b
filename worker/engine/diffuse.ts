/** The loop from noise to a sample, over arrays of any shape: latents, pixels, embeddings. */

import { EngineError } from './errors.ts';
import { advance, type Canvas, type Prediction } from './latents/canvas.ts';
import type { Plan } from './schedulers/plan.ts';

export interface Course {
  readonly plan: Plan;
  /** Index of the first model call. */
  readonly start: number;
  /** Model calls from there to the end of the schedule. */
  readonly calls: number;
  /** Number of these calls to make. */
  readonly stop: number;
  /** Numbers in one canvas. */
  readonly size: number;
  /** Most canvases in one model call. */
  readonly maxBatch: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Moves the canvases along their schedule, call by call; between two calls the event loop runs and the signal is
 * checked.
 * @param predict the network's output for canvases from index `from` on, at a call of the plan (`call` counts from 0)
 * @param onCall called after each model call, with the number of calls done
 * @returns milliseconds of each call
 * @throws EngineError 'aborted'
 */
export async function diffuse(
  canvases: readonly Canvas[],
  { plan, start, calls, stop, size, maxBatch, signal }: Course,
  predict: (
    batch: readonly Canvas[],
    index: number,
    call: number,
    from: number,
  ) => Promise<readonly Prediction[]>,
  onCall?: (done: number) => void | Promise<void>,
): Promise<number[]> {
  const callMs: number[] = [];
  for (let call = 0; call < stop; call++) {
    const began = performance.now();
    const index = start + call;
    for (let from = 0; from < canvases.length; from += maxBatch) {
      const batch = canvases.slice(from, from + maxBatch);
      const said = await predict(batch, index, call, from);
      batch.forEach((canvas, i) => {
        advance(canvas, said[i]!, plan, index, size, (call + 1) / calls);
      });
    }
    callMs.push(performance.now() - began);
    await onCall?.(call + 1);
    // The event loop handles messages (above all cancels) between two steps.
    await new Promise((resolve) => setImmediate(resolve));
    throwIfAborted(signal);
  }
  return callMs;
}

/** @throws EngineError 'aborted' with the signal's reason as its cause */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EngineError('aborted', 'cancelled', { cause: signal.reason });
}

/** diffusers' rule: the last int(steps · strength) steps are run. */
export function startIndex(steps: number, strength: number): number {
  return Math.max(steps - Math.min(Math.trunc(steps * strength), steps), 0);
}

/** The error for values that are not a number in the picture of a seed. */
export const notANumber = (seed: number, what: string): EngineError =>
  new EngineError(
    'not-a-number',
    `seed ${seed}: ${what} came out as not-a-number (half floats overflow in some models; use a float32 one)`,
  );
