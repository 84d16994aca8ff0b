import { expect, it } from 'vitest';
import type { InstalledModel } from '../../../worker/models/installed.ts';
import type { Pixels } from '../../../worker/paint/pixels.ts';
import { guard } from '../../../worker/paint/safety.ts';
import type { Engine } from '../../../worker/process/enginePool.ts';

/** The engine's only part in this is its word on each picture; `test/e2e/safety.test.ts` has real ones. */
const engine = {
  check: async (_model: InstalledModel, { data }: Pixels) => data[0] === 255,
} as unknown as Engine;
const model = { manifest: { files: { 'safety_checker/model.onnx': {} } } } as unknown as InstalledModel;

it('a large picture that is blocked is filled with the plate without holding up the worker', async () => {
  const side = 2048;
  const flagged = { width: side, height: side, data: new Uint8Array(side * side * 3).fill(255) };
  const fine = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) };
  const began = process.cpuUsage();
  const { pictures, flagged: which } = await guard(engine, model, [flagged, fine], 'block');
  const { user } = process.cpuUsage(began);
  expect(which).toEqual([0]);
  expect(Buffer.from(pictures[0]!.data).equals(Buffer.alloc(flagged.data.length, '2b2d31', 'hex'))).toBe(
    true,
  );
  expect(pictures[1]).toBe(fine);
  expect(user / 1000).toBeLessThan(300);
});
