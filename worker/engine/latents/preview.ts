/** Small pictures of a latent, cheap enough for every step. */
import type { LatentRgb, Picture } from '../types.ts';

/** Fitted by ComfyUI's authors (latent_formats.py) to the autoencoders of SD 1 and SDXL. */
const sd1: LatentRgb = {
  factors: [
    [0.3512, 0.2297, 0.3227],
    [0.325, 0.4974, 0.235],
    [-0.2829, 0.1762, 0.2721],
    [-0.212, -0.2616, -0.7177],
  ],
};
const sdxl: LatentRgb = {
  factors: [
    [0.3651, 0.4232, 0.4341],
    [-0.2533, -0.0042, 0.1068],
    [0.1076, 0.1111, -0.0362],
    [-0.3165, -0.2492, -0.2188],
  ],
  bias: [0.1084, -0.0175, -0.0011],
};

/** The linear map for a family's latents. */
export function defaultLatentRgb(family: string, channels: number): LatentRgb {
  if (channels === 4) return family === 'stable-diffusion-xl' ? sdxl : sd1;
  // No map is known for these channels: the first three as grey show at least where things are.
  return { factors: Array.from({ length: channels }, (_, i) => (i < 3 ? [0.3, 0.3, 0.3] : [0, 0, 0])) };
}

/** Latents, channels × height × width, as a picture of height × width RGB, clipped to 0..1. */
export function latentToRgb(
  { factors, bias = [0, 0, 0] }: LatentRgb,
  latents: Float32Array,
  height: number,
  width: number,
): Picture {
  const size = height * width;
  const data = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let rgb = 0; rgb < 3; rgb++) {
      let value = bias[rgb]!;
      for (let c = 0; c < factors.length; c++) value += latents[c * size + i]! * factors[c]![rgb]!;
      data[3 * i + rgb] = Math.min(Math.max((value + 1) / 2, 0), 1);
    }
  }
  return { width, height, data };
}
