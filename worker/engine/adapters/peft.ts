/**
 * Alpha of files by PEFT, which keeps it not beside the factors but in the metadata (`lora_adapter_metadata`, diffusers
 * since 0.34), as `<part>.lora_alpha` with exceptions by module (`<part>.alpha_pattern`).
 */
import path from 'node:path';
import { EngineError } from '../errors.ts';
import type { AdaptedPart } from './tensorNames.ts';
import type { TensorSource } from './tensorSource.ts';

export type PeftConfig = Readonly<Record<string, unknown>>;

/** {} where the file has none. */
export function readPeft({ file, metadata }: TensorSource): PeftConfig {
  const text = metadata['lora_adapter_metadata'];
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed as PeftConfig;
  } catch {}
  throw new EngineError(
    'bad-adapter',
    `${path.basename(file)}: its lora_adapter_metadata is no JSON object`,
    {
      file,
    },
  );
}

/** Alpha over rank (over its root for rank-stabilised LoRA, Kalajdzievski, 2023); 1 without an alpha. */
export function peftScale(config: PeftConfig, part: AdaptedPart, module: string, rank: number): number {
  const of = (field: string): unknown =>
    config[`${part}.${field}`] ?? (part === 'unet' ? config[field] : undefined);
  const alpha = byPattern(of('alpha_pattern'), module) ?? of('lora_alpha');
  if (typeof alpha !== 'number' || !Number.isFinite(alpha)) return 1;
  return of('use_rslora') === true ? alpha / Math.sqrt(rank) : alpha / rank;
}

/** PEFT takes a pattern as the end of a module's name, from a dot on; `^` pins it to the start. */
function byPattern(patterns: unknown, module: string): number | undefined {
  if (typeof patterns !== 'object' || patterns === null) return undefined;
  for (const [pattern, value] of Object.entries(patterns)) {
    if (typeof value !== 'number') continue;
    const pinned = pattern.startsWith('^');
    const name = pattern.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\.', '.');
    if (module === name || (!pinned && module.endsWith(`.${name}`))) return value;
  }
  return undefined;
}
