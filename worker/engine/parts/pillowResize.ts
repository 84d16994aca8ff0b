/**
 * Resizes pictures as Pillow's `Image.resize` does on 8 bits, to the last bit: diffusers and transformers fit pictures
 * to a network's input that way. libvips rounds otherwise.
 */

/** RGB, row by row. */
export interface Bytes {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Pillow's fixed point: 32 bits less 8 for the value and 2 for overshoot. */
const one = 1 << 22;

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const filters = {
  lanczos: { lobes: 3, at: (x: number): number => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
  /** Keys' cubic convolution, a = -0.5 (1981). */
  bicubic: {
    lobes: 2,
    at: (signed: number): number => {
      const x = Math.abs(signed);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    },
  },
} as const;

export type Filter = keyof typeof filters;

/** `Image.resize(size, filter)`. */
export function resizeBytes(picture: Bytes, width: number, height: number, filter: Filter): Bytes {
  // Across first, rounded to 8 bits, then down: the order shows in the last bit.
  const across = picture.width === width ? picture : alongRows(picture, width, filter);
  return across.height === height ? across : turned(alongRows(turned(across), height, filter));
}

/**
 * `Image.resize(size, BICUBIC, reducing_gap=1)`, as diffusers' Kandinsky fits a picture: whole blocks are averaged
 * first; incomplete blocks at the far edges count by their share.
 */
export function fitBicubic(picture: Bytes, width: number, height: number): Bytes {
  const across = Math.max(1, Math.trunc(picture.width / width));
  const down = Math.max(1, Math.trunc(picture.height / height));
  return resizeBytes(reduceBytes(picture, across, down), width, height, 'bicubic');
}

/** `Image.reduce`: the mean of each whole block; incomplete ones at the right and bottom have their own mean. */
export function reduceBytes(picture: Bytes, across: number, down: number): Bytes {
  if (across === 1 && down === 1) return picture;
  const width = Math.ceil(picture.width / across);
  const height = Math.ceil(picture.height / down);
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min((y + 1) * down, picture.height);
    for (let x = 0; x < width; x++) {
      const right = Math.min((x + 1) * across, picture.width);
      for (let c = 0; c < 3; c++) {
        let total = 0;
        for (let v = y * down; v < bottom; v++)
          for (let u = x * across; u < right; u++) total += picture.data[3 * (v * picture.width + u) + c]!;
        const count = (bottom - y * down) * (right - x * across);
        data[3 * (y * width + x) + c] = Math.floor((total + count / 2) / count);
      }
    }
  }
  return { width, height, data };
}

/** A rectangle that lies inside of the picture. */
export function cropBytes(picture: Bytes, left: number, top: number, width: number, height: number): Bytes {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, data };
}

function alongRows({ width: from, height, data }: Bytes, to: number, filter: Filter): Bytes {
  const result = new Uint8Array(to * height * 3);
  weightsOf(from, to, filter).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < 3; c++) {
        let total = one / 2;
        for (let k = 0; k < weights.length; k++) total += weights[k]! * data[3 * (y * from + first + k) + c]!;
        result[3 * (y * to + x) + c] = Math.min(Math.max(Math.floor(total / one), 0), 255);
      }
    }
  });
  return { width: to, height, data: result };
}

/** For each pixel of the new side: the first old pixel with a weight, and the weights from there on. */
function weightsOf(from: number, to: number, filter: Filter): { first: number; weights: number[] }[] {
  const { lobes, at } = filters[filter];
  const scale = from / to;
  const widened = Math.max(scale, 1);
  const support = lobes * widened;
  return Array.from({ length: to }, (_, x) => {
    const center = (x + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    const raw = Array.from({ length: end - first }, (_, k) => at((k + first - center + 0.5) * (1 / widened)));
    const total = raw.reduce((a, b) => a + b, 0);
    const weights = raw.map((weight) => {
      const scaled = (weight / total) * one;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights };
  });
}

function turned({ width, height, data }: Bytes): Bytes {
  const result = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) result[3 * (x * height + y) + c] = data[3 * (y * width + x) + c]!;
    }
  }
  return { width: height, height: width, data: result };
}
