/** From a request to pictures, in numbered steps; the same for every family. */
import type { Denoiser, DenoiserRow } from './denoiser.ts';
import { badRequest, EngineError } from './errors.ts';
import type { Condition, Family } from './families/family.ts';
import type { Folder } from './folder.ts';
import { createGenerator, type Generator } from './rng.ts';
import { planSchedule } from './schedulers/index.ts';
import { type Plan, type Sampler, sum } from './schedulers/plan.ts';
import type { Session } from './session.ts';
import { allFinite, concat } from './tensor.ts';
import type { TextEncoder } from './textEncoder.ts';
import type { GenerateHooks, GenerateRequest, GenerateResult, ModelInfo, Picture } from './types.ts';
import type { Upscaler } from './upscaler.ts';
import type { Vae } from './vae.ts';

export interface Parts {
  readonly folder: Folder;
  readonly family: Family;
  readonly info: ModelInfo;
  readonly encoders: readonly TextEncoder[];
  readonly denoiser: Denoiser;
  readonly vae: Vae;
  readonly schedulerConfig: Readonly<Record<string, unknown>>;
  readonly sessions: readonly Session[];
  readonly preview: (x0: Float32Array, height: number, width: number) => Picture;
  readonly tiny?: Vae;
  readonly upscaler?: Upscaler;
  readonly encodeImage?: (picture: Picture) => Promise<Float32Array>;
  readonly check?: (picture: Picture) => Promise<boolean>;
}

/** One picture on its way: its own random numbers, its own solver memory. */
interface Canvas {
  readonly generator: Generator;
  readonly guidance: number;
  readonly sampler: Sampler;
  x: Float32Array;
  x0: Float32Array;
  readonly inpaint?: Inpaint;
}

interface Inpaint {
  /** 1 = repaint, at latent resolution. */
  readonly mask: Float32Array;
  /** Mask and masked picture, joined to the latents of networks with 9 channels. */
  readonly channels?: Float32Array;
  /** Kept latents and their noise, for networks that know nothing of masks. */
  readonly kept?: { readonly clean: Float32Array; readonly noise: Float32Array };
}

export async function generate(
  parts: Parts,
  request: GenerateRequest,
  hooks: GenerateHooks,
): Promise<GenerateResult> {
  const { denoiser, vae, family, tiny } = parts;
  const runMsBefore = runMs(parts);
  const started = performance.now();

  // 1. Refuse what cannot be painted.
  checkRequest(request, parts);
  const height = request.height / vae.factor;
  const width = request.width / vae.factor;
  const size = vae.channels * height * width;

  // 2. Tell the model what to show.
  const { positive, negative } = await family.condition({
    folder: parts.folder,
    encoders: parts.encoders,
    denoiser,
    prompt: typeof request.prompt === 'string' ? [{ text: request.prompt, weight: 1 }] : request.prompt,
    negative: request.negative,
    emphasis: request.emphasis ?? true,
    width: request.width,
    height: request.height,
    perturb: { amount: request.noise?.perturb ?? 0, seed: request.noise?.seed ?? 0 },
  });
  const encodeMs = performance.now() - started;

  // 3. Which noise levels, and where on them to start and to stop.
  const strength = request.init?.strength ?? 1;
  const plan = planSchedule(parts.schedulerConfig, request.scheduler ?? {}, {
    steps: request.steps,
    ...(request.eta === undefined ? {} : { eta: request.eta }),
  });
  const start = request.init ? startIndex(request.steps, strength) * plan.order : 0;
  const calls = plan.timesteps.length - start;
  if (calls < 1) throw badRequest(`strength ${strength} of ${request.steps} steps leaves no step to run`);
  const stop = Math.max(1, Math.ceil(calls * (request.stop ?? 1)));

  // 4. A canvas a picture: noise, or a picture with noise on it.
  const canvases: Canvas[] = [];
  for (const [i] of request.seeds.entries()) {
    throwIfAborted(hooks);
    canvases.push(await makeCanvas(parts, request, plan, i, start, size));
  }

  // 5. Step by step to the picture.
  const stepMs: number[] = [];
  for (let call = 0; call < stop; call++) {
    const stepStarted = performance.now();
    const index = start + call;
    const maxBatch = request.maxBatch ?? canvases.length;
    for (let from = 0; from < canvases.length; from += maxBatch) {
      const batch = canvases.slice(from, from + maxBatch);
      const roll = request.tile ? rollOf(call, height, width) : undefined;
      const outputs = await predict(parts, batch, plan, index, { positive, negative }, height, width, roll);
      batch.forEach((canvas, i) => {
        advance(canvas, outputs[i]!, plan, index, size);
      });
    }
    stepMs.push(performance.now() - stepStarted);
    if (hooks.onStep) {
      const latest = canvases.map((canvas) => canvas.x0);
      await hooks.onStep({
        step: call + 1,
        steps: stop,
        preview: () => latest.map((x0) => parts.preview(x0, height, width)),
        ...(tiny ? { decodePreview: () => decodeAll(tiny, latest, height, width) } : {}),
      });
    }
    // Messages from outside (a cancel, above all) get their turn between two steps.
    await new Promise((resolve) => setImmediate(resolve));
    throwIfAborted(hooks);
  }

  // 6. Latents to pixels, one picture at a time.
  const decodeStarted = performance.now();
  const stopped = stop < calls;
  const latents = canvases.map((canvas) => (stopped ? canvas.x0 : canvas.x));
  const decoder = request.decoder === 'tiny' ? (tiny ?? vae) : vae;
  const pictures: Picture[] = [];
  const flagged: boolean[] = [];
  for (const [i, latent] of latents.entries()) {
    if (!allFinite(latent)) throw notANumber(request.seeds[i]!, 'the latents');
    const picture = await decoder.decode(latent, height, width, request.tile === true);
    if (!allFinite(picture.data)) throw notANumber(request.seeds[i]!, 'the decoded picture');
    if (picture.data.every((value) => value === 0)) {
      throw new EngineError('not-a-number', `seed ${request.seeds[i]} came out all black`);
    }
    pictures.push(picture);
    if (parts.check) flagged.push(await parts.check(picture));
    throwIfAborted(hooks);
  }
  return {
    pictures,
    latents,
    latentShape: [vae.channels, height, width],
    ...(parts.check ? { flagged } : {}),
    timings: {
      encodeMs,
      stepMs,
      decodeMs: performance.now() - decodeStarted,
      runMs: runMs(parts) - runMsBefore,
    },
  };
}

