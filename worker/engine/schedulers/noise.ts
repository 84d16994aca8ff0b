/**
 * Noise schedules: betas, their cumulative products, the timesteps that a run visits and the sigmas there.
 * Rounded to float32 where PyTorch holds float32, so that long runs do not drift from it.
 */
import { badRequest, EngineError } from '../errors.ts';

export interface BetaOptions {
  readonly num_train_timesteps: number;
  readonly beta_start: number;
  readonly beta_end: number;
  readonly beta_schedule: string;
  readonly trained_betas: readonly number[] | null;
  readonly rescale_betas_zero_snr?: boolean;
}

const f32 = Math.fround;

/** `count` evenly spaced numbers from `from` to `to`, both included. */
export function linspace(from: number, to: number, count: number): number[] {
  if (count === 1) return [from];
  const step = (to - from) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? to : from + step * i));
}

/** numpy's round: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Variance of the noise that each training timestep adds, float32. */
export function betas(options: BetaOptions): number[] {
  const { num_train_timesteps: n, beta_start, beta_end } = options;
  if (options.trained_betas !== null) return options.trained_betas.map(f32);
  switch (options.beta_schedule) {
    case 'linear':
      return linspace(beta_start, beta_end, n).map(f32);
    case 'scaled_linear':
      return linspace(Math.sqrt(beta_start), Math.sqrt(beta_end), n).map((root) => f32(f32(root) ** 2));
    case 'squaredcos_cap_v2': {
      // Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021), eq. 17.
      const alphaBar = (t: number): number => Math.cos(((t + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
      return Array.from({ length: n }, (_, i) =>
        f32(Math.min(1 - alphaBar((i + 1) / n) / alphaBar(i / n), 0.999)),
      );
    }
    case 'sigmoid':
      return linspace(-6, 6, n).map((v) =>
        f32((1 / (1 + Math.exp(-v))) * (beta_end - beta_start) + beta_start),
      );
    default:
      throw new EngineError('unsupported', `beta_schedule "${options.beta_schedule}" is not implemented`);
  }
}

/** Cumulative products of 1 - beta: how much of the signal's power is left at each training timestep. */
export function alphasCumprod(options: BetaOptions): Float32Array {
  const alphas = betas(options).map((beta) => f32(1 - beta));
  const cumulative = cumulate(alphas);
  if (options.rescale_betas_zero_snr !== true) return cumulative;
  // Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2023), algorithm 1: shift the
  // square roots so that the last is 0, scale them so that the first is unchanged.
  const roots = Array.from(cumulative, (value) => f32(Math.sqrt(value)));
  const first = roots[0]!;
  const last = roots.at(-1)!;
  const squares = roots.map((root) => f32(((root - last) * first) / (first - last)) ** 2);
  // Recomputed from the betas, as in diffusers: their rounding shows in the numbers.
  const again = squares.map((square, i) => {
    const alpha = i === 0 ? square : f32(square / squares[i - 1]!);
    return f32(1 - f32(1 - alpha));
  });
  return cumulate(again);
}

function cumulate(alphas: readonly number[]): Float32Array {
  const result = new Float32Array(alphas.length);
  let product = 1;
  alphas.forEach((alpha, i) => {
    product *= alpha;
    result[i] = product;
  });
  return result;
}

/** sqrt((1 - a) / a) of every training timestep: noise over signal. */
export function trainingSigmas(cumprod: Float32Array): Float32Array {
  return cumprod.map((a) => Math.sqrt(f32((1 - a) / a)));
}

export type Spacing = 'linspace' | 'leading' | 'trailing';

/** Lin et al. (2023), table 2, as integers from the noisiest on. */
export function spacedTimesteps(spacing: string, steps: number, train: number, offset: number): number[] {
  if (steps > train) throw badRequest(`steps ${steps} exceeds the ${train} the model was trained with`);
  switch (spacing) {
    case 'linspace':
      return linspace(0, train - 1, steps)
        .map(roundHalfEven)
        .reverse();
    case 'leading': {
      const ratio = Math.floor(train / steps);
      return Array.from({ length: steps }, (_, i) => i * ratio + offset).reverse();
    }
    case 'trailing':
      return trailing(train, train / steps);
    default:
      throw new EngineError('unsupported', `timestep_spacing "${spacing}" is not implemented`);
  }
}

/** round(arange(from, 0, -ratio)) - 1. */
export function trailing(from: number, ratio: number): number[] {
  const count = Math.ceil(from / ratio);
  return Array.from({ length: count }, (_, i) => roundHalfEven(from - i * ratio) - 1);
}

/** Linear interpolation into a table at real positions, clamped at its ends (numpy.interp on 0..n-1). */
export function interpolate(table: ArrayLike<number>, position: number): number {
  const last = table.length - 1;
  if (position <= 0) return table[0]!;
  if (position >= last) return table[last]!;
  const low = Math.floor(position);
  return table[low]! + (table[low + 1]! - table[low]!) * (position - low);
}

/** The training timestep, as a real number, at which a sigma lies; log-linear between neighbours. */
export function sigmaToTimestep(sigma: number, logSigmas: ArrayLike<number>): number {
  const log = Math.log(Math.max(sigma, 1e-10));
  let low = 0;
  for (let i = 0; i < logSigmas.length; i++) if (logSigmas[i]! <= log) low = i;
  low = Math.min(low, logSigmas.length - 2);
  const a = logSigmas[low]!;
  const b = logSigmas[low + 1]!;
  const w = Math.min(Math.max((a - log) / (a - b), 0), 1);
  return (1 - w) * low + w * (low + 1);
}

/** Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), eq. 5. */
export function karrasSigmas(max: number, min: number, steps: number, rho = 7): number[] {
  const a = max ** (1 / rho);
  const b = min ** (1 / rho);
  return linspace(0, 1, steps).map((ramp) => (a + ramp * (b - a)) ** rho);
}

/** Noise levels from `max` to `min`, evenly spaced in their logarithm. */
export function exponentialSigmas(max: number, min: number, steps: number): number[] {
  return linspace(Math.log(max), Math.log(min), steps).map(Math.exp);
}

/** Lee et al., "Beta Sampling is All You Need" (2024): quantiles of Beta(0.6, 0.6). */
export function betaSigmas(max: number, min: number, steps: number): number[] {
  return linspace(0, 1, steps).map((t) => min + betaQuantile(1 - t, 0.6, 0.6) * (max - min));
}

/** Inverse of the regularised incomplete beta function, by bisection. */
function betaQuantile(p: number, a: number, b: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let low = 0;
  let high = 1;
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (incompleteBeta(middle, a, b) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** I_x(a, b) by its continued fraction (Abramowitz & Stegun 26.5.8), Lentz's method. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front =
    Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / Math.max(1 - ((a + b) * x) / (a + 1), tiny);
  let fraction = d;
  for (let m = 1; m < 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d || tiny);
    c = 1 + even / c || tiny;
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d || tiny);
    c = 1 + odd / c || tiny;
    const change = d * c;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** ln Γ(x), Lanczos' approximation (g = 7, 9 terms). */
function logGamma(x: number): number {
  const coefficients = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  let total = coefficients[0]!;
  for (let i = 1; i < 9; i++) total += coefficients[i]! / (x - 1 + i);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(total);
}
