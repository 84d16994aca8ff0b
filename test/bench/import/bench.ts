import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildStored } from '../../../worker/engine/index.ts';
import { checkpointShapes, type Layout } from './checkpoint.ts';
import type { Memory, Order, Told } from './painter.ts';
import { writeRandomTensors } from './randomTensors.ts';

const threads = 1;
/** Bytes that a layout's file takes on the disk, and a process that paints with it in memory. */
const needs: Record<Layout, { disk: number; memory: number }> = {
  sd15: { disk: 3.5e9, memory: 5e9 },
  sdxl: { disk: 7.5e9, memory: 10e9 },
};

/**
 * Checkpoints of real size with random half-precision weights, taken in and painted with by the product's own code:
 * what `add`, opening, memory, a step and a LoRA cost. Everything lies in one temporary folder. PYTHON names an
 * interpreter with torch and safetensors, against which SD 1.5's steps are timed; without one they are not compared.
 * LAYOUT=sd15 or sdxl measures one of the two.
 */
export async function benchImport(): Promise<void> {
  const layouts = (['sd15', 'sdxl'] as const).filter((each) => (process.env['LAYOUT'] ?? each) === each);
  for (const layout of layouts) {
    const scratch = await mkdtemp(join(tmpdir(), 'dreamgrid-import-'));
    try {
      const lacking = await lack(layout, scratch);
      if (lacking) console.log(`${layout}: left out, ${lacking}\n`);
      else await benchLayout(layout, scratch);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
}

async function lack(layout: Layout, scratch: string): Promise<string | undefined> {
  const { disk, memory } = needs[layout];
  const { bavail, bsize } = await statfs(scratch);
  const available = 1024 * Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
  if (bavail * bsize < disk) return `it needs ${gigabytes(disk)} of disk in ${scratch}`;
  return available < memory ? `it needs ${gigabytes(memory)} of memory` : undefined;
}

async function benchLayout(layout: Layout, scratch: string): Promise<void> {
  const file = join(scratch, `${layout}.safetensors`);
  await writeRandomTensors(file, checkpointShapes(layout));
  const models = join(scratch, 'models');
  const dir = join(models, layout);
  console.log(`### ${layout}: ${gigabytes((await stat(file)).size)} of F16, ${threads} thread\n`);
  console.log('| | |\n|---|---|');

  // 1. Taking it in.
  const adder = new Painter({ MODELS_DIR: models });
  const added = await adder.tell({ add: ['models', 'add', file, '--as', layout, '--yes'] });
  await adder.end();
  row('`models add`, every network run once', clockAndBusy(added));
  row('disk that it took', `${(((await diskOf(scratch)) - (await stat(file)).size) / 1e6).toFixed(1)} MB`);

  // 2. Opening it, in one process and in a second one beside it.
  const first = new Painter();
  const opened = await first.tell({ open: { dir, threads } });
  row('open', clockAndBusy(opened));
  row('memory then: resident, own', memoryOf(opened.memory));
  await steps(first, layout, file);
  const whole = await first.tell({ finish: { side: 256, steps: 1 } });
  row('memory after a whole picture at 256 px: resident, own', memoryOf(whole.memory));
  const second = new Painter();
  await second.tell({ open: { dir, threads } });
  await second.tell({ finish: { side: 256, steps: 1 } });
  const both = [await first.tell({}), await second.tell({})].map(({ memory }) => memory);
  row(
    'two processes, both have painted: together (PSS)',
    gigabytes(both.reduce((sum, { share }) => sum + share, 0)),
  );
  await second.end();
  if (layout === 'sd15') await loras(first, scratch, dir);
  await first.end();
  console.log('');
}

/** In turns with torch, where there is one. */
async function steps(painter: Painter, layout: Layout, file: string): Promise<void> {
  const torch = layout === 'sd15' ? await openTorch(file) : undefined;
  // A step at 512 px takes four times as long, and ten seconds for SD 1.5.
  const sides =
    layout === 'sd15'
      ? ([
          [256, 2],
          [512, 1],
        ] as const)
      : ([[256, 1]] as const);
  for (const [side, rounds] of sides) {
    const ours: number[] = [];
    const guided: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(...(await painter.tell({ paint: { side, steps: 2, guidance: 1 } })).steps);
      guided.push(...(await painter.tell({ paint: { side, steps: 1, guidance: 7.5 } })).steps);
      if (torch) theirs.push(await torch.step(side, 1));
    }
    row(`a step at ${side} px, unguided: first of the size, then`, firstAndLeast(ours));
    row(`a step at ${side} px, guided`, `${least(guided).toFixed(2)} s`);
    if (theirs.length > 0)
      row(
        `PyTorch, unguided; ours to it`,
        `${least(theirs).toFixed(2)} s; ${(least(ours) / least(theirs)).toFixed(2)}`,
      );
    else row('PyTorch', 'not compared');
    row(`memory then: resident, own`, memoryOf((await painter.tell({})).memory));
  }
  torch?.end();
}

async function loras(painter: Painter, scratch: string, dir: string): Promise<void> {
  const linear = buildStored(join(dir, 'unet')).modules.filter(
    ({ name, kind }) => kind === 'linear' && name.includes('transformer_blocks'),
  );
  const write = async (name: string, rank: number, modules = linear): Promise<string> => {
    const shapes = new Map<string, readonly number[]>();
    for (const { name: module, shape } of modules) {
      shapes.set(`unet.${module}.lora_A.weight`, [rank, shape[1]!]);
      shapes.set(`unet.${module}.lora_B.weight`, [shape[0]!, rank]);
    }
    const file = join(scratch, `${name}.safetensors`);
    await writeRandomTensors(file, shapes, { gain: () => 0.1 });
    return file;
  };
  // One module of rank 1: all others are fed rank 0.
  const nearlyNone = await write('rank0', 1, linear.slice(0, 1));
  const ranks: Record<string, string | undefined> = { none: undefined, 0: nearlyNone };
  for (const rank of [16, 64]) ranks[rank] = await write(`rank${rank}`, rank);
  const side = 256;
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(ranks).map((rank) => [rank, []]));
  const beforeAll = (await painter.tell({})).memory;
  for (let round = 0; round < 3; round++)
    for (const [rank, lora] of Object.entries(ranks)) {
      const order = { side, steps: 2, guidance: 1, ...(lora === undefined ? {} : { lora }) };
      const { steps: took } = await painter.tell({ paint: order });
      if (round === 0 && lora !== undefined)
        row(
          `LoRA of rank ${rank}, never used before: to the end of the first step`,
          `${took[0]!.toFixed(2)} s`,
        );
      times[rank]!.push(took[1]!);
    }
  for (const [rank, took] of Object.entries(times))
    row(
      `a step at ${side} px, LoRA of rank ${rank}`,
      `${least(took).toFixed(2)} s, ${(least(took) / least(times['none']!)).toFixed(3)}`,
    );
  for (let i = 0; i < 10; i++) {
    const lora = await write(`ten${i}`, 16 + i);
    await painter.tell({ paint: { side, steps: 1, guidance: 1, lora } });
  }
  const after = (await painter.tell({})).memory;
  row(
    'own memory before and after ten more LoRAs of ranks 16 to 25',
    `${gigabytes(beforeAll.own)}, ${gigabytes(after.own)}`,
  );
}

