/**
 * Reading scheduler_config.json. A missing key means the class's default; a key of another class is ignored (people
 * swap schedulers over one file); a key of no class is ignored, too, as in diffusers (`unknownOptions` names it); a key
 * that this class has and we do not implement is an error that names it, unless it holds its default.
 */
import { EngineError } from '../errors.ts';
import type { Plan, PlanRequest } from './plan.ts';

export type Config = Readonly<Record<string, unknown>>;

export interface SchedulerDefinition {
  /** diffusers' class name. */
  readonly name: string;
  plan(config: Config, request: PlanRequest): Plan;
}

/** Every option of diffusers' scheduler classes (0.40). */
const knownKeys = new Set(
  `algorithm_type base_image_seq_len base_shift beta_end beta_schedule beta_start clip_denoised clip_sample
  clip_sample_range corrector_order disable_corrector dynamic_thresholding_ratio euler_at_final final_sigmas_type
  flow_shift interpolation_type invert_sigmas lambda_min_clipped lower_order_final max_image_seq_len max_shift
  noise_sampler_seed num_train_timesteps original_inference_steps prediction_type predict_x0 predictor_order
  rescale_betas_zero_snr rho s_noise sample_max_value set_alpha_to_one shift shift_terminal sigma_data sigma_max
  sigma_min sigma_schedule skip_prk_steps solver_order solver_p solver_type steps_offset stochastic_sampling
  tau_func thresholding time_shift_type timestep_scaling timestep_spacing timestep_type trained_betas
  use_beta_sigmas use_dynamic_shifting use_exponential_sigmas use_flow_sigmas use_karras_sigmas use_lu_lambdas
  variance_type`.split(/\s+/),
);

/**
 * @param defaults the options that we implement, with diffusers' defaults; null where diffusers has none
 * @param refused options that diffusers' class has and we do not implement, with their defaults
 */
export function readConfig<T extends Record<string, unknown>>(
  name: string,
  config: Config,
  defaults: T,
  refused: Config = {},
): T {
  const result: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith('_') || value === null || value === undefined) continue;
    if (Object.hasOwn(defaults, key)) {
      const fallback = defaults[key];
      if (fallback !== null && typeof fallback !== typeof value) {
        throw new EngineError(
          'unsupported',
          `${name}: option ${key} must be a ${typeof fallback}, not ${JSON.stringify(value)}`,
        );
      }
      result[key] = value;
    } else if (Object.hasOwn(refused, key)) {
      if (!same(refused[key], value)) {
        throw new EngineError(
          'unsupported',
          `${name}: option ${key} = ${JSON.stringify(value)} is not implemented`,
        );
      }
    }
  }
  return result as T;
}

/** Options of no scheduler class: from a newer diffusers, or misspelt. They change nothing. */
export const unknownOptions = (config: Config): string[] =>
  Object.keys(config).filter((key) => !key.startsWith('_') && !knownKeys.has(key));

/** An option with a fixed set of values. @throws EngineError for any other value */
export function oneOf<T extends string>(name: string, key: string, value: string, allowed: readonly T[]): T {
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw new EngineError(
    'unsupported',
    `${name}: ${key} "${value}" is not implemented (${allowed.join(', ')} are)`,
  );
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * Parses JSON as Python's json module writes it (NaN, Infinity and -Infinity outside of strings), and as editors on
 * Windows save it, with a byte-order mark.
 */
export function parsePythonJson(text: string): unknown {
  const quoted = text
    .replace(/^\uFEFF/, '')
    .replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (match) =>
      match.startsWith('"') ? match : `"\u0000${match}"`.replace('\u0000', '\\u0000'),
    );
  return JSON.parse(quoted, (_key, value) =>
    typeof value === 'string' && value.startsWith('\u0000') ? Number(value.slice(1)) : value,
  );
}