async function decodeAll(
  decoder: Vae,
  latents: readonly Float32Array[],
  height: number,
  width: number,
): Promise<Picture[]> {
  const pictures: Picture[] = [];
  for (const latent of latents) pictures.push(await decoder.decode(latent, height, width));
  return pictures;
}

function checkRequest(request: GenerateRequest, { info, vae }: Parts): void {
  const { width, height, steps, seeds, init, mask, stop } = request;
  for (const [name, value] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (!Number.isInteger(value) || value < info.multiple || value % info.multiple !== 0) {
      throw badRequest(`${name} ${value} must be a multiple of ${info.multiple}`);
    }
  }
  if (!Number.isInteger(steps) || steps < 1)
    throw badRequest(`steps ${steps} must be a whole number from 1 on`);
  if (seeds.length === 0) throw badRequest('no seed, so no picture');
  for (const seed of seeds)
    if (!Number.isSafeInteger(seed)) throw badRequest(`seed ${seed} must be a whole number`);
  if (typeof request.guidance !== 'number' && request.guidance.length !== seeds.length) {
    throw badRequest(`${request.guidance.length} guidance scales for ${seeds.length} pictures`);
  }
  if (typeof request.prompt !== 'string' && request.prompt.length === 0)
    throw badRequest('a prompt of no parts');
  if (stop !== undefined && !(stop > 0 && stop <= 1))
    throw badRequest(`stop ${stop} must lie above 0 and at most at 1`);
  if (request.maxBatch !== undefined && !(request.maxBatch >= 1))
    throw badRequest(`maxBatch ${request.maxBatch} must be 1 or more`);
  if (init) {
    if (!(init.strength >= 0 && init.strength <= 1))
      throw badRequest(`strength ${init.strength} must lie between 0 and 1`);
    if (!init.image && !init.latents) throw badRequest('init needs an image or latents');
    if (init.image) checkPicture('the init image', init.image, width, height);
    const size = (vae.channels * height * width) / vae.factor ** 2;
    for (const latent of init.latents ?? []) {
      if (latent.length !== size)
        throw badRequest(`init latents of ${latent.length} numbers where ${size} are needed`);
    }
    if (init.latents && init.latents.length !== 1 && init.latents.length !== seeds.length) {
      throw badRequest(`${init.latents.length} init latents for ${seeds.length} pictures`);
    }
  }
  if (mask) {
    if (!init) throw badRequest('a mask needs the picture it lies on (init)');
    if (mask instanceof Float32Array) {
      if (mask.length !== width * height)
        throw badRequest(`a mask of ${mask.length} numbers where ${width * height} are needed`);
    } else checkPicture('the mask', mask, width, height);
  } else if (info.inpaint) throw badRequest('this model repaints: it needs an init image and a mask');
}

