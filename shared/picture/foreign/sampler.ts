import { samplerOf } from '../params.ts';

/** Names of schedules that mean the sampler's own schedule. */
const PLAIN = /^(?:automatic|normal|simple|none|uniform|default|native|sgm[ _]uniform|discrete|)$/i;

/** Other programs' names for our samplers, without `k_`, `_gpu` and punctuation. */
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
 * Our name of a sampler with its schedule; the file's own name where we have no such sampler.
 * `DPM++ 2M` with `Karras` is `dpmpp-2m-karras`.
 */
export function samplerNamed(sampler: unknown, schedule: unknown = ''): string | undefined {
  if (typeof sampler !== 'string' || sampler.trim() === '' || sampler.length > 100) return undefined;
  const extra = typeof schedule === 'string' && !PLAIN.test(schedule.trim()) ? ` ${schedule.trim()}` : '';
  const full = `${sampler.trim()}${extra}`;
  const own = (name: string): string | undefined => samplerOf(NAMES.get(plainOf(name)) ?? plainOf(name));
  return own(full) ?? (extra === '' ? sampler.trim() : withSchedule(sampler.trim(), extra));
}

/** The sampler's name with the schedule appended, unless the name ends with it already. */
const withSchedule = (sampler: string, extra: string): string =>
  sampler.toLowerCase().endsWith(extra.toLowerCase()) ? sampler : `${sampler}${extra}`;
