import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import sharp from 'sharp';
import { loadModel, type Picture } from '../../../../worker/engine/index.ts';

export const data = resolve(import.meta.dirname, '../../../data/import');

/** One picture or several that diffusers painted, and how. */
export interface Case {
  readonly name: string;
  readonly model: string;
  readonly vae?: string;
  readonly prompt: string;
  readonly negative: string | null;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
  readonly strength?: number;
  readonly scheduler_config: Readonly<Record<string, unknown>>;
  readonly expected: string;
  readonly shape: readonly [number, number, number, number];
}

export const casesOf = (folder: string): Case[] =>
  (JSON.parse(readFileSync(join(data, folder, 'cases.json'), 'utf8')) as { cases: Case[] }).cases;

/** The single file, unpacked. */
export async function unpackSingle(to: string): Promise<void> {
  const packed = await readFile(join(data, 'single/sd1.safetensors.gz'));
  await writeFile(to, await promisify(gunzip)(packed));
}

export async function readHeader(
  name: 'sd2v' | 'sdxl',
): Promise<Record<string, { dtype: string; shape: number[] }>> {
  const packed = await readFile(join(data, `single/${name}.header.json.gz`));
  return JSON.parse((await promisify(gunzip)(packed)).toString('utf8'));
}

async function picture(file: string): Promise<Picture> {
  const { data: bytes, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Float32Array.from(bytes, (value) => value / 255) };
}

export interface Painted {
  /** Mean difference to what diffusers painted. */
  readonly difference: number;
  readonly pictures: readonly Float32Array[];
}

/** Paints a case with an installed model, all of its pictures together. */
export async function paint(dir: string, folder: string, given: Case, together = true): Promise<Painted> {
  const model = await loadModel(dir, { threads: 1 });
  const file = join(data, folder, given.expected);
  const source = await picture(file.replace('.f32', '-source.png')).catch(() => undefined);
  const mask = await picture(file.replace('.f32', '-mask.png')).catch(() => undefined);
  try {
    const seeds = Array.from({ length: given.shape[0] }, (_, i) => given.seed + i);
    const pictures: Float32Array[] = [];
    for (const group of together ? [seeds] : seeds.map((seed) => [seed])) {
      const result = await model.generate({
        prompt: given.prompt,
        emphasis: false,
        ...(given.negative === null ? {} : { negative: given.negative }),
        seeds: group,
        width: given.width,
        height: given.height,
        steps: given.steps,
        guidance: given.guidance,
        scheduler: { config: given.scheduler_config },
        ...(source ? { init: { image: source, strength: given.strength ?? 1 } } : {}),
        ...(mask ? { mask } : {}),
      });
      pictures.push(...result.pictures.map((each) => each.data));
    }
    const bytes = await readFile(file);
    const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    let sum = 0;
    let at = 0;
    for (const each of pictures) for (const value of each) sum += Math.abs(value - expected[at++]!);
    return { difference: sum / at, pictures };
  } finally {
    await model.release();
  }
}

/** Writes a .safetensors file, header first. */
export function safetensors(
  tensors: Readonly<
    Record<string, { readonly dtype: string; readonly shape: readonly number[]; readonly bytes: Uint8Array }>
  >,
  metadata?: Readonly<Record<string, string>>,
): Buffer {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...Object.values(tensors).map(({ bytes }) => bytes)]);
}