class Painter {
  readonly #child: ChildProcess;

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.#child = fork(join(import.meta.dirname, 'painter.ts'), {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  async tell(order: Order): Promise<Told> {
    this.#child.send(order);
    const [told] = (await once(this.#child, 'message')) as [Told | { error: string }];
    if ('error' in told) throw new Error(told.error);
    return told;
  }

  async end(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}

async function openTorch(file: string) {
  const python = process.env['PYTHON'];
  if (!python || !existsSync(python)) return undefined;
  const script = join(import.meta.dirname, 'torch_unet.py');
  const child = spawn(python, [script, file, String(threads)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads) },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async step(side: number, rows: number): Promise<number> {
      child.stdin.write(`${side} ${rows}\n`);
      return Number((await lines.next()).value);
    },
    end: () => child.stdin.end(),
  };
}

/** What is linked counts once. */
async function diskOf(folder: string): Promise<number> {
  const found = new Map<number, number>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { ino, blocks } = await stat(join(entry.parentPath, entry.name));
    found.set(ino, 512 * blocks);
  }
  return [...found.values()].reduce((sum, bytes) => sum + bytes, 0);
}

const row = (what: string, figure: string): void => console.log(`| ${what} | ${figure} |`);
const clockAndBusy = ({ seconds, busy }: Told): string =>
  `${seconds.toFixed(1)} s, of the processor ${busy.toFixed(1)} s`;
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
const memoryOf = ({ resident, own }: Memory): string => `${gigabytes(resident)}, ${gigabytes(own)}`;
const least = (values: readonly number[]): number => Math.min(...values);
const firstAndLeast = (values: readonly number[]): string =>
  `${values[0]!.toFixed(2)} s, ${least(values.slice(1)).toFixed(2)} s`;
