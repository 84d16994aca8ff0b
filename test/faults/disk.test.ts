import { execFile } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultStack, problemsOf, startFaultStack, until } from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';
import { freePort } from '../support/redis.ts';
import { fillDisk } from './fillDisk.ts';

/** The store has no room or takes no writes; the memory is not enough; the model gives no numbers. */
const run = promisify(execFile);
let stack: FaultStack;
let worker: TestProcess;
let port: number;
let mounted = false;

beforeAll(async () => {
  stack = await startFaultStack();
  mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', stack.dataDir]).then(
    () => true,
    () => false,
  );
  port = await freePort();
  [, worker] = await Promise.all([stack.startBot(), stack.startWorker({ HEALTH_PORT: String(port) })]);
});
afterAll(async () => {
  if (mounted) await run('umount', ['-l', stack.dataDir]);
  await stack?.close();
});

const failedOnce = (jobId: string) =>
  worker.logged((event) => event.msg === 'painting failed; it is tried again' && event['jobId'] === jobId);
const isRed = async (): Promise<boolean> => !!(await problemsOf(port))?.some((one) => one.includes('store'));

describe('the disk', () => {
  it('row 30: disk full: tried again, nothing partial visible, done when there is room', async (context) => {
    if (!mounted) return context.skip('no tmpfs: not root');
    const filler = join(stack.dataDir, 'filler');
    await fillDisk(filler);
    const handle = await stack.imagine('disk full');
    await failedOnce(handle.id);
    expect(await isRed()).toBe(true);
    expect(await readdir(join(stack.dataDir, handle.id)).catch(() => [])).toEqual([]);
    expect(await stack.temporaryFiles()).toEqual([]);
    await rm(filler);
    await stack.grid(handle);
    await until(async () => !(await isRed()), 'the worker is ready again');
  });

  it('row 30: read-only volume: readiness red, and in the end a clear message', async (context) => {
    if (!mounted) return context.skip('no tmpfs: not root');
    await run('mount', ['-o', 'remount,ro', stack.dataDir]);
    expect(await isRed()).toBe(true);
    const handle = await stack.imagine('read-only');
    const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
    expect(failed.embeds[0]?.['title']).toBe('Painting failed');
    await run('mount', ['-o', 'remount,rw', stack.dataDir]);
    await stack.grid(await stack.press(failed, '🔄 Try again'));
    await stack.expectClean();
  });
});

describe('the engine', () => {
  it('row 31: out of memory (no GPU here: the engine throws what the allocator says): restart, one retry, then "too large"', async () => {
    worker.signal('SIGTERM');
    await worker.ended;
    worker = await stack.startWorker({ DREAMGRID_FAULT: 'engine-step:out-of-memory:2' });
    const handle = await stack.imagine('too large');
    const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
    expect(failed.embeds[0]?.['title']).toBe('Too large for this GPU');
    const restarts = worker.events.filter(({ msg }) => msg === 'the engine process is replaced');
    expect(restarts.map(({ err }) => (err as { code?: string }).code)).toEqual([
      'out-of-memory',
      'out-of-memory',
    ]);
  });

  it('row 32: NaN in the model (no GPU here, so no safer type to try): no black picture is shown, the user is told', async () => {
    worker.signal('SIGTERM');
    await worker.ended;
    const { root, writeManifest } = stack.models!;
    const path = join(root, 'tiny', 'vae_decoder', 'model.onnx');
    const model = await readFile(path);
    spoilWeights(model);
    await writeFile(path, model);
    await writeManifest('tiny');
    worker = await stack.startWorker();
    const handle = await stack.imagine('not a number');
    const failed = await stack.shown(handle, ({ content }) => content.includes('(Failed)'));
    expect(failed.embeds[0]?.['description']).toContain('empty picture');
    await stack.expectClean();
  });
});

/** Makes the first number of every large tensor NaN: field 9 of ONNX's TensorProto holds the raw floats. */
function spoilWeights(model: Buffer): void {
  let spoilt = 0;
  for (let at = 0; at < model.length - 8; at++) {
    if (model[at] !== 0x4a) continue;
    const { length, start } = readVarint(model, at + 1);
    if (length < 1024 || length % 4 !== 0 || start + length > model.length) continue;
    const floats = Array.from({ length: 64 }, (_, i) => model.readFloatLE(start + 4 * i));
    if (!floats.every((value) => Number.isFinite(value) && Math.abs(value) < 100)) continue;
    model.writeFloatLE(Number.NaN, start);
    spoilt++;
    at = start + length - 1;
  }
  expect(spoilt).toBeGreaterThan(0);
}

function readVarint(bytes: Buffer, from: number): { length: number; start: number } {
  let length = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[from + i] ?? 0;
    length |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { length, start: from + i + 1 };
  }
  return { length: 0, start: from };
}