function checkPicture(what: string, picture: Picture, width: number, height: number): void {
  if (picture.width !== width || picture.height !== height || picture.data.length !== width * height * 3) {
    throw badRequest(`${what} is ${picture.width}×${picture.height}, the request ${width}×${height}`);
  }
}

/** diffusers: the last int(steps · strength) steps are run. */
function startIndex(steps: number, strength: number): number {
  return Math.max(steps - Math.min(Math.trunc(steps * strength), steps), 0);
}

async function makeCanvas(
  parts: Parts,
  request: GenerateRequest,
  plan: Plan,
  i: number,
  start: number,
  size: number,
): Promise<Canvas> {
  const { vae, denoiser } = parts;
  const generator = createGenerator(request.seeds[i]!);
  const guidance = typeof request.guidance === 'number' ? request.guidance : request.guidance[i]!;
  const { init, mask } = request;
  const fullStrength = init?.strength === 1 && mask !== undefined;
  const ownChannels = denoiser.inChannels ?? vae.channels;
  const maskedNetwork = ownChannels > vae.channels;

  // The order of the draws is diffusers': the picture's posterior, the start noise, the masked picture's posterior.
  let clean: Float32Array | undefined;
  if (init && !(fullStrength && maskedNetwork)) {
    clean = init.latents
      ? (init.latents[i] ?? init.latents[0]!)
      : await vae.encode(init.image!, (count) => generator.randn(count));
  }
  const noise = startNoise(request, generator, i, size);
  const x =
    clean === undefined || fullStrength
      ? sum([plan.initNoiseSigma, noise])
      : plan.addNoise(clean, noise, start);
  const canvas = { generator, guidance, sampler: plan.sampler(), x, x0: x };
  if (!mask) return canvas;

  const pixels = binaryMask(mask);
  const small = shrinkMask(pixels, request.width, request.height, vae.factor);
  if (init?.latents && !init.image && maskedNetwork)
    throw badRequest('a model with mask channels needs the init image itself');
  const masked = init?.image
    ? await vae.encode(hide(init.image, pixels), (count) => generator.randn(count))
    : undefined;
  return {
    ...canvas,
    inpaint: {
      mask: small,
      ...(maskedNetwork ? { channels: concat([small, masked!]) } : { kept: { clean: clean!, noise } }),
    },
  };
}

/** Unit noise from the picture's own generator, mixed with the first seed's where the request says so. */
function startNoise(request: GenerateRequest, generator: Generator, i: number, size: number): Float32Array {
  const own = generator.randn(size);
  const shared = request.sharedNoise ?? 0;
  if (shared === 0 || i === 0) return own;
  // Squares of the weights sum to one, so the variance stays one.
  const first = createGenerator(request.seeds[0]!).randn(size);
  return sum([Math.sqrt(shared), first], [Math.sqrt(1 - shared), own]);
}

/** 1 where the mask is 0.5 or brighter. */
function binaryMask(mask: Picture | Float32Array): Float32Array {
  if (mask instanceof Float32Array) return mask.map((value) => (value < 0.5 ? 0 : 1));
  const grey = new Float32Array(mask.width * mask.height);
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b] = mask.data.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
    grey[i] = 0.299 * r + 0.587 * g + 0.114 * b < 0.5 ? 0 : 1;
  }
  return grey;
}

/** Nearest neighbour: the pixel at the top left of every latent pixel. */
function shrinkMask(mask: Float32Array, width: number, height: number, factor: number): Float32Array {
  const small = new Float32Array((width / factor) * (height / factor));
  let at = 0;
  for (let y = 0; y < height; y += factor)
    for (let x = 0; x < width; x += factor) small[at++] = mask[y * width + x]!;
  return small;
}

