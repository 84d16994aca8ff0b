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
  /** How many of them are made. */
  readonly stop: number;
  /** Numbers in one canvas. */
  readonly size: number;
  /** Most canvases in one model call. */
  readonly maxBatch: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Moves the canvases along their schedule, call by call; between two calls the event loop gets its turn and the
 * signal is looked at.
 * @param predict what the network says of some of the canvases, from the place `from` on, at a call of the plan
 * (`call` counts from 0)
 * @param onCall after each call, with the number of those that are done
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
    // Messages from outside (a cancel, above all) get their turn between two steps.
    await new Promise((resolve) => setImmediate(resolve));
    throwIfAborted(signal);
  }
  return callMs;
}

/** @throws EngineError 'aborted' with the signal's reason as its cause */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EngineError('aborted', 'cancelled', { cause: signal.reason });
}

/** diffusers: the last int(steps · strength) steps are run. */
export function startIndex(steps: number, strength: number): number {
  return Math.max(steps - Math.min(Math.trunc(steps * strength), steps), 0);
}

export const notANumber = (seed: number, what: string): EngineError =>
  new EngineError(
    'not-a-number',
    `seed ${seed}: ${what} came out as not-a-number (half floats overflow in some models; use a float32 one)`,
  );
