import { samplerOf } from '../params.ts';

/** Names of a schedule that say "as the sampler has it by itself". */
const PLAIN = /^(?:automatic|normal|simple|none|uniform|default|native|sgm[ _]uniform|discrete|)$/i;

/** What other programs call the samplers of ours, after `k_`, `_gpu` and punctuation are gone. */
const NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    eulerancestral: 'euler-a',
    eulera: 'euler-a',
    euleratrailing: 'euler-a',
    plms: 'pndm',
    dpmpp2m: 'dpmpp-2m',
    dpmpp2mkarras: 'dpmpp-2m-karras',
    dpmpp2mk: 'dpmpp-2m-karras',
    dpmsolver: 'dpmpp-2m',
    dpmsolverpp: 'dpmpp-2m',
  }),
);

const plainOf = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll('+', 'p')
    .replace(/^k[_ ]/, '')
    .replace(/_gpu$/, '')
    .replace(/[^a-z0-9]/g, '');

/**
 * Our name of a sampler, its schedule being part of it; as the file says it where we have none of that kind.
 * `DPM++ 2M` with `Karras` is `dpmpp-2m-karras`.
 */
export function samplerNamed(sampler: unknown, schedule: unknown = ''): string | undefined {
  if (typeof sampler !== 'string' || sampler.trim() === '' || sampler.length > 100) return undefined;
  const extra = typeof schedule === 'string' && !PLAIN.test(schedule.trim()) ? ` ${schedule.trim()}` : '';
  const full = `${sampler.trim()}${extra}`;
  const own = (name: string): string | undefined => samplerOf(NAMES.get(plainOf(name)) ?? plainOf(name));
  return own(full) ?? (extra === '' ? sampler.trim() : withSchedule(sampler.trim(), extra));
}

/** The name with the schedule behind it, unless it is there already. */
const withSchedule = (sampler: string, extra: string): string =>
  sampler.toLowerCase().endsWith(extra.toLowerCase()) ? sampler : `${sampler}${extra}`;
