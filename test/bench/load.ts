import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { countOpen, type FaultStack, startFaultStack, until } from '../support/faults.ts';
import { engineOf, type TestProcess } from '../support/processes.ts';

const PEOPLE = 200;
const A_MINUTE = 1_000;
/** The first minute warms up; what grows after it is a leak. LOAD_MINUTES=30 for a soak. */
const MINUTES = Number(process.env['LOAD_MINUTES'] ?? 3);
/** LOAD_BUILT=1: the processes of `npm run build`, as in a container, without the compiler in their memory. */
const program = (name: string): string =>
  process.env['LOAD_BUILT'] ? `dist/${name}/main.js` : `${name}/main.ts`;
/** LOAD_WORKERS=1 or 4: only that part of it. */
const WORKERS = (process.env['LOAD_WORKERS'] ?? '1,4').split(',').map(Number);
/** Heaps, caches and the engine's arena find their size in the first minutes; growth is measured after them. */
const WARM_UP_MINUTES = Math.min(10, Math.floor(MINUTES / 3));
/** What is still queued after so long is told and left. */
const DRAIN_MS = 120_000;

/**
 * 1,000 /imagine a minute by 200 people, evenly, whether the answers keep up or not, on the smallest model; with
 * one worker and with four. Everything, this measuring and the local Discord too, shares the machine's cores.
 */
export async function benchLoad(): Promise<void> {
  for (const workers of WORKERS) await loadWith(workers);
}

async function loadWith(count: number): Promise<void> {
  const stack = await startFaultStack({
    env: { LOG_LEVEL: 'warn', MAX_QUEUE: '100000', MAX_PER_SERVER: '100000', SLOW_MODE_WAIT_S: '0' },
    startMs: 300_000,
  });
  try {
    const info = { LOG_LEVEL: 'info' };
    const bot = await stack.start(program('bot'), 'bot ready', info);
    const workers: TestProcess[] = [];
    for (let i = 0; i < count; i++) workers.push(await stack.start(program('worker'), 'worker ready', info));
    const people = Array.from({ length: PEOPLE }, (_, i) => stack.playground.join(`Person ${i}`));
    const before = await redisBytes(stack);
    const ms: number[] = [];
    let late = 0;
    const minutes: { depth: number; rss: Record<string, number> }[] = [];
    let depth = 0;
    const look = setInterval(async () => {
      depth = Math.max(depth, await countOpen(stack.queues));
    }, 1_000);
    for (let minute = 0; minute < MINUTES; minute++) {
      const began = performance.now();
      const asked: Promise<void>[] = [];
      for (let i = 0; i < A_MINUTE; i++) {
        await sleep(Math.max(0, began + i * (60_000 / A_MINUTE) - performance.now()));
        const at = performance.now();
        const who = people[i % PEOPLE] as string;
        const done = stack.playground
          .run(who, 'imagine', { prompt: `load ${minute} ${i}` })
          .then((handle) => {
            if (handle.state === 'acknowledged') ms.push(performance.now() - at);
            else late++;
          });
        asked.push(done);
      }
      await Promise.all(asked);
      const rss = await memories(bot, workers);
      minutes.push({ depth, rss });
      const seen = Object.entries(rss).map(([name, mib]) => `${name} ${mib.toFixed(0)}`);
      console.error(`minute ${minute + 1}: ${depth} jobs, MiB: ${seen.join(', ')}`);
      depth = 0;
    }
    const queued = await countOpen(stack.queues);
    const drained = performance.now();
    await until(async () => (await countOpen(stack.queues)) === 0, 'an empty queue', DRAIN_MS).catch(() => 0);
    const left = await countOpen(stack.queues);
    const drainS = (performance.now() - drained) / 1000;
    clearInterval(look);
    const jobs = A_MINUTE * MINUTES;
    const perJob = ((await redisBytes(stack)) - before) / jobs;
    const sorted = ms.sort((a, b) => a - b);
    const at = (q: number): string => (sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN).toFixed(0);
    const load = (loadavg()[0] as number).toFixed(1);

    console.log(
      `\n### ${count} worker${count > 1 ? 's' : ''}, ${MINUTES} minutes, load average ${load} at the end\n`,
    );
    console.log('| | |\n|---|---|');
    console.log(`| acknowledged within 3 s, late | ${ms.length}, ${late} |`);
    console.log(`| acknowledgement p50, p99, max | ${at(0.5)}, ${at(0.99)}, ${at(1)} ms |`);
    console.log(
      `| jobs that wait or run, most in each minute | ${minutes.map((one) => one.depth).join(', ')} |`,
    );
    console.log(
      `| open at the end of the last minute, and ${drainS.toFixed(0)} s later | ${queued}, ${left} |`,
    );
    console.log(`| Redis for each job, open or finished | ${(perJob / 1024).toFixed(1)} KiB |`);
    for (const name of Object.keys(minutes[0]?.rss ?? {})) {
      const mib = minutes.map(({ rss }) => rss[name] as number);
      const growth = slope(mib.slice(WARM_UP_MINUTES)).toFixed(2);
      console.log(`| ${name}, MiB after each minute | ${mib.map((one) => one.toFixed(0)).join(', ')} |`);
      console.log(`| ${name}, MiB a minute after the first ${WARM_UP_MINUTES} | ${growth} |`);
    }
  } finally {
    await stack.close();
  }
}

/** Slope of the least-squares line through `values`, one a minute; NaN for fewer than two. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
  let top = 0;
  let bottom = 0;
  for (const [x, y] of values.entries()) {
    top += (x - middle) * (y - mean);
    bottom += (x - middle) ** 2;
  }
  return top / bottom;
}

/** `used_memory`, bytes. */
async function redisBytes({ redis }: FaultStack): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.client.info('memory'))?.[1]);
}

/** Resident memory of each process, MiB. */
async function memories(bot: TestProcess, workers: readonly TestProcess[]): Promise<Record<string, number>> {
  const rss = async (pid: number | undefined): Promise<number> =>
    Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  const all: Record<string, number> = { bot: await rss(bot.process.pid) };
  for (const [i, worker] of workers.entries()) {
    all[`worker ${i + 1}`] = await rss(worker.process.pid);
    all[`its engine ${i + 1}`] = await rss(await engineOf(worker));
  }
  return all;
}
