import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../../worker/engine/index.ts';
import type { Picture } from '../../../../worker/engine/types.ts';
import { modelDir } from '../../../support/reference.ts';

const pocket = resolve(import.meta.dirname, '../../../../models/pocket');
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const grey: Picture = { width: 64, height: 64, data: new Float32Array(64 * 64 * 3).fill(0.5) };

describe('embed', () => {
  it('gives the same for one text and for many, long and short, at length one', async () => {
    const model = await loadModel(pocket, { threads: 1 });
    const texts = [
      'a fox',
      'a castle by the lake at sunset',
      'a dog',
      `${'a very '.repeat(120)}old tree`,
      '',
    ];
    const { texts: together, pictures, joint } = await model.embed(texts, [grey]);
    expect(joint).toBe(true);
    for (const [i, text] of texts.entries()) {
      const alone = (await model.embed([text])).texts[0]!;
      expect(Math.abs(dot(together[i]!, alone) - 1)).toBeLessThan(1e-4);
      expect(Math.abs(Math.hypot(...together[i]!) - 1)).toBeLessThan(1e-4);
    }
    // What the painter is told and what is compared here come from one tower.
    const { pooled } = await model.encodeText(texts[1]!);
    expect(dot(pooled, together[1]!)).toBeGreaterThan(0.999);
    expect(pictures[0]!.length).toBe(together[0]!.length);
    await model.release();
  });

  it('says where pictures and texts cannot be compared', async () => {
    const model = await loadModel(modelDir('sd15'), { threads: 1 });
    const { texts, pictures, joint } = await model.embed(['a fox', 'a dog'], [grey]);
    expect([texts.length, pictures.length, joint]).toEqual([2, 0, false]);
    await model.release();
  });
});
