import type { ModelCard } from '../queue/job.ts';
import { UserError } from '../service/errors.ts';
import type { Action, Recipe } from './recipe.ts';

/**
 * Where the parent's picture stands in a new one, and which part of that is painted: the geometry of Vary
 * (Region), Zoom Out, the four pans and Make Square. Pure; pixels, origin at the top left.
 */
export interface Size {
  width: number;
  height: number;
}
export interface Rect extends Size {
  left: number;
  top: number;
}
export interface Frame extends Size {
  /** Where the parent's picture is kept, scaled to this size where its own differs. */
  kept: Rect;
  /** The part given to the model: the frame where the model knows such sizes, else the area around `fresh`. */
  window: Rect;
  /** Rectangles that are painted anew. */
  fresh: Rect[];
}

export type Sizes = Pick<ModelCard, 'native' | 'buckets'>;
export type Edit = Extract<Action, 'vary-region' | 'zoom-out' | `pan-${string}` | 'make-square'>;

const EDITS: readonly Action[] = [
  'vary-region',
  'zoom-out',
  'pan-left',
  'pan-right',
  'pan-up',
  'pan-down',
  'make-square',
];
/** Whether the action keeps part of the parent's picture and paints the rest. */
export const isEdit = (action: Action): action is Edit => EDITS.includes(action);

/** Picture pixels a side of one latent pixel, in every family: `kept` and `fresh` lie on multiples of it. */
const LATENT = 8;
export const CELLS = 4;
/** Longest side of a panned picture, in multiples of the model's native size. */
const MOST_NATIVES = 4;

/** The bucket nearest by ratio: 2:1 is as far from 1:1 as 1:2 is. The first wins a tie, so the order is the model's. */
export const bucketFor = ([w, h]: readonly [number, number], { native, buckets }: Sizes): Size => {
  let best: Size = { ...native };
  let least = Math.abs(Math.log(best.width / best.height / (w / h)));
  for (const [width, height] of buckets) {
    const off = Math.abs(Math.log(width / height / (w / h)));
    if (off < least - 1e-9) {
      best = { width, height };
      least = off;
    }
  }
  return best;
};

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
/** Greatest common divisor of all sides of the model's sizes. */
const unitOf = ({ native, buckets }: Sizes): number =>
  [native.width, native.height, ...buckets.flat()].reduce(gcd);
const largestArea = ({ native, buckets }: Sizes): number =>
  Math.max(native.width * native.height, ...buckets.map(([width, height]) => width * height));

/** How far one pan moves: half of the model's own size. */
const stepOf = (native: number, unit: number): number => Math.max(unit, Math.floor(native / 2 / unit) * unit);

/** The size at which a whole picture is painted over: one too large for the model (panned) shrinks. */
export const paintable = (size: Size, sizes: Sizes): Size =>
  size.width * size.height <= largestArea(sizes) && isWhole(size, unitOf(sizes))
    ? { width: size.width, height: size.height }
    : bucketFor([size.width, size.height], sizes);

const isWhole = ({ width, height }: Size, unit: number): boolean => width % unit === 0 && height % unit === 0;

/**
 * Size of the new picture. @param painted the size at which the parent was painted
 * @throws UserError 'frame-limit' where a pan would grow out of bounds, 'frame-same' where nothing would be new
 */
export function frameSize(
  action: Edit,
  painted: Size,
  sizes: Sizes,
  { aspect, zoom = 2 }: { aspect?: readonly [number, number] | undefined; zoom?: number | undefined } = {},
): Size {
  const unit = unitOf(sizes);
  const { native } = sizes;
  const most = MOST_NATIVES * Math.max(native.width, native.height);
  const base =
    isWhole(painted, unit) && Math.max(painted.width, painted.height) <= most
      ? { width: painted.width, height: painted.height }
      : bucketFor([painted.width, painted.height], sizes);
  switch (action) {
    case 'vary-region':
      return base;
    case 'zoom-out': {
      const size = aspect ? bucketFor(aspect, sizes) : paintable(base, sizes);
      if (zoom === 1 && size.width * base.height === size.height * base.width)
        throw new UserError('frame-same');
      return size;
    }
    case 'make-square': {
      if (base.width === base.height) throw new UserError('frame-same');
      const most2 = Math.sqrt(1.5 * largestArea(sizes));
      const side = Math.max(
        unit,
        Math.floor(Math.min(Math.max(base.width, base.height), most2) / unit) * unit,
      );
      return { width: side, height: side };
    }
    default: {
      const across = action === 'pan-left' || action === 'pan-right';
      const size = across
        ? { ...base, width: base.width + stepOf(native.width, unit) }
        : { ...base, height: base.height + stepOf(native.height, unit) };
      if (Math.max(size.width, size.height) > most) throw new UserError('frame-limit');
      return size;
    }
  }
}

