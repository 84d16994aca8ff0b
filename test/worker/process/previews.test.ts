import { describe, expect, it } from 'vitest';
import type { Picture } from '../../../worker/engine/index.ts';
import { makePreviews } from '../../../worker/process/previews.ts';

const picture = (side: number): Picture => ({
  width: side,
  height: side,
  data: new Float32Array(3 * side * side),
});

/** The widths of what is shown at each of twelve steps of a second, where the last is the picture itself. */
async function widths(everyMs: number, decodingMs?: number): Promise<(number | undefined)[]> {
  let clock = 0;
  const show = makePreviews(everyMs, () => clock);
  const seen: (number | undefined)[] = [];
  for (let step = 1; step <= 12; step++) {
    clock = step * 1000;
    const decodePreview = async (): Promise<Picture[]> => {
      clock += decodingMs ?? 0;
      return [picture(64)];
    };
    const previews = await show({
      step,
      steps: 12,
      preview: () => [picture(8)],
      ...(decodingMs === undefined ? {} : { decodePreview }),
    });
    seen.push(previews[0]?.width);
  }
  return seen;
}
const none = undefined;

describe('previews', () => {
  it('come by the linear map, as often as wanted, and not for the last step', async () => {
    expect(await widths(0)).toEqual([...new Array(11).fill(8), none]);
    expect(await widths(3000)).toEqual([8, none, none, 8, none, none, 8, none, none, 8, none, none]);
  });

  it('come by the tiny decoder at full size, which takes a tenth of the time at most', async () => {
    expect(await widths(1000, 50)).toEqual([...new Array(11).fill(64), none]);
    expect(await widths(1000, 400)).toEqual([
      64,
      none,
      none,
      none,
      64,
      none,
      none,
      none,
      64,
      none,
      none,
      none,
    ]);
  });

  it('wait for the first picture where a prior runs', async () => {
    const show = makePreviews(1000, () => 0);
    expect(await show({ step: 1, steps: 3, preview: () => [] })).toEqual([]);
    expect(await show({ step: 2, steps: 3, preview: () => [picture(8)] })).toHaveLength(1);
  });
});
