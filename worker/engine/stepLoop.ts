/**
 * The loop in which all pictures of a model are painted: generations hand in the rows of their next step and wait
 * for what the network says, and between two of its calls others come and go (iteration-level scheduling: Yu et
 * al., "Orca", OSDI 2022, section 3.1). Rows of one network and shape go in one call, as many as fit.
 */
import { EngineError } from './errors.ts';

/** What a generation asks of a network at one step. */
export interface Call<Row, Said> {
  /** Rows of calls with the same network and shape may go together. */
  readonly network: object;
  readonly shape: string;
  readonly rows: readonly Row[];
  /** What one row costs, in rows of the size the model was trained on. */
  readonly weight: number;
  /** Rows that the generation will still ask for after this call; 0: it is its last. */
  readonly left: number;
  /** @param most rows in one run of the network, even; @returns one answer a row, in their order */
  run(rows: readonly Row[], most: number): Promise<readonly Said[]>;
}

export interface Seat {
  /** @throws EngineError 'aborted' as soon as the signal says so, also while others are painted */
  ask<Row, Said>(call: Call<Row, Said>): Promise<readonly Said[]>;
}

export interface StepLoop {
  /** Runs a generation; the others wait for it between two of its steps, and no longer once it has ended. */
  seated<T>(signal: AbortSignal | undefined, work: (seat: Seat) => Promise<T>): Promise<T>;
  /** Rows of the size the model was trained on that one call takes at present. */
  readonly mostRows: number;
  /** No call takes more from now on. */
  limit(mostRows: number): void;
}

export interface StepLoopOptions {
  /** false: every generation's rows in calls of their own, the one with the least work left first. */
  readonly together: boolean;
  readonly mostRows?: number;
  /** Told of every call before it is made; what it throws, the call throws. */
  readonly onCall?: (rows: number) => void | Promise<void>;
  /** Memory ran out: from now on a call takes half of what did not fit. */
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
  /** Between its first call and its last: the next round waits for its rows. */
  stepping: boolean;
  /** All of its work, in rows of native size; known from its first call. */
  work: number;
  /** What was done for others while it waited. */
  passed: number;
}

/** One picture with both halves of its guidance; a call is not made smaller than this. */
const LEAST_ROWS = 2;
const even = (rows: number): number => Math.max(LEAST_ROWS, 2 * Math.floor(rows / 2));

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

  /** @returns false where nothing was done: it is asked again, in smaller calls */
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
      // Whose rows they were that the network did not bear shows when each has its own call.
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
          // Whoever runs it gives rows and answers of this one kind to it alone, or to calls of the same network.
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

/** An answer to one that has left meanwhile is nobody's. */
function settle(place: Place, waiting: Waiting, tell: () => void): void {
  if (place.waiting !== waiting) return;
  place.waiting = undefined;
  if (waiting.call.left === 0) place.stepping = false;
  tell();
}

/** Work of this call and of what is left after it, in rows of native size. */
function costOf({ waiting }: Place, left = waiting?.call.left ?? 0): number {
  return waiting ? (waiting.call.rows.length + left) * waiting.call.weight : 0;
}

/**
 * The least work left goes first, which makes the mean wait as short as it can be (Schrage, "A proof of the
 * optimality of the shortest remaining processing time discipline", 1968); but whoever was passed over for several
 * times as long as its own work takes comes before all others from then on, so nobody waits for ever.
 */
function sooner(a: Place, b: Place): number {
  const [dueA, dueB] = [isDue(a), isDue(b)];
  if (dueA !== dueB) return dueA ? -1 : 1;
  return (dueA ? 0 : costOf(a) - costOf(b)) || a.order - b.order;
}

/** With 1 a full house is served in the order of coming again: everybody is due before long. */
const PATIENCE = 3;
const isDue = ({ passed, work }: Place): boolean => passed >= PATIENCE * work;

/** The first, and after it whoever goes into the same call. */
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
