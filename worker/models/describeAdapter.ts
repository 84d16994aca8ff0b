/** What a LoRA's metadata says: base, trigger words, and settings of a LoRA for few steps. */
import { type BaseName, MAX_LORA_WEIGHT } from '../../shared/picture/lora.ts';
import { type Base, baseOfFile } from '../engine/index.ts';
import type { TensorFile } from './import/safetensors.ts';

/** Names of bases in the rest of the program. */
export const baseNames: Readonly<Partial<Record<Base, BaseName>>> = {
  pocket: 'pocket',
  'Stable Diffusion 1': 'sd1',
  'Stable Diffusion 2': 'sd2',
  SDXL: 'sdxl',
};

export interface Habits {
  base?: BaseName;
  words: string[];
  weight?: number;
  steps?: number;
  guidance?: number;
  scheduler?: string;
  spacing?: 'trailing';
}

export function describeLora(index: TensorFile): Habits {
  const found = baseOfFile(index);
  const base = found && baseNames[found];
  return { ...(base ? { base } : {}), words: wordsOf(index), ...weightOf(index), ...speedOf(index) };
}

/** The strength under our own metadata key, which the LoRA's maker recommends. */
function weightOf({ metadata }: TensorFile): Pick<Habits, 'weight'> {
  const weight = Number(metadata['dreamgrid.weight'] ?? Number.NaN);
  return Math.abs(weight) <= MAX_LORA_WEIGHT ? { weight } : {};
}

export function describeEmbedding({ tensors }: TensorFile): { base?: BaseName } {
  if (tensors.has('clip_g')) return { base: 'sdxl' };
  const width = [...tensors.values()][0]?.shape.at(-1);
  return width === 768 ? { base: 'sd1' } : width === 1024 ? { base: 'sd2' } : {};
}

/** modelspec's trigger phrase, else the words that kohya's trainer counted in nearly every caption. */
function wordsOf({ metadata }: TensorFile): string[] {
  const phrase = metadata['modelspec.trigger_phrase'];
  if (phrase) return split(phrase);
  const counts = frequencies(metadata['ss_tag_frequency']);
  const most = Math.max(0, ...counts.values());
  return [...counts]
    .filter(([, count]) => count >= most * 0.8 && count > 1)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 5)
    .map(([word]) => word);
}

const split = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim().slice(0, 100))
    .filter((word) => word !== '')
    .slice(0, 20);

/** { folder: { tag: count } } */
function frequencies(text: string | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  try {
    const folders = JSON.parse(text ?? '{}') as Record<string, Record<string, unknown>>;
    for (const tags of Object.values(folders))
      for (const [tag, count] of Object.entries(tags)) {
        const word = tag.trim().slice(0, 100);
        if (typeof count === 'number' && word !== '') counts.set(word, (counts.get(word) ?? 0) + count);
      }
  } catch {
    // The metadata is no JSON: anybody may write anything there.
  }
  return counts;
}

/**
 * LoRAs for few steps are known by name and title alone, where the steps stand too (`Lightning 8-step`).
 * Numbers: the publishers' model cards. Lightning, Hyper and Turbo are distilled at the last timestep of each stretch,
 * which is diffusers' `timestep_spacing: trailing`; a model's own folder mostly says `leading`.
 */
function speedOf({
  file,
  metadata,
}: TensorFile): Pick<Habits, 'steps' | 'guidance' | 'scheduler' | 'spacing'> {
  const title = metadata['modelspec.title'] ?? metadata['ss_output_name'] ?? '';
  const name = `${file.replace(/^.*[/\\]/, '')} ${title}`.toLowerCase();
  const steps = Number(/(\d{1,2})[-_ ]?steps?(?![a-z])/.exec(name)?.[1] ?? Number.NaN);
  const spacing = 'trailing' as const;
  const some = (usual: number): number => (Number.isNaN(steps) ? usual : steps);
  if (/(^|[^a-z])lcm([^a-z]|$)/.test(name))
    return { steps: some(6), guidance: 1.5, scheduler: 'LCMScheduler' };
  if (/lightning/.test(name))
    return { steps: some(8), guidance: 1, scheduler: 'EulerDiscreteScheduler', spacing };
  if (/hyper[-_ ]?sd/.test(name)) return { steps: some(8), guidance: 1, scheduler: 'DDIMScheduler', spacing };
  if (/(^|[^a-z])turbo([^a-z]|$)/.test(name))
    return { steps: some(8), guidance: 1.5, scheduler: 'EulerAncestralDiscreteScheduler', spacing };
  return {};
}
