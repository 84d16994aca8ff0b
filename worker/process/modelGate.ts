import { EngineFailure } from './engineProcess.ts';

/**
 * Which questions may be in the engine at the same time: those to as many models as can be loaded, or a single one
 * asked alone. First come, first in, so no question waits for ever; one that failed and is asked again goes first.
 */
export interface Gate {
  /** @returns a function to leave, to be called once. @throws EngineFailure 'aborted' while the question waits */
  enter(model: string, options?: EnterOptions): Promise<() => void>;
  /** Whether a question to this model is inside. */
  busy(model: string): boolean;
}

export interface EnterOptions {
  signal?: AbortSignal | undefined;
  /** No other question is inside meanwhile, and this one goes before all that wait, except earlier ones of its kind. */
  alone?: boolean;
}

interface Waiting {
  model: string;
  alone: boolean;
  start(): void;
}

/** @param most models that can be loaded */
export function openGate(most: number): Gate {
  const inside = new Map<string, number>();
  const line: Waiting[] = [];
  let alone = false;

  const fits = (one: Waiting): boolean => {
    if (alone) return false;
    if (one.alone) return inside.size === 0;
    return inside.has(one.model) || inside.size < most;
  };
  const admit = (): void => {
    for (let first = line[0]; first && fits(first); first = line[0]) {
      line.shift();
      inside.set(first.model, (inside.get(first.model) ?? 0) + 1);
      alone = first.alone;
      first.start();
    }
  };
  const leave = (model: string): void => {
    alone = false;
    const left = (inside.get(model) ?? 1) - 1;
    if (left > 0) inside.set(model, left);
    else inside.delete(model);
    admit();
  };

  return {
    busy: (model) => inside.has(model),
    enter: (model, { signal, alone: wantsAlone = false } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) throw new EngineFailure('aborted', 'stopped before it began');
        const onAbort = (): void => {
          line.splice(line.indexOf(one), 1);
          reject(new EngineFailure('aborted', 'stopped before it began'));
          admit();
        };
        const one: Waiting = {
          model,
          alone: wantsAlone,
          start: () => {
            signal?.removeEventListener('abort', onAbort);
            let gone = false;
            resolve(() => {
              if (!gone) leave(model);
              gone = true;
            });
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        const at = wantsAlone ? line.findIndex((other) => !other.alone) : -1;
        if (at >= 0) line.splice(at, 0, one);
        else line.push(one);
        admit();
      }),
  };
}
