/** The table of schedulers, with AUTOMATIC1111's names for them. */
import { badRequest } from '../errors.ts';
import type { Config, SchedulerDefinition } from './config.ts';
import { ddim } from './ddim.ts';
import { ddimInverse } from './ddimInverse.ts';
import { ddpm } from './ddpm.ts';
import { deis } from './deis.ts';
import { dpmMultistep } from './dpmMultistep.ts';
import { dpmSde } from './dpmSde.ts';
import { dpmSinglestep } from './dpmSinglestep.ts';
import { edmDpmMultistep } from './edmDpmMultistep.ts';
import { edmEuler } from './edmEuler.ts';
import { euler } from './euler.ts';
import { eulerAncestral } from './eulerAncestral.ts';
import { flowMatchEuler, flowMatchHeun } from './flowMatch.ts';
import { heun } from './heun.ts';
import { ipndm } from './ipndm.ts';
import { kdpm2 } from './kdpm2.ts';
import { kdpm2Ancestral } from './kdpm2Ancestral.ts';
import { lcm } from './lcm.ts';
import { lms } from './lms.ts';
import type { Plan, PlanRequest } from './plan.ts';
import { pndm } from './pndm.ts';
import { saSolver } from './saSolver.ts';
import { tcd } from './tcd.ts';
import { unclip } from './unclip.ts';
import { unipc } from './unipc.ts';

const definitions: readonly SchedulerDefinition[] = [
  ddim,
  ddimInverse,
  ddpm,
  deis,
  dpmMultistep,
  dpmSde,
  dpmSinglestep,
  edmDpmMultistep,
  edmEuler,
  euler,
  eulerAncestral,
  flowMatchEuler,
  flowMatchHeun,
  heun,
  ipndm,
  kdpm2,
  kdpm2Ancestral,
  lcm,
  lms,
  pndm,
  saSolver,
  tcd,
  unclip,
  unipc,
];

const byName = new Map(definitions.map((definition) => [definition.name, definition]));

/** AUTOMATIC1111's names (diffusers docs, api/schedulers/overview): class and the options that make it. */
const aliases: Readonly<Record<string, readonly [string, Config]>> = {
  DDIM: ['DDIMScheduler', {}],
  DDPM: ['DDPMScheduler', {}],
  PLMS: ['PNDMScheduler', { skip_prk_steps: true }],
  LMS: ['LMSDiscreteScheduler', {}],
  'LMS Karras': ['LMSDiscreteScheduler', { use_karras_sigmas: true }],
  Euler: ['EulerDiscreteScheduler', {}],
  'Euler a': ['EulerAncestralDiscreteScheduler', {}],
  Heun: ['HeunDiscreteScheduler', {}],
  DPM2: ['KDPM2DiscreteScheduler', {}],
  'DPM2 Karras': ['KDPM2DiscreteScheduler', { use_karras_sigmas: true }],
  'DPM2 a': ['KDPM2AncestralDiscreteScheduler', {}],
  'DPM2 a Karras': ['KDPM2AncestralDiscreteScheduler', { use_karras_sigmas: true }],
  'DPM++ SDE': ['DPMSolverSinglestepScheduler', {}],
  'DPM++ SDE Karras': ['DPMSolverSinglestepScheduler', { use_karras_sigmas: true }],
  'DPM++ 2S': ['DPMSolverSinglestepScheduler', {}],
  'DPM++ 2M': ['DPMSolverMultistepScheduler', {}],
  'DPM++ 2M Karras': ['DPMSolverMultistepScheduler', { use_karras_sigmas: true }],
  'DPM++ 2M SDE': ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++' }],
  'DPM++ 2M SDE Karras': [
    'DPMSolverMultistepScheduler',
    { algorithm_type: 'sde-dpmsolver++', use_karras_sigmas: true },
  ],
  DEIS: ['DEISMultistepScheduler', {}],
  UniPC: ['UniPCMultistepScheduler', {}],
  LCM: ['LCMScheduler', {}],
  TCD: ['TCDScheduler', {}],
};

/** Classes of diffusers that equal another one but for their functions for reinforcement learning. */
const twins: Readonly<Record<string, readonly [string, Config]>> = {
  DDIMParallelScheduler: ['DDIMScheduler', {}],
  DDPMParallelScheduler: ['DDPMScheduler', {}],
};

const byAlias = new Map(
  Object.entries({ ...aliases, ...twins }).map(([alias, target]) => [alias.toLowerCase(), target]),
);

/** Every name that a request may carry. */
export const schedulerNames: readonly string[] = [
  ...byName.keys(),
  ...Object.keys(twins),
  ...Object.keys(aliases),
];

/**
 * The diffusers class, and the options set over its own, for a scheduler's name.
 * @param name a class name or an AUTOMATIC1111 name
 * @throws EngineError('bad-request') which lists the known names
 */
export function findScheduler(name: string): { readonly className: string; readonly options: Config } {
  const [className, options] = byAlias.get(name.toLowerCase()) ?? [name, {}];
  if (!byName.has(className))
    throw badRequest(`no scheduler "${name}" (there are ${schedulerNames.join(', ')})`);
  return { className, options };
}

export interface SchedulerChoice {
  /** A diffusers class name or an AUTOMATIC1111 name; the model's own where left out. */
  readonly name?: string;
  /** Options set over the model's. */
  readonly config?: Config;
}

/** Plans the schedule that a request asks for, over the config in the model's folder. */
export function planSchedule(model: Config, choice: SchedulerChoice, request: PlanRequest): Plan {
  const wanted =
    choice.name ?? String(choice.config?.['_class_name'] ?? model['_class_name'] ?? 'DDIMScheduler');
  const { className, options } = findScheduler(wanted);
  const definition = byName.get(className)!;
  return definition.plan({ ...model, ...options, ...choice.config }, request);
}
