/**
 * Usual settings of models with a special training. Their weights look like any other's, so the file's name and
 * metadata decide; the guess is reported, and the flags of `models add` change it.
 */
import type { Json } from '../hub/defaults.ts';
import type { Source } from './modelSource.ts';
import type { TensorFile } from './safetensors.ts';

export interface Habit {
  readonly steps: number;
  readonly guidance: number;
  /** A scheduler's class and its options; the kind's own where left out. */
  readonly scheduler?: Json;
  /** Latent side that the model was trained on, where it differs from its kind's. */
  readonly sampleSize?: number;
  readonly what: string;
}

const trailing = { timestep_spacing: 'trailing' };
const euler = { _class_name: 'EulerDiscreteScheduler', ...trailing };
const lcm = {
  _class_name: 'LCMScheduler',
  original_inference_steps: 50,
  clip_sample: false,
  set_alpha_to_one: true,
  timestep_spacing: 'leading',
};

/** @returns the habit that a file's name or title names; undefined for a usual model */
export function habitOf({ file, metadata }: TensorFile, { scheduler, index }: Source): Habit | undefined {
  const name = `${file.replace(/^.*[/\\]/, '')} ${metadata['modelspec.title'] ?? ''}`.toLowerCase();
  const has = (pattern: RegExp): boolean => pattern.test(name);
  const steps = Number(/(\d{1,2})[-_ ]?steps?\b/.exec(name)?.[1] ?? Number.NaN);
  const xl = String(index['_class_name']).includes('XL');
  // The publisher's own file, or somebody's merge with it: merges keep some guidance.
  const pure = has(/^(sd[-_]?turbo|sd[-_]?xl[-_]?turbo|sdxl[-_]?lightning|hyper[-_]?sd|sdxs)/);
  const some = (own: number, merged: number): number => (Number.isNaN(steps) ? (pure ? own : merged) : steps);
  if (has(/sdxs/)) return { steps: some(1, 1), guidance: 0, scheduler: euler, what: 'SDXS' };
  if (has(/dmd2?[-_. ]/)) return { steps: some(4, 4), guidance: 1, scheduler: lcm, what: 'DMD' };
  if (scheduler['_class_name'] !== 'LCMScheduler' && has(/(^|[^a-z])lcm([^a-z]|$)/))
    return { steps: some(4, 6), guidance: 1.5, scheduler: lcm, what: 'Latent Consistency' };
  if (has(/lightning/))
    return { steps: some(4, 6), guidance: pure ? 0 : 2, scheduler: euler, what: 'Lightning' };
  if (has(/hyper[-_ ]?(sd|\d|step|xl)/))
    return {
      steps: some(8, 8),
      guidance: pure ? 0 : 1.5,
      scheduler: { ...trailing, _class_name: 'DDIMScheduler', clip_sample: false, set_alpha_to_one: false },
      what: 'Hyper-SD',
    };
  if (has(/turbo/))
    return {
      steps: some(4, 8),
      guidance: pure ? 0 : 2,
      scheduler: euler,
      ...(pure && xl ? { sampleSize: 64 } : {}),
      what: 'Turbo',
    };
  if (xl && has(/pony|illustrious|noob|animagine/)) {
    const v = scheduler['prediction_type'] === 'v_prediction';
    return {
      steps: 28,
      guidance: v ? 5 : 6,
      ...(v ? {} : { scheduler: { _class_name: 'EulerAncestralDiscreteScheduler' } }),
      what: 'a Pony, Illustrious or NoobAI kind',
    };
  }
  return undefined;
}

/** The source with the habit's settings. */
export function withHabit(source: Source, habit: Habit): Source {
  return {
    ...source,
    scheduler: habit.scheduler ? { ...source.scheduler, ...habit.scheduler } : source.scheduler,
    parts: source.parts.map((part) =>
      part.part === 'unet' && habit.sampleSize !== undefined
        ? { ...part, config: { ...part.config, sample_size: habit.sampleSize } }
        : part,
    ),
    notes: [
      ...source.notes,
      `By its name it is ${habit.what}: ${habit.steps} steps, guidance ${habit.guidance}. Change that with --steps, --guidance, --scheduler.`,
    ],
  };
}
