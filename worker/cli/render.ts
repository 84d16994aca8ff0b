/**
 * `dreamgrid render`: paints with a model's folder exactly what is asked. The prompt is not parsed; picture i has seed
 * N + i. It serves to compare the engine with diffusers.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { paintedXmp } from '../../shared/picture/png.ts';
import {
  EngineError,
  type GenerateRequest,
  loadModel,
  type Meaning,
  type Model,
  type Picture,
} from '../engine/index.ts';
import { fitBicubic } from '../engine/parts/pillowResize.ts';
import { parsePythonJson } from '../engine/schedulers/config.ts';
import { checkFolder } from '../models/installed.ts';
import { resizeLanczos } from '../paint/lanczos.ts';
import { type Pixels, toFloats } from '../paint/pixels.ts';
import { readEmbeddingArgument, readLoraArgument, WrongAdapter } from './adapterArguments.ts';
import { openProgressBar } from './progressBar.ts';
import { pathFromUser } from './usage.ts';

const usage = `dreamgrid render --model-dir DIR --prompt TEXT --out DIR [--negative TEXT] [--seed N] [--steps N]
  [--guidance X] [--scheduler NAME] [--scheduler-config JSON] [--width W] [--height H] [--count N]
  [--init FILE --strength S] [--mask FILE] [--lora FILE:W]… [--embedding TOKEN=FILE]… [--prior-steps N]
  [--prior-guidance X] [--super-res-steps N] [--variation FILE [--weights TEXT,PICTURE]] [--provider NAME,…]
  [--threads N] [--raw] [--json]`;

const options = {
  'model-dir': { type: 'string' },
  prompt: { type: 'string' },
  negative: { type: 'string' },
  seed: { type: 'string' },
  steps: { type: 'string' },
  guidance: { type: 'string' },
  scheduler: { type: 'string' },
  'scheduler-config': { type: 'string' },
  width: { type: 'string' },
  height: { type: 'string' },
  count: { type: 'string' },
  init: { type: 'string' },
  strength: { type: 'string' },
  mask: { type: 'string' },
  lora: { type: 'string', multiple: true },
  embedding: { type: 'string', multiple: true },
  'prior-steps': { type: 'string' },
  'prior-guidance': { type: 'string' },
  'super-res-steps': { type: 'string' },
  variation: { type: 'string' },
  weights: { type: 'string' },
  provider: { type: 'string' },
  threads: { type: 'string' },
  out: { type: 'string' },
  raw: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

class WrongArguments extends Error {}

/** @returns the exit code: 0, 1 where painting failed, 2 where the arguments are wrong */
export async function render(args: string[]): Promise<number> {
  let model: Model | undefined;
  try {
    const values = read(args);
    if (values.help) {
      console.log(usage);
      return 0;
    }
    const threads = whole(values.threads, 'threads');
    const dir = pathFromUser(required(values['model-dir'], 'model-dir'));
    await checkFolder(dir);
    model = await loadModel(dir, {
      ...(values.provider === undefined ? {} : { providers: values.provider.split(',') }),
      ...(threads === undefined ? {} : { threads }),
    });
    if (model.info.providersMissing.length > 0)
      console.error(
        `dreamgrid render: painting on ${model.info.provider}: ${model.info.providersMissing.join('; ')}`,
      );
    const out = pathFromUser(required(values.out, 'out'));
    const request = await makeRequest(values, model);
    const bar = openProgressBar();
    const started = performance.now();
    const result = await model.generate(request, {
      onStep: ({ step, steps }) => bar.update(step, steps),
      onPrepare: (file) => console.error(`dreamgrid render: merging ${path.basename(file)} (once) …`),
    });
    bar.done();
    const files = await write(out, result.pictures, values.raw === true);
    const seconds = (performance.now() - started) / 1000;
    if (values.json) {
      const { family, info } = model;
      console.log(
        JSON.stringify({ files, seeds: request.seeds, family, info, seconds, timings: result.timings }),
      );
    } else for (const file of files) console.log(file);
    return 0;
  } catch (error) {
    const wrong =
      error instanceof WrongArguments ||
      error instanceof WrongAdapter ||
      (error instanceof EngineError && error.code === 'bad-request');
    console.error(`dreamgrid render: ${error instanceof Error ? error.message : String(error)}`);
    return wrong ? 2 : 1;
  } finally {
    await model?.release();
  }
}

type Values = ReturnType<typeof read>;

function read(args: string[]) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new WrongArguments((error as Error).message.split('\n', 1)[0]!);
  }
}

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new WrongArguments(`--${name} is missing (see --help)`);
  return value;
}

function real(value: string | undefined, name: string): number | undefined {
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isFinite(parsed))
    throw new WrongArguments(`--${name} ${JSON.stringify(value)} is no number`);
  return parsed;
}

function whole(value: string | undefined, name: string): number | undefined {
  const parsed = real(value, name);
  if (parsed !== undefined && !Number.isSafeInteger(parsed))
    throw new WrongArguments(`--${name} ${value} is no whole number`);
  return parsed;
}

