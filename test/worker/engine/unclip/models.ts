/** The tiny models of test/data/unclip, written out of their safetensors, and what diffusers computes with them. */
import { readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import type { GenerateRequest, Picture } from '../../../../worker/engine/index.ts';
import { importUnclip } from '../../../../worker/models/import/unclip.ts';

export const dataDir = path.join(import.meta.dirname, '../../../data/unclip');
export type Family = 'karlo' | 'kandinsky22';

export const sourceOf = (family: Family): string => path.join(dataDir, family, 'safetensors');

/** Writes a folder that the engine opens. */
export const writeModel = (family: Family, to: string): Promise<void> =>
  importUnclip({ folder: sourceOf(family) }, to, (from, place) => copyFile(from, place));

interface Stored {
  readonly file: string;
  readonly shape: readonly number[];
}

export interface UnclipCase {
  readonly name: string;
  readonly kind: 'text-to-image' | 'image-variation' | 'interpolate';
  readonly prompt: string;
  readonly negative: string | null;
  readonly seed: number;
  readonly steps: { readonly prior?: number; readonly decoder: number; readonly super_res?: number };
  readonly guidance: { readonly prior?: number; readonly decoder: number };
  readonly weights?: readonly [number, number];
  readonly width: number;
  readonly height: number;
  readonly tolerance: number;
  readonly scheduler_config?: Record<string, unknown>;
  readonly expected: string;
  readonly stages: Readonly<Record<'z' | 'decoder' | 'latents' | 'negative_z', Stored | undefined>>;
}

export const readCases = (family: Family): UnclipCase[] =>
  JSON.parse(readFileSync(path.join(dataDir, family, 'cases.json'), 'utf8')).cases;

export function readFloats(family: Family, { file }: Stored): Float32Array {
  const bytes = readFileSync(path.join(dataDir, family, file));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

export function readPixels(family: Family, { expected }: UnclipCase): Float32Array {
  const bytes = readFileSync(path.join(dataDir, family, expected));
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i) / 65535);
}

export async function readSource(family: Family, name: string): Promise<Picture> {
  const file = path.join(dataDir, family, 'expected', `${name}-source.png`);
  const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    data: Float32Array.from(data, (value) => value / 255),
  };
}

/** The case as a request for its first `count` pictures. */
export async function requestOf(family: Family, one: UnclipCase, count: number): Promise<GenerateRequest> {
  const picture = one.kind === 'text-to-image' ? undefined : await readSource(family, one.name);
  const [text, weight] = one.weights ?? [0, 1];
  return {
    prompt: one.prompt,
    emphasis: false,
    ...(one.negative === null ? {} : { negative: one.negative }),
    seeds: Array.from({ length: count }, (_, i) => one.seed + i),
    width: one.width,
    height: one.height,
    steps: one.steps.decoder,
    guidance: one.guidance.decoder,
    prior: { steps: one.steps.prior, guidance: one.guidance.prior },
    superRes: { steps: one.steps.super_res },
    ...(one.scheduler_config ? { scheduler: { config: one.scheduler_config } } : {}),
    ...(picture
      ? {
          meaning: {
            pictures: [picture],
            ...(one.weights ? { text, weights: [weight], mix: 'sum' as const } : {}),
          },
        }
      : {}),
  };
}

export const meanDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((total, value, i) => total + Math.abs(value - (b[i] ?? Number.NaN)), 0) / a.length;
