/**
 * Pictures brought to another size as Pillow's `Image.resize(size, Image.LANCZOS)` does it, to the last bit: that is
 * how diffusers fits a start picture and a mask to the size that is painted. libvips rounds elsewhere.
 */
import type { Pixels } from './pixels.ts';

const lobes = 3;
/** Pillow's fixed point: 32 bits less 8 for the value and 2 for overshoot. */
const one = 1 << 22;

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const lanczos = (x: number): number => (x >= -lobes && x < lobes ? sinc(x) * sinc(x / lobes) : 0);

export function resizeLanczos(picture: Pixels, width: number, height: number): Pixels {
  // Across first, rounded to 8 bits, then down: the order shows in the last bit.
  const across = picture.width === width ? picture : alongRows(picture, width);
  return across.height === height ? across : turned(alongRows(turned(across), height));
}

function alongRows({ width: from, height, data }: Pixels, to: number): Pixels {
  const result = new Uint8Array(to * height * 3);
  weightsOf(from, to).forEach(({ first, weights }, x) => {
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

/** For each pixel of the new side: the first old one that counts, and the weights from there on. */
function weightsOf(from: number, to: number): { first: number; weights: number[] }[] {
  const scale = from / to;
  const widened = Math.max(scale, 1);
  const support = lobes * widened;
  return Array.from({ length: to }, (_, x) => {
    const center = (x + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    const raw = Array.from({ length: end - first }, (_, k) =>
      lanczos((k + first - center + 0.5) * (1 / widened)),
    );
    const total = raw.reduce((a, b) => a + b, 0);
    const weights = raw.map((weight) => {
      const scaled = (weight / total) * one;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights };
  });
}

function turned({ width, height, data }: Pixels): Pixels {
  const result = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) result[3 * (x * height + y) + c] = data[3 * (y * width + x) + c]!;
    }
  }
  return { width: height, height: width, data: result };
}