/** Where everything lies in a picture of the recipe's size. @param source the parent's size */
export function frameOf(
  recipe: Pick<Recipe, 'width' | 'height' | 'cells' | 'zoom'> & { action: Edit },
  source: Size,
  sizes: Sizes,
): Frame {
  const { width, height } = recipe;
  const kept = keptIn(recipe, source, sizes);
  const fresh = recipe.action === 'vary-region' ? cellsOf(recipe.cells ?? 0, recipe) : around(kept, recipe);
  return { width, height, kept, fresh, window: windowAround(bounds(fresh), recipe, sizes) };
}

function keptIn(
  { action, width, height, zoom = 2 }: Parameters<typeof frameOf>[0],
  source: Size,
  sizes: Sizes,
): Rect {
  const unit = unitOf(sizes);
  const right = width - stepOf(sizes.native.width, unit);
  const lower = height - stepOf(sizes.native.height, unit);
  switch (action) {
    case 'vary-region':
      return { left: 0, top: 0, width, height };
    case 'pan-right':
      return { left: 0, top: 0, width: right, height };
    case 'pan-left':
      return { left: width - right, top: 0, width: right, height };
    case 'pan-down':
      return { left: 0, top: 0, width, height: lower };
    case 'pan-up':
      return { left: 0, top: height - lower, width, height: lower };
    default: {
      const times = action === 'make-square' ? 1 : zoom;
      const scale = Math.min(width / source.width, height / source.height) / times;
      const side = (length: number, most: number): number => {
        const room = times > 1 ? most - 2 * LATENT : most;
        return Math.max(LATENT, Math.min(room, Math.round((length * scale) / LATENT) * LATENT));
      };
      const [w, h] = [side(source.width, width), side(source.height, height)];
      const start = (free: number): number => Math.floor(free / 2 / LATENT) * LATENT;
      return { left: start(width - w), top: start(height - h), width: w, height: h };
    }
  }
}

/** The chosen cells, their edges on latent pixels. */
function cellsOf(cells: number, { width, height }: Size): Rect[] {
  const edge = (length: number, i: number): number => Math.round((length * i) / CELLS / LATENT) * LATENT;
  return Array.from({ length: CELLS * CELLS }, (_, i) => i)
    .filter((i) => (cells >> i) & 1)
    .map((i) => {
      const [row, column] = [Math.floor(i / CELLS), i % CELLS];
      const [left, top] = [edge(width, column), edge(height, row)];
      return { left, top, width: edge(width, column + 1) - left, height: edge(height, row + 1) - top };
    })
    .filter((rect) => rect.width > 0 && rect.height > 0);
}

/** Everything but the kept part: left, right, above, below. */
const around = (kept: Rect, { width, height }: Size): Rect[] =>
  [
    { left: 0, top: 0, width: kept.left, height },
    { left: kept.left + kept.width, top: 0, width: width - kept.left - kept.width, height },
    { left: kept.left, top: 0, width: kept.width, height: kept.top },
    {
      left: kept.left,
      top: kept.top + kept.height,
      width: kept.width,
      height: height - kept.top - kept.height,
    },
  ].filter((rect) => rect.width > 0 && rect.height > 0);

function bounds(rects: readonly Rect[]): Rect {
  const left = Math.min(...rects.map((rect) => rect.left));
  const top = Math.min(...rects.map((rect) => rect.top));
  return {
    left,
    top,
    width: Math.max(...rects.map((rect) => rect.left + rect.width)) - left,
    height: Math.max(...rects.map((rect) => rect.top + rect.height)) - top,
  };
}

/** The model's window: `fresh` plus half the model's native size of kept picture, so that the two join. */
function windowAround(fresh: Rect, frame: Size, sizes: Sizes): Rect {
  const { width, height } = frame;
  if (width * height <= largestArea(sizes)) return { left: 0, top: 0, width, height };
  const unit = unitOf(sizes);
  const span = (from: number, length: number, native: number, whole: number): [number, number] => {
    const wanted = Math.max(native, length + stepOf(native, unit));
    const size = Math.min(whole, Math.ceil(wanted / unit) * unit);
    const start = Math.round((from + length / 2 - size / 2) / LATENT) * LATENT;
    return [Math.max(0, Math.min(whole - size, start)), size];
  };
  const [left, w] = span(fresh.left, fresh.width, sizes.native.width, width);
  const [top, h] = span(fresh.top, fresh.height, sizes.native.height, height);
  return { left, top, width: w, height: h };
}
