/** Reading the reference data, and the loops that its numbers were made with. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import type { GenerateRequest, Model, Picture } from '../../worker/engine/index.ts';
import { parsePythonJson } from '../../worker/engine/schedulers/config.ts';

export const referenceDir = path.join(import.meta.dirname, '../data/reference');

// biome-ignore lint/suspicious/noExplicitAny: the shape is the file's, described in its own meta
export function readReference(file: string): any {
  return parsePythonJson(readFileSync(path.join(referenceDir, file), 'utf8'));
}

export interface PipelineCase {
  readonly name: string;
  readonly kind: 'text-to-image' | 'img2img' | 'inpaint';
  readonly prompt: string;
  readonly negative: string | null;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly strength?: number;
  readonly width: number;
  readonly height: number;
  readonly scheduler_config: Record<string, unknown>;
  readonly expected: string;
  readonly shape: [number, number, number, number];
}

export const modelDir = (family: string): string => path.join(referenceDir, 'pipelines', family, 'model');

export const readCases = (family: string): PipelineCase[] =>
  readReference(`pipelines/${family}/cases.json`).cases;

export function readExpected(family: string, { expected }: PipelineCase): Float32Array {
  const bytes = readFileSync(path.join(referenceDir, 'pipelines', family, expected));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** The case as a request for its first `count` pictures. */
export async function requestOf(
  family: string,
  one: PipelineCase,
  count = one.shape[0],
): Promise<GenerateRequest> {
  const side = async (name: string): Promise<Picture> =>
    readPicture(path.join(referenceDir, 'pipelines', family, one.expected.replace(/\.f32$/, `-${name}.png`)));
  return {
    prompt: one.prompt,
    ...(one.negative === null ? {} : { negative: one.negative }),
    seeds: Array.from({ length: count }, (_, i) => one.seed + i),
    width: one.width,
    height: one.height,
    steps: one.steps,
    guidance: one.guidance,
    emphasis: false,
    scheduler: { config: one.scheduler_config },
    ...(one.kind === 'text-to-image'
      ? {}
      : { init: { image: await side('source'), strength: one.strength! } }),
    ...(one.kind === 'inpaint' ? { mask: await side('mask') } : {}),
  };
}

export async function readPicture(file: string): Promise<Picture> {
  const { data, info } = await sharp(file)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Float32Array.from(data, (value) => value / 255) };
}

export function meanDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < b.length; i++) total += Math.abs(a[i]! - b[i]!);
  return total / b.length;
}

/** Mean difference between what the model paints and what was expected, over all pictures of the case. */
export async function differenceOf(model: Model, family: string, one: PipelineCase): Promise<number> {
  const { pictures } = await model.generate(await requestOf(family, one));
  const expected = readExpected(family, one);
  const size = expected.length / pictures.length;
  const each = pictures.map((picture, i) =>
    meanDifference(picture.data, expected.subarray(i * size, (i + 1) * size)),
  );
  return each.reduce((a, b) => a + b, 0) / each.length;
}
