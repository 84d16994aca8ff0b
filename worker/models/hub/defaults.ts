import type { Manifest } from '../manifest.ts';

export type Json = Readonly<Record<string, unknown>>;

/** The configs of a model's parts; {} for a missing part. */
export interface Configs {
  readonly index: Json;
  readonly unet: Json;
  readonly vae: Json;
  readonly scheduler: Json;
}

const schedulerOf = ({ scheduler }: Configs): string => String(scheduler['_class_name'] ?? 'DDIMScheduler');

/**
 * The kind of a model, for display and defaults; the engine decides by itself how to paint with it. Taken from the
 * configs alone, except that Lightning and Hyper models, whose configs are often their base model's, are recognised by
 * their repository's name.
 */
export function familyOf(configs: Configs, repository: string): string {
  const { index, unet } = configs;
  const pipeline = String(index['_class_name'] ?? '').replace(/^(ORT|Onnx)/, '');
  const inpaint = unet['in_channels'] === 9 ? '-inpaint' : '';
  const consistent =
    /LatentConsistency/.test(pipeline) ||
    typeof unet['time_cond_proj_dim'] === 'number' ||
    schedulerOf(configs) === 'LCMScheduler';
  const xl = /XL/.test(pipeline) || unet['addition_embed_type'] === 'text_time';
  if (xl)
    return `${consistent ? 'sdxl-lcm' : isDistilled(configs, repository) ? 'sdxl-turbo' : 'sdxl'}${inpaint}`;
  if (consistent) return `lcm${inpaint}`;
  if (isDistilled(configs, repository)) return `sd-turbo${inpaint}`;
  // Stable Diffusion 2 brought linear projections in attention and OpenCLIP's 1024 wide embedding.
  const second = unet['use_linear_projection'] === true || unet['cross_attention_dim'] === 1024;
  return `${second ? 'sd2' : 'sd1'}${inpaint}`;
}

/** Only Turbo models state trailing timesteps for Euler without zero terminal SNR. */
function isDistilled(configs: Configs, repository: string): boolean {
  const { scheduler } = configs;
  const trailingEuler =
    schedulerOf(configs).startsWith('Euler') &&
    scheduler['timestep_spacing'] === 'trailing' &&
    (scheduler['prediction_type'] ?? 'epsilon') === 'epsilon' &&
    scheduler['rescale_betas_zero_snr'] !== true;
  return (
    trailingEuler ||
    schedulerOf(configs) === 'TCDScheduler' ||
    /(turbo|lightning|hyper-?sd)/i.test(repository)
  );
}

/** Steps and guidance with which each kind is usually run; the scheduler is the model's own. */
export function defaultsOf(family: string, configs: Configs): Pick<Manifest, 'defaults' | 'draft'> {
  const scheduler = schedulerOf(configs);
  const set = (steps: number, guidance: number, draft: number) => ({
    defaults: { steps, guidance, scheduler },
    draft: { steps: draft },
  });
  // The guidance of a model with timestep_cond is an input (8.5 in diffusers); a merge is run nearly without.
  if (family.includes('lcm'))
    return set(4, typeof configs.unet['time_cond_proj_dim'] === 'number' ? 8.5 : 1.5, 2);
  if (family.includes('turbo')) return set(4, 0, 1);
  const slow = /^(PNDM|DDIM|DDPM|LMSDiscrete)/.test(scheduler);
  return set(slow ? 30 : 25, family.startsWith('sdxl') ? 5 : 7.5, slow ? 12 : 10);
}