/** The picture with what is to be repainted greyed out (0 in -1..1). */
function hide(picture: Picture, mask: Float32Array): Picture {
  return { ...picture, data: picture.data.map((value, i) => (mask[Math.floor(i / 3)]! < 0.5 ? value : 0.5)) };
}

async function predict(
  parts: Parts,
  batch: readonly Canvas[],
  plan: Plan,
  index: number,
  conditions: { positive: Condition; negative: Condition | undefined },
  height: number,
  width: number,
  roll: readonly [number, number] | undefined,
): Promise<Float32Array[]> {
  const { denoiser, family } = parts;
  const { positive, negative } = conditions;
  const guided = (canvas: Canvas): boolean => negative !== undefined && canvas.guidance > 1;
  const row = (canvas: Canvas, condition: Condition): DenoiserRow => {
    const scaled = plan.scaleInput(canvas.x, index);
    const sample = canvas.inpaint?.channels ? concat([scaled, canvas.inpaint.channels]) : scaled;
    return {
      sample: roll ? rolled(sample, height, width, roll[0], roll[1]) : sample,
      timestep: plan.timesteps[index]!,
      hidden: condition.hidden,
      tokens: condition.tokens,
      extras: { ...condition.extras, ...family.guidanceInputs?.(canvas.guidance, denoiser) },
    };
  };
  const against = batch.filter(guided);
  const rows = [
    ...against.map((canvas) => row(canvas, negative!)),
    ...batch.map((canvas) => row(canvas, positive)),
  ];
  const raw = await denoiser.predict(rows, height, width);
  const outputs = roll ? raw.map((output) => rolled(output, height, width, -roll[0], -roll[1])) : raw;
  return batch.map((canvas, i) => {
    const towards = outputs[against.length + i]!;
    const away = outputs[against.indexOf(canvas)];
    return away === undefined ? towards : sum([canvas.guidance, towards], [1 - canvas.guidance, away]);
  });
}

function advance(canvas: Canvas, output: Float32Array, plan: Plan, index: number, size: number): void {
  const stepped = canvas.sampler(output, canvas.x, index, () => canvas.generator.randn(size));
  canvas.x = stepped.x;
  canvas.x0 = stepped.x0;
  const kept = canvas.inpaint?.kept;
  if (!kept) return;
  // Lugmayr et al., "RePaint" (2022), eq. 8: what is kept comes from the picture, at the noise level now reached.
  const next =
    index + 1 < plan.timesteps.length ? plan.addNoise(kept.clean, kept.noise, index + 1) : kept.clean;
  const area = canvas.inpaint!.mask.length;
  const mix = (painted: Float32Array, original: Float32Array): Float32Array =>
    painted.map((value, k) => (canvas.inpaint!.mask[k % area]! === 1 ? value : original[k]!));
  canvas.x = mix(canvas.x, next);
  canvas.x0 = mix(canvas.x0, kept.clean);
}

/** A different shift every step, so that no place is always at the edge. */
function rollOf(call: number, height: number, width: number): readonly [number, number] {
  const golden = 0.6180339887;
  const part = (size: number, factor: number): number => Math.floor(((call * factor) % 1) * size);
  return [part(height, golden), part(width, golden * golden)];
}

/** Every plane shifted around by (dy, dx), wrapping. */
function rolled(planes: Float32Array, height: number, width: number, dy: number, dx: number): Float32Array {
  const result = new Float32Array(planes.length);
  const count = planes.length / (height * width);
  for (let c = 0; c < count; c++) {
    for (let y = 0; y < height; y++) {
      const toY = (((y + dy) % height) + height) % height;
      for (let x = 0; x < width; x++) {
        const toX = (((x + dx) % width) + width) % width;
        result[(c * height + toY) * width + toX] = planes[(c * height + y) * width + x]!;
      }
    }
  }
  return result;
}

function throwIfAborted({ signal }: GenerateHooks): void {
  if (signal?.aborted) throw new EngineError('aborted', 'cancelled', { cause: signal.reason });
}

const notANumber = (seed: number, what: string): EngineError =>
  new EngineError(
    'not-a-number',
    `seed ${seed}: ${what} came out as not-a-number (half floats overflow in some models; use a float32 one)`,
  );

const runMs = (parts: Parts): number => parts.sessions.reduce((total, session) => total + session.runMs, 0);