async function makeRequest(values: Values, model: Model): Promise<GenerateRequest> {
  const width = whole(values.width, 'width') ?? model.info.nativeSize;
  const height = whole(values.height, 'height') ?? model.info.nativeSize;
  const seed = whole(values.seed, 'seed') ?? 0;
  const count = whole(values.count, 'count') ?? 1;
  if (count < 1 || count > 1000) throw new WrongArguments(`--count ${count} must lie between 1 and 1000`);
  if (values.strength !== undefined && values.init === undefined)
    throw new WrongArguments('--strength needs --init');
  if (values.mask !== undefined && values.init === undefined) throw new WrongArguments('--mask needs --init');
  const config = await schedulerConfig(values['scheduler-config']);
  const through = model.info.imageConditioned;
  for (const name of ['prior-steps', 'prior-guidance', 'super-res-steps', 'variation'] as const) {
    if (values[name] !== undefined && !through)
      throw new WrongArguments(
        `--${name} is for models with a picture embedding (unCLIP, Kandinsky); ${model.dir} is of the family ${model.family}`,
      );
  }
  if (values.weights !== undefined && values.variation === undefined)
    throw new WrongArguments('--weights needs --variation');
  // diffusers' Kandinsky pipelines resize otherwise than all its others.
  const fit = through ? fitBicubic : resizeLanczos;
  const init = values.init === undefined ? undefined : await readPicture(values.init, width, height, fit);
  const meaning = values.variation === undefined ? undefined : await readMeaning(values);
  const priorSteps = whole(values['prior-steps'], 'prior-steps');
  const priorGuidance = real(values['prior-guidance'], 'prior-guidance');
  const superResSteps = whole(values['super-res-steps'], 'super-res-steps');
  return {
    prompt: meaning && !meaning.text ? (values.prompt ?? '') : required(values.prompt, 'prompt'),
    ...(meaning ? { meaning } : {}),
    prior: { steps: priorSteps, guidance: priorGuidance },
    superRes: { steps: superResSteps },
    emphasis: false,
    ...(values.negative === undefined ? {} : { negative: values.negative }),
    seeds: Array.from({ length: count }, (_, i) => seed + i),
    width,
    height,
    steps: whole(values.steps, 'steps') ?? 20,
    guidance: real(values.guidance, 'guidance') ?? 7.5,
    scheduler: {
      ...(values.scheduler === undefined ? {} : { name: values.scheduler }),
      ...(config === undefined ? {} : { config }),
    },
    // 1 with a mask is diffusers' default for repainting, 0.8 its default for image to image.
    ...(init
      ? {
          init: {
            image: init,
            strength: real(values.strength, 'strength') ?? (values.mask === undefined ? 0.8 : 1),
          },
        }
      : {}),
    loras: [await Promise.all((values.lora ?? []).map(readLoraArgument))],
    embeddings: await Promise.all((values.embedding ?? []).map(readEmbeddingArgument)),
    ...(values.mask === undefined
      ? {}
      : { mask: await readPicture(values.mask, width, height, resizeLanczos) }),
  };
}

/** The JSON itself, or the name of a file that holds it. */
async function schedulerConfig(text: string | undefined): Promise<Record<string, unknown> | undefined> {
  if (text === undefined) return undefined;
  try {
    const parsed = parsePythonJson(
      text.trimStart().startsWith('{') ? text : await readFile(pathFromUser(text), 'utf8'),
    );
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch {}
  throw new WrongArguments('--scheduler-config is neither a JSON object nor a file with one');
}

/** Paints the picture's embedding; with weights, mixed as in KandinskyV22PriorPipeline.interpolate. */
async function readMeaning({ variation, weights }: Values): Promise<Meaning> {
  const pictures = [toFloats(await readPixels(variation!))];
  if (weights === undefined) return { pictures };
  const [text, picture, ...more] = weights.split(',').map((part) => real(part, 'weights')!);
  if (text === undefined || picture === undefined || more.length > 0)
    throw new WrongArguments(`--weights ${JSON.stringify(weights)}: expected TEXT,PICTURE, as 0.4,0.6`);
  return { pictures, weights: [picture], text, mix: 'sum' };
}

async function readPicture(
  file: string,
  width: number,
  height: number,
  resize: (pixels: Pixels, width: number, height: number) => Pixels,
): Promise<Picture> {
  return toFloats(resize(await readPixels(file), width, height));
}

/** Turned upright and stripped of its alpha, as diffusers' load_image. */
async function readPixels(file: string): Promise<Pixels> {
  try {
    const image = sharp(pathFromUser(file)).autoOrient().removeAlpha().toColourspace('srgb');
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data };
  } catch (error) {
    throw new WrongArguments(
      `${file} cannot be read as a picture: ${(error as Error).message.split('\n', 1)[0]}`,
    );
  }
}

async function write(dir: string, pictures: readonly Picture[], raw: boolean): Promise<string[]> {
  await mkdir(dir, { recursive: true });
  const files: string[] = [];
  for (const [i, { width, height, data }] of pictures.entries()) {
    const file = path.join(dir, `${i}.png`);
    const bytes = Uint8Array.from(data, (value) => Math.round(value * 255));
    await sharp(bytes, { raw: { width, height, channels: 3 } })
      .png()
      .withXmp(paintedXmp())
      .toFile(file);
    files.push(file);
  }
  if (raw) {
    const file = path.join(dir, 'images.f32');
    await writeFile(
      file,
      Buffer.concat(pictures.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))),
    );
    files.push(file);
  }
  return files;
}
