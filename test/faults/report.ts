import { appendFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { expect } from 'vitest';

/** Prints a measured recovery time; with RECOVERY_FILE set, also into that file, for docs/reliability.md. */
export function report(what: string, ms: number): void {
  const line = `${what}: ${(ms / 1000).toFixed(1)} s`;
  console.log(`[measured] ${line}`);
  const file = process.env['RECOVERY_FILE'];
  if (file) appendFileSync(file, `${line}\n`);
}

/** A recovery time and its goal, which is one for a machine that nobody else uses. */
export function reportWithin(what: string, ms: number, goalMs: number): void {
  report(what, ms);
  expect(ms, what).toBeLessThan(goalMs * slowness());
}

/** What `spin` takes on a free core of the machine that the goals were set on, ms. */
const FREE_MS = 50;
const SLOWEST = 4;

/** How many times longer than on a free core anything takes here and now: 1 to 4. */
function slowness(): number {
  spin();
  const began = performance.now();
  for (let i = 0; i < 3; i++) spin();
  const slow = (performance.now() - began) / 3 / FREE_MS;
  return Math.min(SLOWEST, Math.max(1, slow, (loadavg()[0] as number) / availableParallelism()));
}

/** Marsaglia's xorshift, many times. */
function spin(): number {
  let x = 88_172_645;
  for (let i = 0; i < 30_000_000; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  return x;
}
