/** The table of schedulers, and the names under which people know them. */
import { badRequest } from '../errors.ts';
import type { Config, SchedulerDefinition } from './config.ts';
import { ddim } from './ddim.ts';
import { dpmMultistep } from './dpmMultistep.ts';
import { euler } from './euler.ts';
import { eulerAncestral } from './eulerAncestral.ts';
import type { Plan, PlanRequest } from './plan.ts';
import { pndm } from './pndm.ts';

const definitions: readonly SchedulerDefinition[] = [ddim, dpmMultistep, euler, eulerAncestral, pndm];

const byName = new Map(definitions.map((definition) => [definition.name, definition]));

/** AUTOMATIC1111's names (diffusers docs, api/schedulers/overview): class and the options that make it. */
const aliases: Readonly<Record<string, readonly [string, Config]>> = {
  DDIM: ['DDIMScheduler', {}],
  PLMS: ['PNDMScheduler', { skip_prk_steps: true }],
  Euler: ['EulerDiscreteScheduler', {}],
  'Euler a': ['EulerAncestralDiscreteScheduler', {}],
  'DPM++ 2M': ['DPMSolverMultistepScheduler', {}],
  'DPM++ 2M Karras': ['DPMSolverMultistepScheduler', { use_karras_sigmas: true }],
  'DPM++ 2M SDE': ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++' }],
  'DPM++ 2M SDE Karras': [
    'DPMSolverMultistepScheduler',
    { algorithm_type: 'sde-dpmsolver++', use_karras_sigmas: true },
  ],
};

const byAlias = new Map(Object.entries(aliases).map(([alias, target]) => [alias.toLowerCase(), target]));

/** Every name that a request may carry. */
export const schedulerNames: readonly string[] = [...byName.keys(), ...Object.keys(aliases)];

export interface SchedulerChoice {
  /** A diffusers class name or an AUTOMATIC1111 name; the model's own where left out. */
  readonly name?: string;
  /** Options over the model's. */
  readonly config?: Config;
}

/** The scheduler that a request asks for, over the one in the model's folder. */
export function planSchedule(model: Config, choice: SchedulerChoice, request: PlanRequest): Plan {
  const wanted =
    choice.name ?? String(choice.config?.['_class_name'] ?? model['_class_name'] ?? 'DDIMScheduler');
  const alias = byAlias.get(wanted.toLowerCase());
  const definition = byName.get(alias ? alias[0] : wanted);
  if (!definition) throw badRequest(`no scheduler "${wanted}" (there are ${schedulerNames.join(', ')})`);
  return definition.plan({ ...model, ...alias?.[1], ...choice.config }, request);
}
