/**
 * The loop in which all pictures of a model are painted: generations hand in the rows of their next step and wait for
 * the network's output; between two calls of the network generations come and go (iteration-level scheduling: Yu et
 * al., "Orca", OSDI 2022, section 3.1). Rows of one network and shape share a call, as many as fit.
 */
import { EngineError } from './errors.ts';

/** One step's rows of a generation, and how to run them. */
export interface Call<Row, Said> {
  /** Rows of calls with the same network and shape may go together. */
  readonly network: object;
  readonly shape: string;
  readonly rows: readonly Row[];
  /** The cost of one row, in rows of the model's native size. */
  readonly weight: number;
  /** Rows that the generation will still hand in after this call; 0: it is the last call. */
  readonly left: number;
  /** @param most rows in one run of the network, even; @returns one output for each row, in their order */
  run(rows: readonly Row[], most: number): Promise<readonly Said[]>;
}

export interface Seat {
  /** @throws EngineError 'aborted' as soon as the signal fires, also during a call for other generations */
  ask<Row, Said>(call: Call<Row, Said>): Promise<readonly Said[]>;
}

export interface StepLoop {
  /** Runs a generation. Calls wait for its rows between two of its steps, and no longer once it has ended. */
  seated<T>(signal: AbortSignal | undefined, work: (seat: Seat) => Promise<T>): Promise<T>;
  /** Rows of native size that one call takes at present. */
  readonly mostRows: number;
  /** From now on no call takes more rows of native size. */
  limit(mostRows: number): void;
}

export interface StepLoopOptions {
  /** false: each generation's rows have calls of their own; the one with the least work left goes first. */
  readonly together: boolean;
  readonly mostRows?: number;
  /** Called with the number of rows before each call; what it throws, the call throws. */
  readonly onCall?: (rows: number) => void | Promise<void>;
  /** Called when memory ran out: from now on a call takes half of the rows that did not fit. */
  readonly onHalved?: (mostRows: number) => void;
}

interface Waiting {
  readonly call: Call<unknown, unknown>;
  resolve(said: readonly unknown[]): void;
  reject(error: unknown): void;
}

interface Place {
  readonly order: number;
  waiting: Waiting | undefined;
  /** Whether the generation is between its first and its last call: the next round waits for its rows. */
  stepping: boolean;
  /** All work of the generation, in rows of native size; known from its first call. */
  work: number;
  /** Work done for other generations while this one waited, in rows of native size. */
  passed: number;
}

/** Both rows of one guided picture; a call is not made smaller than this. */
const LEAST_ROWS = 2;
const even = (rows: number): number => Math.max(LEAST_ROWS, 2 * Math.floor(rows / 2));

