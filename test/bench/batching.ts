import { resolve } from 'node:path';
import { loadModel, type Model } from '../../worker/engine/index.ts';
import { openStepLoop } from '../../worker/engine/stepLoop.ts';
import { openRandom } from '../support/random.ts';

/**
 * What several jobs at a time are worth: (a) the engine's own step loop with a network that only takes time, by what
 * a call of so many pictures costs on three devices; (b) pocket for real on this machine.
 */
export async function benchBatching(): Promise<void> {
  for (const [device, seconds] of Object.entries(DEVICES)) {
    console.log(`\n### ${device}\n`);
    console.log(
      '| users | jobs at a time, pictures a call, order | mean wait, s | p99 | short: mean | short: p99 | pictures an hour |',
    );
    console.log('|---|---|---|---|---|---|---|');
    for (const users of [1, 10, 100])
      for (const [jobs, pictures, order] of SETTINGS) {
        const cost = (rows: number): number => callSeconds(seconds, rows / 2);
        const result = await simulate(burst(users), jobs, pictures, order, cost);
        console.log(`| ${users} | ${jobs}, ${pictures || 'apart'}, ${order} | ${row(result)} |`);
      }
  }
  await real();
}

/**
 * Seconds of one step of so many guided pictures. A100: Stable Diffusion 1.5 at 512 × 512 in half precision, 50 steps
 * with text and decoder, from the table "Batched results" of github.com/stochasticai/x-stable-diffusion (commit
 * 0b30cea, 2022). Processor: pocket at 128 × 128 on two cores, which costs the same for each picture.
 */
const DEVICES: Record<string, Readonly<Record<number, number>>> = {
  'A100, AITemplate': { 1: 1.38 / 50, 4: 4.25 / 50, 8: 7.4 / 50, 16: 15.7 / 50, 24: 23.4 / 50 },
  'A100, PyTorch': { 1: 5.77 / 50, 4: 19.2 / 50, 8: 36 / 50 },
  'two cores, pocket': { 1: 0.048, 16: 16 * 0.048 },
};
/** Whose turn it is: who came first, or as shared/queue/fairness.ts has it. */
type Order = 'as they came' | 'fair';
/** Jobs at a time; pictures in one call, 0 = each job's in calls of their own. */
const SETTINGS = [
  [1, 0, 'as they came'],
  [1, 0, 'fair'],
  [2, 0, 'fair'],
  [8, 0, 'fair'],
  [3, 8, 'as they came'],
  [3, 8, 'fair'],
  [8, 8, 'fair'],
  [8, 24, 'fair'],
] as const;

/** Straight lines between what was measured, and on from the last one in proportion. */
function callSeconds(table: Readonly<Record<number, number>>, pictures: number): number {
  const sizes = Object.keys(table).map(Number);
  const above = sizes.find((size) => size >= pictures);
  const below = sizes.filter((size) => size <= pictures).at(-1) ?? (sizes[0] as number);
  const at = (size: number): number => table[size] as number;
  if (above === undefined) return (at(below) / below) * pictures;
  if (above === below) return at(above);
  return at(below) + ((at(above) - at(below)) * (pictures - below)) / (above - below);
}

interface Job {
  at: number;
  user: number;
  pictures: number;
  steps: number;
}
const isShort = ({ pictures, steps }: Job): boolean => pictures * steps <= 40;

/** Each asks for three pictures within ten seconds: half grids, a quarter drafts, a fifth single pictures, some long ones. */
function burst(users: number): Job[] {
  const { next } = openRandom(7);
  const jobs = Array.from({ length: users * 3 }, (_, n): Job => {
    const kind = next();
    const asked = { at: next() * 10, user: n % users };
    if (kind < 0.5) return { ...asked, pictures: 4, steps: 20 };
    if (kind < 0.75) return { ...asked, pictures: 4, steps: 8 };
    if (kind < 0.95) return { ...asked, pictures: 1, steps: 20 };
    return { ...asked, pictures: 4, steps: 80 };
  });
  return jobs.sort((a, b) => a.at - b.at);
}

interface Outcome {
  waits: { job: Job; wait: number }[];
  seconds: number;
}

