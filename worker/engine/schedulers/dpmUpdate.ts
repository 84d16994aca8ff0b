/**
 * One multistep update of DPM-Solver and DPM-Solver++: Lu et al., "DPM-Solver" (2206.00927) and "DPM-Solver++"
 * (2211.01095), orders 1 to 3, deterministic and SDE, midpoint and heun forms.
 */
import { sum } from './plan.ts';

export interface DpmForm {
  /** DPM-Solver++: the integral is over predictions of the clean latent, not of the noise. */
  readonly predictsData: boolean;
  readonly stochastic: boolean;
  readonly solver: 'midpoint' | 'heun';
  /** Signal and noise levels at schedule position i. */
  at(i: number): { readonly alpha: number; readonly sigma: number };
  /** ln(alpha / sigma) at schedule position i. */
  lambda(i: number): number;
}

/**
 * @param m converted outputs, newest first, at least `order` of them
 * @param noise unit normal noise where the form is stochastic
 * @returns the latent at position i + 1
 */
export function dpmUpdate(
  { predictsData, stochastic, solver, at, lambda }: DpmForm,
  order: number,
  m: readonly Float32Array[],
  x: Float32Array,
  i: number,
  noise?: Float32Array,
): Float32Array {
  const { alpha, sigma } = at(i + 1);
  const from = at(i);
  const h = lambda(i + 1) - lambda(i);
  // The exponential integrals of order 0, 1, 2 over the step, for data or noise prediction, ODE or SDE.
  const sign = predictsData ? -1 : 1;
  const z = stochastic && predictsData ? 2 * sign * h : sign * h;
  const scale = predictsData ? alpha : -sigma * (stochastic ? 2 : 1);
  const phi1 = sign * Math.expm1(z);
  const keep = predictsData ? (sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1) : alpha / from.alpha;
  const terms: [number, Float32Array][] = [
    [keep, x],
    [scale * phi1, m[0]!],
  ];
  if (order >= 2) {
    const phi2 = sign * (Math.expm1(z) / z - 1);
    const r0 = (lambda(i) - lambda(i - 1)) / h;
    const d1 = sum([1 / r0, m[0]!], [-1 / r0, m[1]!]);
    if (order === 2) terms.push([scale * (solver === 'midpoint' ? phi1 / 2 : phi2), d1]);
    else {
      const r1 = (lambda(i - 1) - lambda(i - 2)) / h;
      const d1b = sum([1 / r1, m[1]!], [-1 / r1, m[2]!]);
      const slope = sum([1 + r0 / (r0 + r1), d1], [-r0 / (r0 + r1), d1b]);
      const bend = sum([1 / (r0 + r1), d1], [-1 / (r0 + r1), d1b]);
      // diffusers keeps this sign of 1/2 in the SDE form; it is kept for the same pictures.
      const half = stochastic ? -0.5 : 0.5;
      const phi3 = sign * ((Math.expm1(z) - z) / z ** 2 - half);
      terms.push([scale * phi2, slope], [scale * phi3, bend]);
    }
  }
  if (noise) {
    terms.push([sigma * Math.sqrt(predictsData ? -Math.expm1(-2 * h) : Math.expm1(2 * h)), noise]);
  }
  return sum(...terms);
}

/** The order of call i: lower at the start, and at the end where the options ask for it or the last level is 0. */
export function dpmOrder(
  options: { readonly lower_order_final: boolean; readonly euler_at_final: boolean },
  calls: number,
  endsAtZero: boolean,
  i: number,
  known: number,
): number {
  const short = options.lower_order_final && calls < 15;
  if (i === calls - 1 && (options.euler_at_final || short || endsAtZero)) return 1;
  return Math.min(known, i === calls - 2 && short ? 2 : 3);
}
