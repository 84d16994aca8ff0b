import { PARAMETERS, type ParameterSpec } from '../picture/params.ts';
import type { Params } from '../queue/job.ts';

export interface Printable {
  prompt: string;
  params: Params;
  negative?: string;
  images?: readonly string[];
  srefs?: readonly string[];
}

const protect = (text: string): string => text.replace(/[{}]/g, '\\$&');

const printParameter = (spec: ParameterSpec, p: Printable): string | undefined => {
  if (spec.name === 'no') return p.negative ? `--no ${protect(p.negative)}` : undefined;
  if (spec.name === 'sref') {
    const styles = [...(p.params.sref ?? []), ...(p.srefs ?? []).map(protect)];
    return styles.length === 0 ? undefined : `--sref ${styles.join(' ')}`;
  }
  if (spec.name === 'lora')
    return p.params.loras?.map(({ name, weight }) => `--lora ${name}:${weight}`).join(' ');
  const value = spec.field === undefined ? undefined : p.params[spec.field];
  if (value === undefined || value === false) return undefined;
  const name = `--${spec.print ?? spec.name}`;
  if (spec.value !== undefined) return value === spec.value ? name : undefined;
  if (value === true) return name;
  return `${name} ${Array.isArray(value) ? value.join(':') : value}`;
};

/** The prompt's canonical text: links, words, parameters in the order of the table. */
export const printPrompt = (p: Printable): string =>
  [
    ...(p.images ?? []).map(protect),
    protect(p.prompt),
    ...PARAMETERS.map((spec: ParameterSpec) => printParameter(spec, p)),
  ]
    .filter(Boolean)
    .join(' ');
