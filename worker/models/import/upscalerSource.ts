/**
 * An upscaler, alone in a file: RRDBNet (ESRGAN, Real-ESRGAN) under BasicSR's names, those of ESRGAN's own repository,
 * or the numbers that older trainers wrote (most of what OpenModelDB has).
 */
import { StoreError } from '../hub/errors.ts';
import type { FindWeight, SourcePart } from './modelSource.ts';
import type { TensorFile } from './safetensors.ts';
import { countOf } from './vaeSource.ts';

/** Prefixes of a checkpoint's weights. */
const prefixes = ['', 'params_ema.', 'params.', 'module.'];

interface Naming {
  readonly blocks: number;
  readonly doublings: number;
  /** A layer's name in the file, before `.weight` and `.bias`, by BasicSR's name of it. */
  of(layer: string): string;
}

/** @returns undefined where the file is no upscaler of these */
export function findUpscaler(file: TensorFile): SourcePart | undefined {
  for (const prefix of prefixes) {
    const naming = namingOf(file, prefix);
    if (naming) return partOf(file, prefix, naming);
  }
  return undefined;
}

/** @throws StoreError for a file that is no upscaler, or one that cannot be used */
export function readUpscaler(file: TensorFile): SourcePart {
  const found = findUpscaler(file);
  if (found) return found;
  const compact = file.tensors.has('body.0.weight') && !file.tensors.has('conv_first.weight');
  throw new StoreError(
    'unsupported',
    compact
      ? `${file.file} is a compact upscaler (SRVGGNet), which cannot be used yet: take an ESRGAN or Real-ESRGAN one (RRDBNet).`
      : `${file.file} is no ESRGAN or Real-ESRGAN upscaler (RRDBNet): neither conv_first.weight nor model.1.sub.0.RDB1.conv1.0.weight is in it.`,
  );
}

function partOf(
  { file, tensors }: TensorFile,
  prefix: string,
  { blocks, doublings, of }: Naming,
): SourcePart {
  const find: FindWeight = (name) => {
    const [, layer, kind] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
    return layer === undefined ? undefined : tensors.get(`${prefix}${of(layer)}.${kind}`);
  };
  const into = find('conv_first.weight')?.shape[1] ?? 0;
  const out = find('conv_last.weight')?.shape[0] ?? 0;
  const unshuffle = Math.sqrt(into / 3);
  const scale = 2 ** doublings / unshuffle;
  const refused = (why: string): StoreError => new StoreError('unsupported', `${file}: the upscaler ${why}.`);
  if ([...tensors.keys()].some((key) => /RDB\d\.conv1x1\.|\.noise\./.test(key)))
    throw refused('is of another kind (ESRGAN+); take an ESRGAN or Real-ESRGAN one');
  if (out !== 3 || ![1, 2, 4].includes(unshuffle))
    throw refused(`takes ${into} channels and gives ${out}; colour pictures have 3`);
  if (scale < 2) throw refused(`makes pictures ${scale} times as large: it mends them, and enlarges nothing`);
  const config = { _class_name: 'RRDBNet', scale, unshuffle, num_block: blocks, num_upsample: doublings };
  return { part: 'upscaler', network: 'upscaler', config, find };
}

function namingOf({ tensors }: TensorFile, prefix: string): Naming | undefined {
  const count = (name: string): number => countOf(tensors, `${prefix}${name}`);
  const has = (name: string): boolean => tensors.has(`${prefix}${name}.weight`);
  if (has('body.0.rdb1.conv1'))
    return { blocks: count('body.'), doublings: count('conv_up'), of: (layer) => layer };
  if (has('RRDB_trunk.0.RDB1.conv1'))
    return { blocks: count('RRDB_trunk.'), doublings: count('upconv'), of: researchName };
  if (!has('model.1.sub.0.RDB1.conv1.0')) return undefined;
  // 0 comes first, 1 is all blocks and the convolution behind them; then every doubling's third, and two more.
  const blocks = count('model.1.sub.') - 1;
  const doublings = count('model.') - 4;
  const places: Readonly<Record<string, string>> = {
    conv_first: 'model.0',
    conv_body: `model.1.sub.${blocks}`,
    conv_hr: `model.${3 * doublings + 2}`,
    conv_last: `model.${3 * doublings + 4}`,
  };
  return {
    blocks,
    doublings,
    of: (layer) =>
      places[layer] ??
      layer
        .replace(/^conv_up(\d+)$/, (_, i) => `model.${3 * Number(i)}`)
        .replace(/^body\.(\d+)\.rdb(\d)\.conv(\d)$/, 'model.1.sub.$1.RDB$2.conv$3.0'),
  };
}

/** RRDBNet_arch.py of https://github.com/xinntao/ESRGAN. */
const researchName = (layer: string): string =>
  layer
    .replace(/^body\.(\d+)\.rdb/, 'RRDB_trunk.$1.RDB')
    .replace(/^conv_body$/, 'trunk_conv')
    .replace(/^conv_up/, 'upconv')
    .replace(/^conv_hr$/, 'HRconv');