/** Opens a loop that no generation is in yet. */
export function openStepLoop(options: StepLoopOptions): StepLoop {
  const { together, onCall, onHalved } = options;
  const places = new Set<Place>();
  let most = Math.max(LEAST_ROWS, options.mostRows ?? Number.POSITIVE_INFINITY);
  let order = 0;
  let running = false;

  const wake = (): void => {
    const all = [...places];
    if (running || !all.some(({ waiting }) => waiting)) return;
    if (all.some(({ stepping, waiting }) => stepping && !waiting)) return;
    running = true;
    void round().finally(() => {
      running = false;
      wake();
    });
  };

  async function round(): Promise<void> {
    const asked = [...places].filter(({ waiting }) => waiting).sort(sooner);
    const chosen = together ? company(asked, most) : asked.slice(0, 1);
    const cost = chosen.reduce((sum, place) => sum + costOf(place, 0), 0);
    if (!(await serve(chosen))) return;
    for (const place of asked) if (!chosen.includes(place)) place.passed += cost;
  }

  /** @returns false where memory ran out and nothing was done: the rows are tried again, in smaller calls */
  async function serve(chosen: readonly Place[]): Promise<boolean> {
    const asked = chosen.flatMap((place) => (place.waiting ? [{ place, waiting: place.waiting }] : []));
    const first = asked[0]?.waiting.call;
    if (!first) return true;
    const rows = asked.flatMap(({ waiting }) => waiting.call.rows);
    const limit = even(most / first.weight);
    try {
      await onCall?.(rows.length);
      const said = await first.run(rows, limit);
      let at = 0;
      for (const { place, waiting } of asked) {
        const { length } = waiting.call.rows;
        settle(place, waiting, () => waiting.resolve(said.slice(at, at + length)));
        at += length;
      }
      return true;
    } catch (error) {
      const tried = Math.min(rows.length, limit);
      if (error instanceof EngineError && error.code === 'out-of-memory' && tried > LEAST_ROWS) {
        most = even(tried / 2) * first.weight;
        onHalved?.(most);
        return false;
      }
      // Which generation's rows the network failed on shows when each has a call of its own.
      if (asked.length > 1) for (const { place } of asked) await serve([place]);
      else for (const { place, waiting } of asked) settle(place, waiting, () => waiting.reject(error));
      return true;
    }
  }

  return {
    get mostRows() {
      return most;
    },
    limit: (rows) => {
      most = Math.max(LEAST_ROWS, Math.min(most, rows));
    },
    async seated(signal, work) {
      const place: Place = { order: order++, waiting: undefined, stepping: false, work: 0, passed: 0 };
      const onAbort = (): void => {
        place.stepping = false;
        const { waiting } = place;
        place.waiting = undefined;
        waiting?.reject(aborted(signal));
        wake();
      };
      const ask = <Row, Said>(call: Call<Row, Said>): Promise<readonly Said[]> =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) throw aborted(signal);
          // Safe: rows and outputs of this kind only meet calls of the same network.
          place.waiting = { call, resolve, reject } as unknown as Waiting;
          if (!place.stepping) place.work = costOf(place);
          place.stepping = true;
          wake();
        });
      places.add(place);
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        return await work({ ask });
      } finally {
        signal?.removeEventListener('abort', onAbort);
        places.delete(place);
        wake();
      }
    },
  };
}

/** Answers a generation's call, unless the generation has left meanwhile. */
function settle(place: Place, waiting: Waiting, tell: () => void): void {
  if (place.waiting !== waiting) return;
  place.waiting = undefined;
  if (waiting.call.left === 0) place.stepping = false;
  tell();
}

/** Work of the waiting call and of those after it, in rows of native size. */
function costOf({ waiting }: Place, left = waiting?.call.left ?? 0): number {
  return waiting ? (waiting.call.rows.length + left) * waiting.call.weight : 0;
}

/**
 * The generation with the least work left goes first, which minimises the mean wait (Schrage, "A proof of the
 * optimality of the shortest remaining processing time discipline", 1968). But a generation that was passed over for several
 * times as long as its own work takes goes before all others from then on, so none waits for ever.
 */
function sooner(a: Place, b: Place): number {
  const [dueA, dueB] = [isDue(a), isDue(b)];
  if (dueA !== dueB) return dueA ? -1 : 1;
  return (dueA ? 0 : costOf(a) - costOf(b)) || a.order - b.order;
}

/** How often its own work a generation is passed over; with 1 all would soon be due, in order of arrival. */
const PATIENCE = 3;
const isDue = ({ passed, work }: Place): boolean => passed >= PATIENCE * work;

/** The first generation, and those whose rows fit into the same call. */
function company(ranked: readonly Place[], most: number): Place[] {
  const chosen: Place[] = [];
  let room = most;
  for (const place of ranked) {
    const { network, shape, rows, weight } = (place.waiting as Waiting).call;
    const first = chosen[0]?.waiting?.call;
    const fits = rows.length * weight <= room && first?.network === network && first.shape === shape;
    if (first && !fits) continue;
    chosen.push(place);
    room -= rows.length * weight;
  }
  return chosen;
}

const aborted = (signal: AbortSignal | undefined): EngineError =>
  new EngineError('aborted', 'cancelled', { cause: signal?.reason });