/** The queue hands out jobs in an order; whoever is taken paints in the engine's own loop, on a clock of its own. */
async function simulate(
  jobs: readonly Job[],
  most: number,
  pictures: number,
  order: Order,
  cost: (rows: number) => number,
): Promise<Outcome> {
  const line = openLine(order);
  const network = {};
  const loop = openStepLoop({ together: pictures > 0, ...(pictures > 0 ? { mostRows: 2 * pictures } : {}) });
  const coming = [...jobs];
  const came = (): void => {
    while (coming[0] && coming[0].at <= clock) line.add(coming.shift() as Job);
  };
  const waits: Outcome['waits'] = [];
  let clock = 0;
  let active = 0;
  let finish = (): void => undefined;
  const finished = new Promise<void>((done) => {
    finish = done;
  });
  const paint = async (job: Job): Promise<void> => {
    const rows = job.pictures * 2;
    active++;
    await loop.seated(undefined, async (seat) => {
      for (let step = 1; step <= job.steps; step++)
        await seat.ask<number, number>({
          network,
          shape: '',
          rows: Array<number>(rows).fill(0),
          weight: 1,
          left: rows * (job.steps - step),
          run: async (all) => {
            clock += cost(all.length);
            admit();
            return all;
          },
        });
    });
    active--;
    waits.push({ job, wait: clock - job.at });
    came();
    if (active === 0 && line.size() === 0 && coming[0]) clock = Math.max(clock, coming[0].at);
    admit();
    if (waits.length === jobs.length) finish();
  };
  const admit = (): void => {
    came();
    while (active < most && line.size() > 0) void paint(line.next());
  };
  clock = coming[0]?.at ?? 0;
  admit();
  await finished;
  return { waits, seconds: clock - (jobs[0]?.at ?? 0) };
}

/** Self-clocked fair queueing over the work of a job, as shared/queue/fairness.ts does it in Redis. */
function openLine(order: Order): { add(job: Job): void; next(): Job; size(): number } {
  const waiting: { job: Job; tag: number }[] = [];
  const last = new Map<number, number>();
  let virtual = 0;
  return {
    add(job) {
      const work = Math.max(1, Math.round((job.pictures * job.steps) / 20));
      const tag = Math.max(virtual, last.get(job.user) ?? 0) + work;
      last.set(job.user, tag);
      waiting.push({ job, tag: order === 'fair' ? tag : 0 });
    },
    next() {
      const least = Math.min(...waiting.map(({ tag }) => tag));
      const [{ job, tag }] = waiting.splice(
        waiting.findIndex((one) => one.tag === least),
        1,
      ) as [{ job: Job; tag: number }];
      virtual = Math.max(virtual, tag);
      return job;
    },
    size: () => waiting.length,
  };
}

function row({ waits, seconds }: Outcome): string {
  const all = waits.map(({ wait }) => wait).sort((a, b) => a - b);
  const short = waits
    .filter(({ job }) => isShort(job))
    .map(({ wait }) => wait)
    .sort((a, b) => a - b);
  const pictures = waits.reduce((sum, { job }) => sum + job.pictures, 0);
  const show = (values: readonly number[]): string =>
    `${(values.reduce((sum, one) => sum + one, 0) / values.length).toFixed(1)} | ${(values[Math.ceil(0.99 * values.length) - 1] ?? Number.NaN).toFixed(1)}`;
  return `${show(all)} | ${show(short)} | ${Math.round((pictures / seconds) * 3600)}`;
}

/** Long grids, each with a short one right behind it: each way twice, in turns, because machines are noisy. */
async function real(): Promise<void> {
  const jobs: Job[] = [
    { at: 0, user: 0, pictures: 4, steps: 12 },
    { at: 0, user: 0, pictures: 1, steps: 4 },
    { at: 0, user: 0, pictures: 4, steps: 12 },
    { at: 0, user: 0, pictures: 1, steps: 4 },
  ];
  const dir = resolve(import.meta.dirname, '../../models/pocket');
  const ways = {
    'one at a time': [1, false],
    'four, apart': [4, false],
    'four, together': [4, true],
  } as const;
  const models: Record<string, Model> = {};
  for (const [name, [, together]] of Object.entries(ways))
    models[name] = await loadModel(dir, { batch: { together, mostRows: 16 } });
  console.log('\n### pocket on this machine, for real\n');
  console.log(
    '| jobs at a time | mean wait, s | p99 | short: mean | short: p99 | pictures an hour |\n|---|---|---|---|---|---|',
  );
  for (let round = 0; round < 2; round++)
    for (const [name, [most]] of Object.entries(ways)) {
      const began = performance.now();
      const since = (): number => (performance.now() - began) / 1000;
      const waits: Outcome['waits'] = [];
      const line = [...jobs];
      const work = async (): Promise<void> => {
        for (let job = line.shift(); job; job = line.shift()) {
          const seeds = Array.from({ length: job.pictures }, (_, i) => i);
          const size = { width: 128, height: 128, steps: job.steps, guidance: 3 };
          await models[name]?.generate({ prompt: 'a red fox in the snow', negative: '', seeds, ...size });
          waits.push({ job, wait: since() });
        }
      };
      await Promise.all(Array.from({ length: most }, work));
      console.log(`| ${name} | ${row({ waits, seconds: since() })} |`);
    }
  for (const model of Object.values(models)) await model.release();
}
