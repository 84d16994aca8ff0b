/**
 * A process that opens one model and paints with it when it is told, and says what that cost. Processor time, not the
 * clock's: machines are shared.
 */
import { readFileSync } from 'node:fs';
import { main } from '../../../worker/cli/main.ts';
import { loadModel, type Model } from '../../../worker/engine/index.ts';
import { readSafetensors } from '../../../worker/models/import/safetensors.ts';

export interface Order {
  /** `dreamgrid models add …`, by its own main. */
  readonly add?: readonly string[];
  readonly open?: { readonly dir: string; readonly threads: number };
  /** Runs `steps` steps, and decodes nothing. */
  readonly paint?: {
    readonly side: number;
    readonly steps: number;
    readonly guidance: number;
    readonly lora?: string;
  };
  /** Paints one whole picture. */
  readonly finish?: { readonly side: number; readonly steps: number };
}

export interface Told {
  /** Seconds of the clock, and of the processor. */
  readonly seconds: number;
  readonly busy: number;
  /** Processor seconds of each step; the first one's with all that comes before it. */
  readonly steps: readonly number[];
  readonly memory: Memory;
}

/** Bytes. `own` is not shared with anybody and not the file's; `share` counts pages by how many processes have them. */
export interface Memory {
  readonly resident: number;
  readonly own: number;
  readonly share: number;
}

let model: Model | undefined;

process.on('message', (order: Order) => {
  void obey(order).then(
    (told) => process.send?.(told),
    (error: unknown) => {
      process.send?.({ error: String(error) });
    },
  );
});

async function obey({ add, open, paint, finish }: Order): Promise<Told> {
  const began = performance.now();
  const busyBefore = process.cpuUsage();
  const steps: number[] = [];
  if (add && (await main([...add])) !== 0) throw new Error(`dreamgrid ${add.join(' ')} failed`);
  if (open) model = await loadModel(open.dir, { threads: open.threads });
  if (paint) steps.push(...(await paintSteps(paint)));
  if (finish) {
    const { side, steps: count } = finish;
    const request = { prompt: 'a fox', seeds: [1], width: side, height: side, steps: count, guidance: 7.5 };
    await model!.generate(request);
  }
  const { user, system } = process.cpuUsage(busyBefore);
  const busy = (user + system) / 1e6;
  return { seconds: (performance.now() - began) / 1000, busy, steps, memory: memory() };
}

async function paintSteps({ side, steps, guidance, lora }: NonNullable<Order['paint']>): Promise<number[]> {
  const enough = new AbortController();
  const took: number[] = [];
  let before = process.cpuUsage();
  const loras = lora === undefined ? [] : [[{ source: await readSafetensors(lora), weight: 1 }]];
  const request = {
    prompt: 'a fox',
    seeds: [1],
    width: side,
    height: side,
    steps: steps + 1,
    guidance,
    loras,
  };
  await model!
    .generate(request, {
      signal: enough.signal,
      onStep: ({ step }) => {
        const { user, system } = process.cpuUsage(before);
        took.push((user + system) / 1e6);
        before = process.cpuUsage();
        if (step === steps) enough.abort();
      },
    })
    .catch((error: unknown) => {
      if (!enough.signal.aborted) throw error;
    });
  return took;
}

function memory(): Memory {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  const bytes = (field: string): number =>
    1024 * Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1]);
  return { resident: bytes('Rss'), own: bytes('Anonymous'), share: bytes('Pss') };
}
