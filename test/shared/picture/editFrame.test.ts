import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Edit,
  type Frame,
  frameOf,
  frameSize,
  isEdit,
  paintable,
  type Rect,
  type Sizes,
} from '../../../shared/picture/editFrame.ts';
import { actionSchema } from '../../../shared/picture/recipe.ts';
import { UserError } from '../../../shared/service/errors.ts';

/** Pocket's sizes, and a common larger model's. */
const pocket: Sizes = {
  native: { width: 128, height: 128 },
  buckets: [
    [128, 128],
    [160, 128],
    [128, 160],
    [192, 128],
    [128, 192],
    [224, 128],
    [128, 224],
    [256, 128],
    [128, 256],
  ],
};
const large: Sizes = {
  native: { width: 512, height: 512 },
  buckets: [
    [512, 512],
    [640, 448],
    [448, 640],
    [704, 384],
    [384, 704],
  ],
};

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error.code;
    throw error;
  }
  return 'none';
};

const plan = (
  action: Edit,
  source: { width: number; height: number },
  sizes = pocket,
  more: { cells?: number; zoom?: number; aspect?: [number, number] } = {},
): Frame => frameOf({ action, ...frameSize(action, source, sizes, more), ...more }, source, sizes);

describe('frames', () => {
  it.each<[Edit, [number, number], [number, number], Rect]>([
    ['pan-right', [128, 128], [192, 128], { left: 0, top: 0, width: 128, height: 128 }],
    ['pan-left', [128, 128], [192, 128], { left: 64, top: 0, width: 128, height: 128 }],
    ['pan-up', [128, 128], [128, 192], { left: 0, top: 64, width: 128, height: 128 }],
    ['pan-down', [192, 128], [192, 192], { left: 0, top: 0, width: 192, height: 128 }],
    ['zoom-out', [128, 128], [128, 128], { left: 32, top: 32, width: 64, height: 64 }],
    ['zoom-out', [192, 128], [192, 128], { left: 48, top: 32, width: 96, height: 64 }],
    ['make-square', [192, 128], [192, 192], { left: 0, top: 32, width: 192, height: 128 }],
    ['make-square', [128, 256], [192, 192], { left: 48, top: 0, width: 96, height: 192 }],
    ['vary-region', [160, 128], [160, 128], { left: 0, top: 0, width: 160, height: 128 }],
  ])('%s of %j is %j and keeps %j', (action, [width, height], size, kept) => {
    const frame = plan(action, { width, height }, pocket, { cells: 1 });
    expect([frame.width, frame.height]).toEqual(size);
    expect(frame.kept).toEqual(kept);
  });

  it('zooms by what was asked, in whole latent pixels, and into another shape', () => {
    expect(plan('zoom-out', large.native, large, { zoom: 1.5 }).kept.width).toBe(344);
    const wide = plan('zoom-out', pocket.native, pocket, { zoom: 1, aspect: [2, 1] });
    expect(wide).toMatchObject({
      width: 256,
      height: 128,
      kept: { left: 64, top: 0, width: 128, height: 128 },
    });
  });

  it('paints the chosen cells', () => {
    expect(plan('vary-region', pocket.native, pocket, { cells: 0b0000_0110_0000_0001 }).fresh).toEqual([
      { left: 0, top: 0, width: 32, height: 32 },
      { left: 32, top: 64, width: 32, height: 32 },
      { left: 64, top: 64, width: 32, height: 32 },
    ]);
  });

  it('shows the model the part around what is new where all would be too large', () => {
    const frame = plan('pan-right', { width: 320, height: 128 });
    expect(frame).toMatchObject({ width: 384, window: { left: 256, top: 0, width: 128, height: 128 } });
  });

  it('ends where nothing is new or nothing more fits', () => {
    expect(code(() => frameSize('make-square', pocket.native, pocket))).toBe('frame-same');
    expect(code(() => frameSize('zoom-out', pocket.native, pocket, { zoom: 1 }))).toBe('frame-same');
    expect(code(() => frameSize('pan-up', { width: 128, height: 512 }, pocket))).toBe('frame-limit');
    expect(code(() => frameSize('pan-right', { width: 128, height: 512 }, pocket))).toBe('none');
  });

  it('gives a picture that grew a size that is painted at once', () => {
    expect(paintable({ width: 192, height: 128 }, pocket)).toEqual({ width: 192, height: 128 });
    expect(paintable({ width: 512, height: 128 }, pocket)).toEqual({ width: 256, height: 128 });
    expect(paintable({ width: 512, height: 512 }, pocket)).toEqual({ width: 128, height: 128 });
  });

  it('whatever is pressed in whatever order: everything lies inside, and on whole latent pixels', () => {
    const actions = actionSchema.options.filter(isEdit);
    fc.assert(
      fc.property(
        fc.constantFrom(pocket, large),
        fc.array(
          fc.record({
            action: fc.constantFrom(...actions),
            cells: fc.integer({ min: 1, max: 0xffff }),
            zoom: fc.double({ min: 1.01, max: 2, noNaN: true }),
          }),
          { maxLength: 12 },
        ),
        (sizes, presses) => {
          let size = sizes.native;
          for (const { action, cells, zoom } of presses) {
            let frame: Frame;
            try {
              frame = plan(action, size, sizes, { cells, zoom });
            } catch (error) {
              expect(error).toBeInstanceOf(UserError);
              continue;
            }
            const inside = (rect: Rect) =>
              rect.left >= 0 &&
              rect.top >= 0 &&
              rect.left + rect.width <= frame.width &&
              rect.top + rect.height <= frame.height;
            const whole = ({ left, top, width, height }: Rect) =>
              [left, top, width, height].every((n) => n % 8 === 0) && width > 0 && height > 0;
            for (const rect of [frame.kept, frame.window, ...frame.fresh]) {
              expect(inside(rect) && whole(rect), JSON.stringify({ action, size, frame })).toBe(true);
            }
            const unit = sizes === pocket ? 32 : 64;
            expect([frame.window.width % unit, frame.window.height % unit]).toEqual([0, 0]);
            expect(frame.fresh.length).toBeGreaterThan(0);
            for (const rect of frame.fresh) {
              expect(rect.left).toBeGreaterThanOrEqual(frame.window.left);
              expect(rect.left + rect.width).toBeLessThanOrEqual(frame.window.left + frame.window.width);
              expect(rect.top).toBeGreaterThanOrEqual(frame.window.top);
              expect(rect.top + rect.height).toBeLessThanOrEqual(frame.window.top + frame.window.height);
            }
            size = { width: frame.width, height: frame.height };
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
