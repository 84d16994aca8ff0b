/**
 * A scheduler's result: a plan (all that is the same for every picture: timesteps, noise levels), and for each
 * picture a sampler (a step function with its own memory). Arrays are latents flattened C·h·w.
 */
export interface Plan {
  /** Timestep of each model call, in order. */
  readonly timesteps: readonly number[];
  /** Model calls per solver step: 2 where the schedule lists every noise level twice (Heun, KDPM2). */
  readonly order: number;
  /** Standard deviation of the start noise. */
  readonly initNoiseSigma: number;
  /** The model's input at call `i`; `x` itself where no scaling is needed. */
  scaleInput(x: Float32Array, i: number): Float32Array;
  /** A clean latent brought to the noise level of call `i`. */
  addNoise(clean: Float32Array, noise: Float32Array, i: number): Float32Array;
  /** A fresh memory for one picture. */
  sampler(): Sampler;
}

export interface Stepped {
  /** The latent at the next noise level. */
  readonly x: Float32Array;
  /** The clean latent as predicted at this call. */
  readonly x0: Float32Array;
}

/** Draws unit normal noise of the latent's size from the picture's own generator. */
export type Draw = () => Float32Array;

/** @param variance a second output of networks with learned variances, of the latent's size */
export type Sampler = (
  output: Float32Array,
  x: Float32Array,
  i: number,
  draw: Draw,
  variance?: Float32Array,
) => Stepped;

export interface PlanRequest {
  readonly steps: number;
  /** 0..1, image to image; only LCM and TCD build their timesteps from it. */
  readonly strength?: number;
  /** Own noise levels, without the final zero: flow matching. */
  readonly sigmas?: readonly number[];
  /** Shift for flow matching with use_dynamic_shifting. */
  readonly mu?: number;
  /** DDIM: 0 deterministic, 1 DDPM. TCD: its gamma, 0.3 where left out. */
  readonly eta?: number;
  /** Euler: Karras et al. (2022), algorithm 2. */
  readonly churn?: {
    readonly amount: number;
    readonly min?: number;
    readonly max?: number;
    readonly noise?: number;
  };
}

/** A weighted sum of equally long arrays, computed in float64. */
export function sum(...terms: readonly (readonly [number, Float32Array])[]): Float32Array {
  const length = terms[0]![1].length;
  const result = new Float32Array(length);
  if (terms.length === 2) {
    const [[a, x], [b, y]] = terms as [readonly [number, Float32Array], readonly [number, Float32Array]];
    for (let k = 0; k < length; k++) result[k] = a * x[k]! + b * y[k]!;
    return result;
  }
  for (let k = 0; k < length; k++) {
    let total = 0;
    for (const [weight, values] of terms) total += weight * values[k]!;
    result[k] = total;
  }
  return result;
}

/** Every value clipped to -limit..limit. */
export function clamp(x: Float32Array, limit: number): Float32Array {
  return x.map((value) => Math.min(Math.max(value, -limit), limit));
}

/**
 * Dynamic thresholding, Saharia et al., "Photorealistic Text-to-Image Diffusion Models" (Imagen, 2022), 2.3:
 * clip to the `ratio` quantile of |x0| (at least 1, at most `max`) and divide by it.
 */
export function dynamicThreshold(x: Float32Array, ratio: number, max: number): Float32Array {
  const sorted = x.map(Math.abs).sort();
  const position = ratio * (sorted.length - 1);
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  const quantile = sorted[low]! + (sorted[high]! - sorted[low]!) * (position - low);
  const s = Math.min(Math.max(quantile, 1), max);
  return x.map((value) => Math.min(Math.max(value, -s), s) / s);
}
